"""Checks whether this machine is ready: what is installed, what works, and how fast matrices are multiplied."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from scaling.cost.hardware import Throughput, save_throughput
from scaling.system.cache import cache_dir
from scaling.system.own_code import python_module
from sweeps.launchers.worker_command import missing_trainer_modules

PROBE_SECONDS = 300.0
"""Time limit of the probe. From a cold network disk torch takes a minute; what takes longer hangs (assumption)."""

LOW_DISK_GIB = 5.0
"""Less free disk than this is a broken check: a study of the minis writes under 1 GiB, and one checkpoint of a 7B LLM
with all its weights trained takes 28 GiB (assumption: a value between)."""


class Health(StrEnum):
    """`missing`: an optional part is not installed. `broken`: a part is installed and does not work."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check; `detail` says what was found, or what to do."""

    name: str
    health: Health
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All checks, and this machine's speed where torch could measure it."""

    checks: tuple[Check, ...]
    throughput: Throughput | None

    @property
    def any_broken(self) -> bool:
        """Whether any part is installed and does not work."""
        return any(check.health is Health.BROKEN for check in self.checks)


def diagnosis_of(folder: Path) -> Diagnosis:
    """Run all checks; the disk checked is that of `folder`. The measured speed is stored for `plan`."""
    torch, accelerator, throughput = _torch()
    if throughput is not None:
        save_throughput(throughput)
    checks = (torch, accelerator, _espeak(), _wandb(), _slurm(), _disk("disk", folder), _disk("cache", cache_dir()))
    return Diagnosis(checks=checks, throughput=throughput)


def diagnosis_document(diagnosis: Diagnosis) -> dict[str, object]:
    """What `doctor --json` prints."""
    throughput = None if diagnosis.throughput is None else asdict(diagnosis.throughput)
    if throughput is not None:
        del throughput["accelerator"]
    checks = [asdict(check) for check in diagnosis.checks]
    return {"schema": "asr-scaling/doctor-1", "checks": checks, "throughput": throughput}


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """A line for each check."""
    lines = [f"{check.health:<8}{check.name:<13}{check.detail}" for check in diagnosis.checks]
    if (measured := diagnosis.throughput) is not None:
        lines.append(
            f"{'':<8}{'throughput':<13}{measured.flops_per_second:.3g} FLOP/s in {measured.precision} matrix products"
            f" on {measured.device}, {measured.threads} thread; `plan` estimates hours from it"
        )
    return "\n".join(lines)


def _torch() -> tuple[Check, Check, Throughput | None]:
    absent = Check(name="accelerator", health=Health.MISSING, detail="not looked for without torch")
    missing = missing_trainer_modules()
    if missing:
        detail = f"training needs {', '.join(missing)}: pip install 'asr-scaling[train]'"
        return Check(name="torch", health=Health.MISSING, detail=detail), absent, None
    try:
        probed = json.loads(_output([*python_module("scaling.asr.execution.probe")], PROBE_SECONDS))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Check(name="torch", health=Health.BROKEN, detail=_cause(error)), absent, None
    versions = ", ".join(f"{name} {probed[name]}" for name in ("torch", "transformers", "peft"))
    device = (
        Check(name="accelerator", health=Health.OK, detail=probed["device"])
        if probed["accelerator"]
        else Check(name="accelerator", health=Health.MISSING, detail=f"none that torch sees; CPU {probed['device']}")
    )
    fields = ("device", "accelerator", "threads", "precision", "flops_per_second")
    throughput = Throughput(**{field: probed[field] for field in fields})
    return Check(name="torch", health=Health.OK, detail=versions), device, throughput


def _espeak() -> Check:
    if importlib.util.find_spec("espeakng_loader") is None:
        detail = "synthetic corpora need it: pip install 'asr-scaling[synth]'"
        return Check(name="espeak", health=Health.MISSING, detail=detail)
    from scaling.errors import InputError
    from scaling.speech.synthetic.espeak import SynthesisRequest, synthesise

    try:
        samples, rate = synthesise(SynthesisRequest(text="1", voice="cmn", rate_wpm=160, pitch=50, seed=0))
    except (InputError, OSError) as error:
        return Check(name="espeak", health=Health.BROKEN, detail=str(error))
    spoken = f"said a digit in {len(samples) / rate:.2f} s"
    detail = f"espeakng-loader {importlib.metadata.version('espeakng-loader')}, {spoken}"
    return Check(name="espeak", health=Health.OK, detail=detail)


def _wandb() -> Check:
    if importlib.util.find_spec("wandb") is None:
        detail = "tracking needs it: pip install 'asr-scaling[track]'"
        return Check(name="wandb", health=Health.MISSING, detail=detail)
    mode = os.environ.get("WANDB_MODE", "offline")
    return Check(name="wandb", health=Health.OK, detail=f"wandb {importlib.metadata.version('wandb')}, mode {mode}")


def _slurm() -> Check:
    if shutil.which("sinfo") is None or shutil.which("sbatch") is None:
        return Check(name="slurm", health=Health.MISSING, detail="no sbatch here; studies run on this machine")
    try:
        nodes = _output(["sinfo", "--noheader", "--format=%P %D %T"], 10.0).strip().replace("\n", "; ")
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name="slurm", health=Health.BROKEN, detail=_cause(error))
    return Check(name="slurm", health=Health.OK, detail=f"partitions: {nodes}")


def _disk(name: str, folder: Path) -> Check:
    """Whether the disk on which `folder` is, or would be, can be written to and has space."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if not os.access(existing, os.W_OK):
        return Check(name=name, health=Health.BROKEN, detail=f"{existing} cannot be written to")
    health = Health.OK if free >= LOW_DISK_GIB else Health.BROKEN
    return Check(name=name, health=health, detail=f"{free:.1f} GiB free at {existing}")


def _output(command: list[str], seconds: float) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True).stdout


def _cause(error: Exception) -> str:
    """The last line that a failed process printed, or the error itself."""
    printed = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = str(printed or "").strip().splitlines()
    return lines[-1] if lines else str(error)
