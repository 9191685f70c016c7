"""What a plan costs before it is started: FLOPs charged and spent, audio, steps and hours."""

from dataclasses import dataclass
from itertools import islice

from scaling.hardware import ASSUMED_MFU, HARDWARE
from scaling.ledger import Ledger
from scaling.throughput import saved_throughput
from sweeps.preparation import Prepared

SAMPLED_NODES = 200
"""Nodes of other studies looked at for a speed: enough for a mean, quick in a ledger of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Charged FLOPs a second of one worker, and where the figure comes from."""

    flops_per_second: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a study. Audio and steps are those of all runs, as charged; hours are of one worker."""

    charged_flops: int
    spent_flops: int
    reused_flops: int
    audio_hours: float
    steps: float
    worker_hours: float
    speed: Speed

    @property
    def spent_over_charged(self) -> float:
        """What sharing leaves to pay, as a fraction."""
        return self.spent_flops / self.charged_flops


def bill(prepared: Prepared, ledger: Ledger | None) -> Bill:
    """The bill of a plan. Nodes that are finished in `ledger` cost nothing more."""
    plan = prepared.plan
    speed = _speed(prepared, ledger)
    reused = sum(plan.nodes[key].flops for key in prepared.done)
    audio_seconds = steps = 0.0
    for run in plan.runs:
        for stage in run.spec.strategy.stages:
            appetite = prepared.appetites[run.spec.model, stage]
            seconds = stage.budget(run.spec.budget_flops) / appetite.flops_per_audio_second
            audio_seconds += seconds
            steps += seconds / appetite.audio_seconds_per_step
    return Bill(
        charged_flops=plan.charged_flops,
        spent_flops=plan.spent_flops,
        reused_flops=reused,
        audio_hours=audio_seconds / 3600,
        steps=steps,
        worker_hours=(plan.spent_flops - reused) / speed.flops_per_second / 3600,
        speed=speed,
    )


def _speed(prepared: Prepared, ledger: Ledger | None) -> Speed:
    """The mean speed of finished nodes, this plan's if there are any, else from `doctor`, else of a usual CPU core."""
    for keys, whose in ((sorted(prepared.done), "of this study"), (_others(ledger), "of other studies")):
        results = [ledger.result(key) for key in keys] if ledger is not None else []
        spent = [result["spent"] for result in results if result is not None]
        seconds = sum(entry["seconds"] for entry in spent)
        if seconds > 0:
            flops = sum(entry["flops"] for entry in spent)
            return Speed(flops_per_second=flops / seconds, source=f"measured on {len(spent)} finished nodes {whose}")
    core, threads = HARDWARE["cpu-core"], prepared.study.threads
    measured = saved_throughput()
    if measured is not None:
        mfu, products = (ASSUMED_MFU, 1) if measured.accelerator else (core.mfu, threads / measured.threads)
        source = f"estimate: {mfu:.0%} of the matrix products that `doctor` measured here, in {measured.precision}"
        return Speed(flops_per_second=measured.flops_per_second * mfu * products, source=source)
    source = f"assumption: {threads} x the cpu-core of scaling.hardware"
    return Speed(flops_per_second=core.peak_flops * core.mfu * threads, source=source)


def _others(ledger: Ledger | None) -> list[str]:
    stages = ledger.root / "stages" if ledger is not None else None
    keys = (folder.name for folder in stages.iterdir()) if stages is not None and stages.is_dir() else iter(())
    return list(islice(keys, SAMPLED_NODES))
