"""Checkpoints on disk, where several ranks write one."""

from pathlib import Path

import numpy as np
import torch

from scaling.asr.checkpoint import Checkpoint, Progress, save_periodic
from scaling.speech.batches import Position


def test_a_checkpoint_stays_where_another_rank_has_begun_its_folder_and_older_ones_go(tmp_path: Path) -> None:
    for steps in (3, 5):
        (tmp_path / f"checkpoint-{steps:09d}").mkdir()  # as a quicker rank does
        nobody = np.zeros(2, dtype=bool)
        progress = Progress(Position(0, 0), nobody, nobody, steps=steps)
        save_periodic(tmp_path, Checkpoint({"llm/weight": torch.ones(1)}, None, progress))
    assert [folder.name for folder in tmp_path.iterdir()] == ["checkpoint-000000005"]
