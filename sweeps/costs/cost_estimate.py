"""What a plan costs before it is started: FLOPs charged and spent, audio, steps, hours, money and disk."""

from dataclasses import dataclass

from scaling.cost.evaluation_pacing import look_seconds
from scaling.cost.hardware import HARDWARE, saved_throughput
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from sweeps.costs.checkpoint_disk import CheckpointDisk, checkpoint_disk
from sweeps.costs.tariff import Tariff
from sweeps.costs.worker_speed import WorkerSpeed, worker_speed
from sweeps.launchers.local_workers import default_workers
from sweeps.plan.evaluation import evaluation_flops
from sweeps.plan.plan import needs_of, remaining_costs
from sweeps.plan.prepare import Prepared
from sweeps.plan.stage_consumption import but_for_seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """What a worker occupies: so many devices, each at a price an hour. None: no price is known."""

    devices: int
    device: str
    usd_per_hour: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """The cost of a study. Audio and steps are those of all runs, as charged; the rest is what is still to pay.

    `worker_hours` are of one worker, `device_hours` those of all its devices, `finish_hours` until the last of
    `workers` workers is through: no less than the longest chain of nodes that wait for one another. All three hold
    `training_hours`, of one worker, which are what `recommend` and the page say of a run, `decoding_hours`, of one
    worker for dev and test sets where runs end (`decoding_flops`), and `look_hours`, of one worker for looks at dev
    during training. FLOPs other than `decoding_flops` are those of training alone.
    """

    charged_flops: int
    spent_flops: int
    reused_flops: int
    audio_hours: float
    steps: float
    decoding_flops: int
    training_hours: float
    decoding_hours: float
    look_hours: float
    worker_hours: float
    workers: int
    finish_hours: float
    speed: WorkerSpeed
    rent: Rent
    disk: CheckpointDisk

    @property
    def spent_over_charged(self) -> float:
        """The FLOPs that are trained over those charged: below 1 where runs share nodes."""
        return self.spent_flops / self.charged_flops

    @property
    def to_spend_flops(self) -> int:
        """FLOPs still to train."""
        return self.spent_flops - self.reused_flops

    @property
    def device_hours(self) -> float:
        """Hours of devices still to pay."""
        return self.worker_hours * self.rent.devices

    @property
    def usd(self) -> float | None:
        """Money still to pay; None where no price is known."""
        return None if self.rent.usd_per_hour is None else self.device_hours * self.rent.usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a study may still cost. None: no limit."""

    flops: float | None = None
    device_hours: float | None = None
    usd: float | None = None

    def refuse(self, costs: CostEstimate) -> None:
        """Raise InputError where the estimate exceeds a limit, or where money is limited and no price is known."""
        for flag, most, cost, unit in (
            ("--max-flops", self.flops, costs.to_spend_flops, "FLOPs"),
            ("--max-hours", self.device_hours, costs.device_hours, f"device-hours ({costs.speed.source})"),
            ("--max-usd", self.usd, costs.usd, f"USD ({costs.speed.source}; rent: {costs.rent.source})"),
        ):
            if most is not None and cost is None:
                raise InputError(f"{flag} {most:g}: no price of {costs.rent.device} is known; give --usd-per-hour")
            if most is not None and cost is not None and cost > most:
                raise InputError(f"{flag} {most:g}: what is left of this study costs {cost:.4g} {unit}")


def estimate_cost(
    prepared: Prepared, ledger: Ledger | None, tariff: Tariff | None = None, workers: int | None = None
) -> CostEstimate:
    """The cost estimate of a plan. Nodes that are finished in `ledger` cost nothing more.

    `workers` work side by side, as many as this machine has room for where not given.
    """
    plan, study = prepared.plan, prepared.study
    tariff = tariff or Tariff()
    processes = study.execution.processes
    side_by_side = workers or default_workers(study.threads, study.processes)
    charged, spent = plan.charged_flops, plan.spent_flops
    reused = sum(plan.nodes[key].node.flops for key in prepared.done)
    audio_seconds = steps = 0.0
    for run, count in but_for_seeds([run.spec for run in plan.runs]):
        for stage in run.strategy.stages:
            consumption = prepared.consumptions[run.model, stage]
            seconds = count * stage.budget(run.budget_flops) / consumption.flops_per_audio_second
            audio_seconds += seconds
            steps += seconds / consumption.audio_seconds_per_step
    decoding = evaluation_flops(study, plan)
    speed = worker_speed(prepared, ledger, tariff.hardware, charged / steps, decoding)
    trained = {
        key: speed.training.seconds(
            node.flops, node.flops / prepared.consumptions[node.model, node.stage].flops_per_step
        )
        for key, node in ((key, link.node) for key, link in plan.nodes.items() if key not in prepared.done)
    }
    decoded = {key: flops / speed.decoding_flops_per_second for key, flops in decoding.items() if key in trained}
    looks = sum(map(look_seconds, trained.values()))
    worked = {key: seconds + look_seconds(seconds) + decoded.get(key, 0.0) for key, seconds in trained.items()}
    longest = max(remaining_costs(needs_of(plan.nodes), worked).values())
    return CostEstimate(
        charged_flops=charged,
        spent_flops=spent,
        reused_flops=reused,
        audio_hours=audio_seconds / 3600,
        steps=steps,
        decoding_flops=sum(decoding[key] for key in decoded),
        training_hours=sum(trained.values()) / 3600,
        decoding_hours=sum(decoded.values()) / 3600,
        look_hours=looks / 3600,
        worker_hours=sum(worked.values()) / 3600,
        workers=side_by_side,
        finish_hours=max(sum(worked.values()) / side_by_side, longest) / 3600,
        speed=speed,
        rent=_rent(study.threads, processes, tariff),
        disk=checkpoint_disk(study, plan),
    )


def _rent(threads: int, processes: int, tariff: Tariff) -> Rent:
    measured = saved_throughput()
    usual: float | None
    if tariff.hardware is not None:
        devices, device, usual = processes, tariff.hardware.hardware.name, tariff.hardware.hardware.usd_per_hour
    elif measured is not None and measured.accelerator:
        devices, device, usual = processes, measured.device, None
    else:
        devices, device, usual = threads * processes, "cpu-core", HARDWARE["cpu-core"].usd_per_hour
    given = tariff.usd_per_hour
    source = "given" if given is not None else "assumption"
    return Rent(devices=devices, device=device, usd_per_hour=usual if given is None else given, source=source)
