"""What `plan` shows before anything is spent: every run, what runs share, what they cost; as a document and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

from scaling.cost.amounts import audio, duration, money, size, two_digits
from scaling.cost.memory import Memory, StepExecution
from scaling.system.console import JOIN
from scaling.system.text_table import text_table
from sweeps.costs.cost_estimate import CostEstimate
from sweeps.costs.exact_costs import StageCost
from sweeps.plan.plan import PlannedNode, PlannedRun
from sweeps.plan.plan_warnings import plan_warnings
from sweeps.plan.prepare import Prepared
from sweeps.plan.stage_consumption import SHARDED_DEVICES
from sweeps.study.study import Study
from sweeps.study.study_model import StudyModel

SHOWN_RUNS = 60
"""Runs that the text lists; the JSON document lists all."""

COST_FIELDS = (
    *("charged_flops", "spent_flops", "spent_over_charged", "to_spend_flops", "audio_hours", "steps", "decoding_flops"),
    *("training_hours", "decoding_hours", "look_hours", "worker_hours", "device_hours", "usd", "workers"),
    *("finish_hours", "speed", "rent", "disk"),
)
"""Fields and properties of a `CostEstimate` that the document holds."""

ExactCosts: TypeAlias = Mapping[str, Sequence[StageCost]]
"""The counted costs of the stages of each run, by the run's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage of a run: its FLOPs, and the audio and the steps that they pay for."""

    name: str
    flops: int
    audio_hours: float
    steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactStage(PlannedStage):
    """A stage whose costs are counted and not estimated."""

    executed_flops: int
    cache_credited_flops: int
    audio_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestStage:
    """A model's stage of most bytes on a device; `sharded_total` is any stage's most with `SHARDED_DEVICES`."""

    model: StudyModel
    stage: str
    execution: StepExecution
    memory: Memory
    sharded_total: int


def plan_document(prepared: Prepared, costs: CostEstimate, exact: ExactCosts | None = None) -> dict[str, object]:
    """What `plan --json` prints. With `exact`, audio, steps and FLOPs of runs are those that results will have."""
    plan, speech = prepared.plan, prepared.study.speech
    return {
        "schema": "asr-scaling/plan-report-1",
        "study": prepared.study.name,
        "n_runs": len(plan.runs),
        "n_nodes": len(plan.nodes),
        "reused": {"runs": prepared.reused_runs, "nodes": len(prepared.done)},
        "new": {"runs": len(plan.runs) - prepared.reused_runs, "nodes": len(plan.nodes) - len(prepared.done)},
        **{name: getattr(costs, name) for name in COST_FIELDS},
        **({} if exact is None else _totals_document(_total(exact))),
        "exact": exact is not None,
        "data": {
            "train_hours": speech.train.hours,
            "train_utterances": len(speech.train),
            "dev_utterances": len(speech.dev),
            "test_utterances": {name: len(test) for name, test in speech.tests},
            "skipped": {name: manifest.skipped for name, manifest in speech.named},
            "language": speech.spec.language,
            "notes": speech.notes(),
            "assumptions": _assumptions(prepared.study),
        },
        "below_onset": [below.as_document() for below in prepared.below_onset],
        "warnings": plan_warnings(prepared.study, prepared.below_onset),
        "memory": [_memory_document(_largest_stage(prepared, model)) for model in prepared.study.models],
        "runs": [_run_document(prepared, run, _stages(prepared, run, exact)) for run in plan.runs],
        "nodes": [_node_document(node, key in prepared.done) for key, node in plan.nodes.items()],
    }


def plan_text(prepared: Prepared, costs: CostEstimate, exact: ExactCosts | None = None) -> str:
    """A plan for people."""
    plan, speech = prepared.plan, prepared.study.speech
    largest_stages = [_largest_stage(prepared, model) for model in prepared.study.models]
    hidden = len(plan.runs) - SHOWN_RUNS
    lines = [
        f"study {prepared.study.name}: {len(plan.runs)} runs, {len(plan.nodes)} stage nodes",
        "",
        _runs_table(prepared, exact),
        *([f"and {hidden} more runs (--json lists all)"] if hidden > 0 else []),
        "",
        _stages_line(prepared.study),
        f"training speech: {audio(speech.train.hours)}, {len(speech.train)} utterances; dev {len(speech.dev)}, test"
        f" {sum(len(test) for _, test in speech.tests)}; language {speech.spec.language}",
        *[f"assumption: {text}" for text in _assumptions(prepared.study)],
        *[f"note: {text}" for text in speech.notes()],
        f"charged {costs.charged_flops:.3e} FLOPs, spent {costs.spent_flops:.3e}"
        f" ({costs.spent_over_charged:.0%}: shared stages are trained once)",
        *([] if exact is None else [_totals_line(_total(exact))]),
        cost_line(costs),
        f"speed of a worker: {costs.speed.flops_per_second:.2e} FLOP/s ({costs.speed.source});"
        f" in decoding {costs.speed.decoding_flops_per_second:.2e} ({costs.speed.decoding_source})",
        f"disk for checkpoints: about {size(costs.disk.peak_bytes)} at most,"
        f" {size(costs.disk.kept_bytes)} kept in the end",
        _memory_line(max(largest_stages, key=lambda largest: largest.memory.total)),
        reuse_line(prepared),
        *[f"  ! {text}" for text in plan_warnings(prepared.study, prepared.below_onset)],
    ]
    return "\n".join(lines)


def _stages_line(study: Study) -> str:
    strategies = {one.name: one for model in study.models for one in model.strategies}
    each = (f"{name} {' + '.join(stage.name for stage in one.stages)}" for name, one in strategies.items())
    return f"steps are those of the stages, in order: {'; '.join(each)}"


def cost_line(costs: CostEstimate) -> str:
    """One line on what the runs that are not done yet cost."""
    rent, usd = costs.rent, costs.usd
    price = "no price known" if usd is None else f"{money(usd)} at {rent.usd_per_hour:g} an hour ({rent.source})"
    training = duration(3600 * costs.training_hours * rent.devices)
    share = 1.0 - costs.training_hours / costs.worker_hours if costs.worker_hours else 0.0
    return (
        f"to train now: {costs.to_spend_flops:.3e} FLOPs, {duration(3600 * costs.device_hours)} of {rent.device}"
        f" ({training} of it training, {share:.0%} decoding dev and test sets), {price};"
        f" done in {duration(3600 * costs.finish_hours)} with {costs.workers} worker{'s' * (costs.workers > 1)}"
    )


def reuse_line(prepared: Prepared) -> str:
    """One line on what is done already."""
    runs, nodes, done = len(prepared.plan.runs), len(prepared.plan.nodes), len(prepared.done)
    reused = prepared.reused_runs
    return f"runs: {reused} reused, {runs - reused} new; stage nodes: {done} reused, {nodes - done} new"


def _assumptions(study: Study) -> list[str]:
    """What the plan assumes in place of speech and tokenizers that are not at hand."""
    assumptions = []
    if study.speech.train.stands_for_hours is not None:
        assumptions.append(f"lengths of the training speech: {len(study.speech.train)} utterances stand for all")
    writing = [model.llm for model in study.models], [m.encoder for m in study.models if m.encoder.dims.objective]
    if without_tokenizer := sorted({base.name for bases in writing for base in bases if base.directory is None}):
        assumptions.append(f"tokens are counted from characters: no tokenizer of {', '.join(without_tokenizer)} here")
    return assumptions


def _stages(prepared: Prepared, run: PlannedRun, exact: ExactCosts | None) -> Sequence[PlannedStage]:
    """The stages of a run, with exact costs where there are any."""
    spec = run.spec
    if exact is not None:
        return [
            ExactStage(name=stage.name, audio_hours=cost.audio_seconds / 3600, **asdict(cost))
            for stage, cost in zip(spec.strategy.stages, exact[run.key], strict=True)
        ]
    stages = []
    for stage in spec.strategy.stages:
        consumption = prepared.consumptions[spec.model, stage]
        flops = stage.budget(spec.budget_flops)
        seconds = flops / consumption.flops_per_audio_second
        steps = seconds / consumption.audio_seconds_per_step
        stages.append(PlannedStage(name=stage.name, flops=flops, audio_hours=seconds / 3600, steps=steps))
    return stages


def _run_document(prepared: Prepared, run: PlannedRun, stages: Sequence[PlannedStage]) -> dict[str, object]:
    hours = sum(stage.audio_hours for stage in stages)
    return {
        "key": run.key,
        "strategy": run.spec.strategy.name,
        "encoder": run.spec.model.encoder_name,
        "llm": run.spec.model.llm_name,
        "budget_flops": run.spec.budget_flops,
        "seed": run.spec.seed,
        "stages": stages,
        "audio_hours": hours,
        "epochs": hours / prepared.study.speech.train.hours,
        "nodes": run.nodes,
        "done": run.end in prepared.done,
    }


def _runs_table(prepared: Prepared, exact: ExactCosts | None) -> str:
    """The first runs; those that differ in their seeds alone share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for run in prepared.plan.runs[:SHOWN_RUNS]:
        stages = _stages(prepared, run, exact)
        spec, hours = run.spec, sum(stage.audio_hours for stage in stages)
        steps = " + ".join(f"{stage.steps:.0f}" for stage in stages) + ", done" * (run.end in prepared.done)
        pair = f"{spec.model.encoder_name}{JOIN}+ {spec.model.llm_name}"
        epochs = hours / prepared.study.speech.train.hours
        cells = (spec.strategy.name, pair, f"{spec.budget_flops:.3g}", two_digits(hours), two_digits(epochs), steps)
        rows.setdefault(cells, []).append(str(spec.seed))
    header = ["strategy", "encoder + LLM", "FLOPs", "audio h", "epochs", "steps", "seeds"]
    return text_table(header, [[*cells, f",{JOIN}".join(seeds)] for cells, seeds in rows.items()])


def _total(exact: ExactCosts) -> StageCost:
    """The sums over all runs, as if each run were trained alone."""
    costs = [cost for stages in exact.values() for cost in stages]
    return StageCost(**{field.name: sum(getattr(cost, field.name) for cost in costs) for field in fields(StageCost)})


def _totals_document(total: StageCost) -> dict[str, object]:
    return {
        "counted_flops": total.flops,
        "executed_flops": total.executed_flops,
        "cache_credited_flops": total.cache_credited_flops,
        "steps": total.steps,
        "audio_hours": total.audio_seconds / 3600,
    }


def _totals_line(total: StageCost) -> str:
    return (
        f"exactly: {total.flops:.6e} FLOPs charged in {total.steps} steps (a stage ends with the step that reaches its"
        f" budget), {total.executed_flops:.6e} executed on CPUs, {total.cache_credited_flops:.6e} with a frozen"
        " encoder's outputs counted once"
    )


def _largest_stage(prepared: Prepared, model: StudyModel) -> LargestStage:
    stages = {stage: use for (spec, stage), use in prepared.consumptions.items() if spec == model.spec}
    largest = max(stages, key=lambda stage: stages[stage].memory.total)
    return LargestStage(
        model=model,
        stage=largest.name,
        execution=prepared.study.execution,
        memory=stages[largest].memory,
        sharded_total=max(use.memory_sharded.total for use in stages.values()),
    )


def _memory_document(largest: LargestStage) -> dict[str, object]:
    return {
        "encoder": largest.model.spec.encoder_name,
        "llm": largest.model.spec.llm_name,
        "stage": largest.stage,
        **asdict(largest.execution),
        **asdict(largest.memory),
        "total": largest.memory.total,
        "sharded_devices": SHARDED_DEVICES,
        "sharded_total": largest.sharded_total,
    }


def _memory_line(largest: LargestStage) -> str:
    memory, execution, spec = largest.memory, largest.execution, largest.model.spec
    several = execution.processes > 1
    device = f"each of a worker's {execution.processes} devices" if several else "a worker"
    shared = ", a share of the LLM on each" if execution.shard else ""
    activations = "activations not known" if memory.activations is None else f"activations {size(memory.activations)}"
    piece = f" of one of {execution.pieces} pieces" if execution.pieces > 1 else ""
    recomputed = ", recomputed layer by layer" if execution.recompute else ""
    casts = f", their casts {size(memory.casts)}" if memory.casts else ""
    others = f"; if {SHARDED_DEVICES} devices shared one run, {size(largest.sharded_total)} each"
    return (
        f"memory of {device} on {spec.encoder_name} + {spec.llm_name}{shared}: at most about {size(memory.total)},"
        f" in stage {largest.stage} (weights {size(memory.weights)}{casts}, gradients and moments"
        f" {size(memory.gradients + memory.moments)}, {activations}{piece}{recomputed})" + others * (not several)
    )


def _node_document(planned: PlannedNode, done: bool) -> dict[str, object]:
    node = planned.node
    return {
        "key": planned.key,
        "stage": node.stage.name,
        **{name: getattr(node, name) for name in ("until_flops", "flops", "parent", "start", "final")},
        "done": done,
    }
