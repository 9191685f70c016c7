"""The state of a stage on disk: weights by part, optimizer moments, random state and where the stream stands.

    DIR/weights.safetensors      every part trained so far in the run, `part/name`
    DIR/optimizer.safetensors    AdamW's moments, `part/name/moment`, and torch's random state (absent at a stage's end)
    DIR/progress.json            what was spent and where the stream stands; written last: it exists = complete

Only tensors and numbers are stored, so that loading a checkpoint runs no code.
"""

import base64
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from scaling.ledger import read_json, write_atomically
from scaling.stream import Position

Weights = dict[str, Tensor]


@dataclass(slots=True)
class Progress:
    """How far a stage has come. Counts are of this stage alone; `position` and `seen` carry on from stage to stage.

    `flops` is charged, `executed_flops` what ran, padding and all. `seen` marks the utterances trained on (N,). `loss`
    is that of the last step, None before the first: a node that its start has reached already takes none.
    """

    flops: int
    executed_flops: int
    steps: int
    audio_samples: int
    seconds: float
    position: Position
    seen: npt.NDArray[np.bool_]
    loss: float | None = None

    @classmethod
    def beginning(cls, position: Position, seen: npt.NDArray[np.bool_]) -> "Progress":
        """A stage before its first step."""
        return cls(0, 0, 0, 0, 0.0, position, seen.copy())


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A state that training can go on from. `optimizer` is None at a stage's end: the next stage starts afresh."""

    weights: Weights
    optimizer: Weights | None
    progress: Progress


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint`; a kill on the way leaves a folder that `load_latest` ignores."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: t.detach().cpu().contiguous() for name, t in checkpoint.weights.items()}, folder / "weights.safetensors"
    )
    if checkpoint.optimizer is not None:
        save_file(checkpoint.optimizer, folder / "optimizer.safetensors")
    progress = asdict(checkpoint.progress)
    progress["seen"] = {
        "utterances": len(checkpoint.progress.seen),
        "bits": base64.b64encode(np.packbits(checkpoint.progress.seen).tobytes()).decode(),
    }
    write_atomically(folder / "progress.json", progress)


def load(folder: Path) -> Checkpoint:
    """Read what `save` wrote. Raises InputError or SafetensorError where a file is missing or broken."""
    progress = read_json(folder / "progress.json")
    seen = progress.pop("seen")
    bits = np.unpackbits(np.frombuffer(base64.b64decode(seen["bits"]), dtype=np.uint8), count=seen["utterances"])
    optimizer = folder / "optimizer.safetensors"
    return Checkpoint(
        weights=load_file(folder / "weights.safetensors"),
        optimizer=load_file(optimizer) if optimizer.exists() else None,
        progress=Progress(**{**progress, "position": Position(**progress["position"]), "seen": bits.astype(bool)}),
    )


def save_periodic(attempt: Path, checkpoint: Checkpoint) -> None:
    """Keep `checkpoint` as the attempt's newest and drop the older ones."""
    older = sorted(attempt.glob("checkpoint-*"))
    save(attempt / f"checkpoint-{checkpoint.progress.steps:09d}", checkpoint)
    for folder in older:
        shutil.rmtree(folder, ignore_errors=True)


def load_latest(attempts: list[Path]) -> Checkpoint | None:
    """The complete periodic checkpoint with the most steps among a node's attempts."""
    complete = [path.parent for attempt in attempts for path in attempt.glob("checkpoint-*/progress.json")]
    return load(max(complete, key=lambda folder: folder.name)) if complete else None


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[torch.nn.Parameter, str]) -> Weights:
    """AdamW's moments by parameter name, and torch's random state."""
    moments = {
        f"{name}/{moment}": value.detach().cpu().contiguous()
        for parameter, name in names.items()
        for moment, value in optimizer.state[parameter].items()
    }
    return moments | {"random": torch.get_rng_state()}


def restore_optimizer(optimizer: torch.optim.Optimizer, names: dict[torch.nn.Parameter, str], tensors: Weights) -> None:
    """The inverse of `optimizer_tensors`: moments and torch's random state."""
    moments: dict[str, Weights] = {}
    for path, value in tensors.items():
        name, _, moment = path.rpartition("/")
        moments.setdefault(name, {})[moment] = value
    for parameter, name in names.items():
        if name in moments:
            optimizer.state[parameter] = {
                moment: value if moment == "step" else value.to(parameter.device)
                for moment, value in moments[name].items()
            }
    torch.set_rng_state(tensors["random"])
