"""The state of a stage on disk: weights by part, optimizer moments, random state and where the stream stands.

    DIR/weights.safetensors      every part trained so far in the run, `part/name`
    DIR/optimizer.safetensors    AdamW's moments, `part/name/moment`, and torch's random state (absent at a stage's end)
    DIR/progress.json            what was spent and where the stream stands; written last: it exists = complete

Only tensors and numbers are stored, so that loading a checkpoint runs no code. Where ranks share the LLM each writes as
many tensors as the others, to `weights-2-of-4.safetensors` and the like: no rank holds all of them, and all write at
once. Every tensor is whole, however many ranks held shares of it: any number of ranks goes on from any checkpoint.
"""

import base64
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scaling.asr.execution.optimizer import FlatAdamW
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.sharding import gather
from scaling.errors import InputError
from scaling.speech.batches import Position
from scaling.system.atomic_files import sync, write_json_atomically
from scaling.system.fault_injection import crash_point
from scaling.system.json_files import read_json

Weights = dict[str, Tensor]


@dataclass(slots=True)
class Progress:
    """How far a stage has come. Counts are of this stage alone; `position`, `seen` and `encoded` carry on.

    The three currencies are those of `scaling.cost.step_costs`; `cache_credited_flops` is None where the stage began under a
    version that did not count it. `seen` marks the utterances trained on (N,), `encoded` those that the encoder as it
    is now has heard while frozen (N,). `wait_seconds` of `seconds` passed waiting for features. `loss` is that of the
    last step, None before the first: a node that its start has reached already takes none.
    """

    position: Position
    seen: npt.NDArray[np.bool_]
    encoded: npt.NDArray[np.bool_]
    flops: int = 0
    executed_flops: int = 0
    cache_credited_flops: int | None = 0
    steps: int = 0
    audio_samples: int = 0
    seconds: float = 0.0
    wait_seconds: float = 0.0
    loss: float | None = None

    @classmethod
    def beginning(cls, utterances: int) -> "Progress":
        """A run before its first step."""
        return cls(Position(0, 0), np.zeros(utterances, dtype=bool), np.zeros(utterances, dtype=bool))

    def next_stage(self, *, encoder_frozen: bool) -> "Progress":
        """The stage after this one before its first step; training the encoder outdates what it heard."""
        encoded = self.encoded.copy() if encoder_frozen else np.zeros_like(self.encoded)
        return Progress(self.position.next_stage(), self.seen.copy(), encoded)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A state that training can go on from, or what this rank writes of it.

    `optimizer` is None at a stage's end: the next stage starts afresh.
    """

    weights: Weights
    optimizer: Weights | None
    progress: Progress


def save(folder: Path, checkpoint: Checkpoint, ranks: Ranks = SINGLE_PROCESS) -> None:
    """Write `checkpoint`, each rank its own; a kill on the way leaves a folder that `latest` ignores."""
    if ranks.rank >= ranks.writers:
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = f"-{ranks.rank + 1}-of-{ranks.writers}" if ranks.writers > 1 else ""
    _save_tensors(checkpoint.weights, folder / f"weights{part}.safetensors")
    if checkpoint.optimizer is not None:
        _save_tensors(checkpoint.optimizer, folder / f"optimizer{part}.safetensors")
    if ranks.writers > 1:
        ranks.all_gather(None)  # every file is on disk before the mark says so
    if ranks.first:
        progress = checkpoint.progress
        marks = {"seen": _marks(progress.seen), "encoded": _marks(progress.encoded)}
        write_json_atomically(folder / "progress.json", asdict(progress) | marks | {"writers": ranks.writers})


def _save_tensors(tensors: Weights, path: Path) -> None:
    """Write tensors and wait for the disk: what says that they are complete must not outlive them in a power cut."""
    crash_point(f"{path.name}: before it")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    sync(path)
    crash_point(f"{path.name}: written")


def load(folder: Path) -> Checkpoint:
    """Read what `save` wrote. Raises InputError where a file is missing or broken."""
    try:
        return _loaded(folder)
    except InputError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{folder}: not a readable checkpoint ({type(error).__name__}: {error})") from error


def _loaded(folder: Path) -> Checkpoint:
    progress = read_json(folder / "progress.json")
    seen = _marked(progress["seen"])
    if "encoded" not in progress:  # written before cache-credited FLOPs were counted
        progress |= {"encoded": _marks(np.zeros_like(seen)), "cache_credited_flops": None}
    encoded = _marked(progress["encoded"])
    writers = progress.pop("writers", 1)
    has_optimizer = any(folder.glob("optimizer*.safetensors"))
    return Checkpoint(
        weights=_load_tensors(folder, "weights", writers),
        optimizer=_load_tensors(folder, "optimizer", writers) if has_optimizer else None,
        progress=Progress(
            **{**progress, "position": Position(**progress["position"]), "seen": seen, "encoded": encoded}
        ),
    )


def _load_tensors(folder: Path, what: str, writers: int) -> Weights:
    files = sorted(folder.glob(f"{what}*.safetensors"))
    if len(files) != writers:
        raise ValueError(f"{len(files)} files of {what}; expected {writers}")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def save_periodic(attempt: Path, checkpoint: Checkpoint, ranks: Ranks = SINGLE_PROCESS) -> None:
    """Keep `checkpoint` as the attempt's newest and drop the older ones."""
    newest = attempt / f"checkpoint-{checkpoint.progress.steps:09d}"
    older = set(attempt.glob("checkpoint-*")) - {newest}  # which another rank may have begun
    save(newest, checkpoint, ranks)
    for folder in sorted(older) if ranks.first else ():
        crash_point("an older checkpoint: about to go")
        shutil.rmtree(folder, ignore_errors=True)


def latest(attempts: list[Path]) -> Path | None:
    """The complete checkpoint with the most steps among a node's attempts: the final one, else a periodic one."""
    complete = [path.parent for attempt in attempts for path in attempt.glob("*/progress.json")]
    return max(complete, key=lambda folder: folder.name, default=None)


def tensors_to_write(tensors: Iterable[tuple[str, Tensor]], ranks: Ranks) -> Weights:
    """Of whole tensors, copied, those that this rank writes; all must ask. A rank at a time is left with one."""
    found: Weights = {}
    for number, (name, tensor) in enumerate(tensors):
        full = gather(tensor.detach())
        if number % ranks.writers == ranks.rank:
            found[name] = full.to("cpu", copy=True)
    return found


def optimizer_tensors(optimizer: FlatAdamW, names: dict[nn.Parameter, str], ranks: Ranks = SINGLE_PROCESS) -> Weights:
    """AdamW's moments by parameter name, those that this rank writes, and on the first torch's random state."""
    moments = (
        (f"{name}/{moment}", value)
        for parameter, name in names.items()
        for moment, value in optimizer.moments(parameter).items()
    )
    return tensors_to_write(moments, ranks) | ({"random": torch.get_rng_state()} if ranks.first else {})


def restore_optimizer(optimizer: FlatAdamW, names: dict[nn.Parameter, str], tensors: Weights) -> None:
    """The inverse of `optimizer_tensors`: moments and torch's random state."""
    moments: dict[str, Weights] = {}
    for path, value in tensors.items():
        name, _, moment = path.rpartition("/")
        moments.setdefault(name, {})[moment] = value
    for parameter, name in names.items():
        optimizer.restore(parameter, moments.get(name, {}))
    torch.set_rng_state(tensors["random"])


def _marks(marks_N: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {"utterances": len(marks_N), "bits": base64.b64encode(np.packbits(marks_N).tobytes()).decode()}


def _marked(entry: dict[str, Any]) -> npt.NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(entry["bits"]), dtype=np.uint8)
    return np.unpackbits(packed, count=entry["utterances"]).astype(bool)
