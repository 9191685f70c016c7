"""Checkpoints on disk, where several ranks write one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from scaling.asr.checkpoint import Checkpoint, Progress, load, save, save_periodic
from scaling.errors import InputError
from scaling.speech.batches import Position


def test_a_checkpoint_stays_where_another_rank_has_begun_its_folder_and_older_ones_go(tmp_path: Path) -> None:
    for steps in (3, 5):
        (tmp_path / f"checkpoint-{steps:09d}").mkdir()  # as a quicker rank does
        nobody = np.zeros(2, dtype=bool)
        progress = Progress(Position(0, 0), nobody, nobody, steps=steps)
        save_periodic(tmp_path, Checkpoint({"llm/weight": torch.ones(1)}, None, progress))
    assert [folder.name for folder in tmp_path.iterdir()] == ["checkpoint-000000005"]


def test_a_checkpoint_with_a_link_in_place_of_a_file_or_a_folder_is_not_read(tmp_path: Path) -> None:
    nobody = np.zeros(2, dtype=bool)
    checkpoint = Checkpoint({"llm/weight": torch.ones(1)}, None, Progress(Position(0, 0), nobody, nobody))
    ledger = tmp_path / "ledger"
    save(ledger / "attempts" / "final", checkpoint)
    assert load(ledger, "attempts/final").weights["llm/weight"].item() == 1
    private = tmp_path / "private"
    (ledger / "attempts" / "final" / "weights.safetensors").rename(private)
    (ledger / "attempts" / "final" / "weights.safetensors").symlink_to(private)
    with pytest.raises(InputError, match="final: not a readable checkpoint"):
        load(ledger, "attempts/final")
    save(tmp_path / "elsewhere" / "final", checkpoint)
    (ledger / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="more: is a symbolic link; expected a folder"):
        load(ledger, "more/final")


def test_a_checkpoint_is_not_written_through_a_link(tmp_path: Path) -> None:
    nobody = np.zeros(2, dtype=bool)
    checkpoint = Checkpoint({"llm/weight": torch.ones(1)}, None, Progress(Position(0, 0), nobody, nobody))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "weights.safetensors").write_text("a stranger's")
    (tmp_path / "final").symlink_to(stranger)
    with pytest.raises(InputError, match="final: is a symbolic link; expected a folder"):
        save(tmp_path / "final", checkpoint)
    assert (stranger / "weights.safetensors").read_text() == "a stranger's"
    assert len(list(stranger.iterdir())) == 1
