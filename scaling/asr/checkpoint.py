"""The state of a stage on disk: weights, optimizer state, progress, and the position in the stream of batches.

    DIR/weights.safetensors      every part trained so far in the run, `part/name`
    DIR/optimizer.safetensors    AdamW's moments, `part/name/moment`, and torch's random state; absent at a stage's end
    DIR/progress.json            FLOPs and time spent, and the position; it is written last: a checkpoint that has it is
                                 complete

Only tensors and numbers are stored, so that loading a checkpoint runs no code. Where the LLM is sharded, every rank
writes an equal number of tensors, to `weights-2-of-4.safetensors` and the like: no rank holds all of them, and all
write at the same time. The stored tensors are unsharded, so that any number of ranks can continue any checkpoint.
"""

import base64
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.part_weights import Weights
from scaling.errors import InputError
from scaling.ledger.checkpoints import COMPLETE
from scaling.ledger.hearing import Hearing
from scaling.spec import SAMPLE_RATE
from scaling.speech.batches import Position
from scaling.system.atomic_files import sync, write_json_atomically
from scaling.system.contained_files import DESCRIPTORS, InnerFiles
from scaling.system.fault_injection import crash_point
from scaling.system.json_files import json_object


class Counts(TypedDict):
    """What events and results say of a progress, by the names of `scaling.ledger.records`."""

    flops: int
    executed_flops: int
    cache_credited_flops: int | None
    steps: int
    audio_seconds: float
    seconds: float
    wait_seconds: float
    loss: float | None


@dataclass(slots=True)
class Progress:
    """How far a stage has come. Counts are of this stage alone; `position`, `seen` and `encoded` go on from stage to
    stage.

    * `seen`: marks the utterances trained on (N,).
    * `encoded`: marks the utterances that the encoder has encoded with its present weights while frozen (N,).
    * `flops`, `executed_flops`, `cache_credited_flops`: the three currencies of `scaling.cost.step_costs`; the last is
      None where the stage began under a version that did not count it.
    * `wait_seconds`: the part of `seconds` in which training waited for features.
    * `loss`: of the last step; None before the first step, and in a node that begins where it ends.
    * `hearing`: what the looks at hearing have found, by rising FLOPs.
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
    hearing: tuple[Hearing, ...] = ()

    @classmethod
    def beginning(cls, utterances: int) -> "Progress":
        """The progress of a run before its first step."""
        return cls(Position(0, 0), np.zeros(utterances, dtype=bool), np.zeros(utterances, dtype=bool))

    @property
    def counts(self) -> Counts:
        """What events and results say of the progress."""
        return Counts(
            flops=self.flops,
            executed_flops=self.executed_flops,
            cache_credited_flops=self.cache_credited_flops,
            steps=self.steps,
            audio_seconds=self.audio_samples / SAMPLE_RATE,
            seconds=self.seconds,
            wait_seconds=self.wait_seconds,
            loss=self.loss,
        )

    def next_stage(self, *, encoder_frozen: bool) -> "Progress":
        """The progress of the next stage before its first step. `encoder_frozen`: this holds for the next stage."""
        encoded = self.encoded.copy() if encoder_frozen else np.zeros_like(self.encoded)
        return Progress(self.position.next_stage(), self.seen.copy(), encoded)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A state that training can continue, or the tensors of it that this rank writes.

    `optimizer` is None at a stage's end: the next stage begins with a new optimizer.
    """

    weights: Weights
    optimizer: Weights | None
    progress: Progress


def save(folder: Path, checkpoint: Checkpoint, ranks: Ranks = SINGLE_PROCESS) -> None:
    """Write `checkpoint`; each rank writes its own tensors. Nobody continues from one that a kill left torn."""
    if ranks.rank >= ranks.writers:
        return
    InnerFiles(folder.parent).make_folder(folder.name)
    with InnerFiles(folder.parent).folder(folder.name) as opened:
        _save(opened, checkpoint, ranks)


def _save(folder: Path, checkpoint: Checkpoint, ranks: Ranks) -> None:
    part = f"-{ranks.rank + 1}-of-{ranks.writers}" if ranks.writers > 1 else ""
    _save_tensors(checkpoint.weights, folder / f"weights{part}.safetensors")
    if checkpoint.optimizer is not None:
        _save_tensors(checkpoint.optimizer, folder / f"optimizer{part}.safetensors")
    if ranks.writers > 1:
        ranks.all_gather(None)  # no rank writes progress.json before every file is on disk
    if ranks.first:
        progress = checkpoint.progress
        written = {
            "seen": _packed(progress.seen),
            "encoded": _packed(progress.encoded),
            "hearing": [look.as_json() for look in progress.hearing],
            "writers": ranks.writers,
        }
        write_json_atomically(folder / COMPLETE, asdict(progress) | written)


def _save_tensors(tensors: Weights, path: Path) -> None:
    """Write tensors and wait until they are on disk: after a power cut, progress.json must not stand alone."""
    crash_point(f"{path.name}: before it")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    sync(path)
    crash_point(f"{path.name}: written")


def load(root: Path, place: str = "") -> Checkpoint:
    """Read what `save` wrote at `place` below `root`, a ledger's. Raises InputError where a file is missing or broken.

    No link below the root is followed.
    """
    folder = root / place
    try:
        with InnerFiles(root).folder(place) as opened:
            return _loaded(opened, folder)
    except InputError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{folder}: not a readable checkpoint ({type(error).__name__}: {error})") from error


def _loaded(folder: Path, name: Path) -> Checkpoint:
    """The checkpoint in `folder`, an opened one that is called `name` in errors."""
    progress = json_object(InnerFiles(folder).read(COMPLETE), str(name / COMPLETE))
    seen = _unpacked(progress["seen"])
    if "encoded" not in progress:  # written before cache-credited FLOPs were counted
        progress |= {"encoded": _packed(np.zeros_like(seen)), "cache_credited_flops": None}
    encoded = _unpacked(progress["encoded"])
    writers = progress.pop("writers", 1)
    read = {
        "position": Position(**progress["position"]),
        "seen": seen,
        "encoded": encoded,
        "hearing": tuple(Hearing(**look) for look in progress.get("hearing", ())),
    }
    has_optimizer = any(folder.glob("optimizer*.safetensors"))
    return Checkpoint(
        weights=_load_tensors(folder, "weights", writers),
        optimizer=_load_tensors(folder, "optimizer", writers) if has_optimizer else None,
        progress=Progress(**{**progress, **read}),
    )


def _load_tensors(folder: Path, what: str, writers: int) -> Weights:
    files = sorted(folder.glob(f"{what}*.safetensors"))
    if len(files) != writers:
        raise ValueError(f"{len(files)} files of {what}; expected {writers}")
    return {name: tensor for file in files for name, tensor in _load_file(file).items()}


def _load_file(path: Path) -> Weights:
    """The tensors in a file that is no link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        tensors: Weights = load_file(DESCRIPTORS / str(handle) if DESCRIPTORS.is_dir() else path)
    finally:
        os.close(handle)
    return tensors


def save_periodic(attempt: Path, checkpoint: Checkpoint, ranks: Ranks = SINGLE_PROCESS) -> None:
    """Save `checkpoint` as the attempt's newest and remove older ones."""
    newest = attempt / f"checkpoint-{checkpoint.progress.steps:09d}"
    older = set(attempt.glob("checkpoint-*")) - {newest}  # another rank may have begun the newest already
    save(newest, checkpoint, ranks)
    for folder in sorted(older) if ranks.first else ():
        crash_point("an older checkpoint: about to go")
        shutil.rmtree(folder, ignore_errors=True)


def _packed(marks_N: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {"utterances": len(marks_N), "bits": base64.b64encode(np.packbits(marks_N).tobytes()).decode()}


def _unpacked(entry: dict[str, Any]) -> npt.NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(entry["bits"]), dtype=np.uint8)
    return np.unpackbits(packed, count=entry["utterances"]).astype(bool)
