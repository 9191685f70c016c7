"""Plans, outcomes and states as documents and as text for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scaling.spec import RunSpec
from sweeps.costs.cost_estimate import CostEstimate
from sweeps.costs.exact_costs import StageCost
from sweeps.plan.plan import Plan, PlannedRun
from sweeps.plan.prepare import Prepared
from sweeps.plan.stage_consumption import SHARDED_DEVICES
from sweeps.progress.status import State
from sweeps.run.run import Outcome
from sweeps.study.study import Study, StudyModel
from sweeps.units import duration, size

SHOWN_RUNS = 60
"""Lines of runs a terminal is given; --json has them all."""


def plan_document(
    prepared: Prepared, costs: CostEstimate, exact: Mapping[str, Sequence[StageCost]] | None = None
) -> dict[str, Any]:
    """What `plan --json` prints. With `exact`, audio, steps and FLOPs of runs are those that their results will say."""
    plan, study = prepared.plan, prepared.study
    hours = study.speech.train.hours
    runs = [_run(prepared, run, None if exact is None else exact[run.key], hours) for run in plan.runs]
    counted = {} if exact is None else _counted(runs)
    return {
        "schema": "asr-scaling/plan-report-1",
        "study": study.name,
        "n_runs": len(plan.runs),
        "n_nodes": len(plan.nodes),
        "reused": {"runs": prepared.reused_runs, "nodes": len(prepared.done)},
        "new": {"runs": len(plan.runs) - prepared.reused_runs, "nodes": len(plan.nodes) - len(prepared.done)},
        **costs_document(costs),
        **counted,
        "exact": exact is not None,
        "data": _data(prepared),
        "memory": [_memory(prepared, model) for model in study.models],
        "runs": runs,
        "nodes": [_node(plan, key, key in prepared.done) for key in plan.nodes],
    }


def plan_text(document: dict[str, Any]) -> str:
    """A plan for people."""
    runs = document["runs"]
    lines = [
        f"study {document['study']}: {document['n_runs']} runs, {document['n_nodes']} stage nodes",
        "",
        f"{'strategy':<22}{'encoder + LLM':<34}{'seed':>5}{'FLOPs':>11}{'audio h':>9}{'epochs':>8}  {'steps by stage'}",
    ]
    for run in runs[:SHOWN_RUNS]:
        steps = ", ".join(f"{stage['name']} {stage['steps']:.0f}" for stage in run["stages"])
        lines.append(
            f"{run['strategy']:<22}{run['encoder'] + ' + ' + run['llm']:<34}{run['seed']:>5}"
            f"{run['budget_flops']:>11.3g}{run['audio_hours']:>9.2f}{run['epochs']:>8.2f}  {steps}"
            + ("  (done)" if run["done"] else "")
        )
    if len(runs) > SHOWN_RUNS:
        lines.append(f"... and {len(runs) - SHOWN_RUNS} more (--json lists all)")
    data = document["data"]
    lines += [
        "",
        f"training speech: {data['train_hours']:.2f} h, {data['train_utterances']} utterances; dev"
        f" {data['dev_utterances']}, test {sum(data['test_utterances'].values())}",
        *[f"assumption: {text}" for text in data["assumptions"]],
        *[f"note: {text}" for text in data["notes"]],
        f"charged {document['charged_flops']:.3e} FLOPs, spent {document['spent_flops']:.3e}"
        f" ({document['spent_over_charged']:.0%}: shared stages are trained once)",
        *_exact_lines(document),
        price_line(document),
        _speed_line(document["speed"]),
        f"disk for checkpoints: about {size(document['disk']['peak_bytes'])} at most,"
        f" {size(document['disk']['kept_bytes'])} kept in the end",
        _memory_line(max(document["memory"], key=lambda memory: memory["total"])),
        _reuse(document),
    ]
    return "\n".join(lines)


def price_line(document: dict[str, Any]) -> str:
    """One line on what is still to pay."""
    rent, usd = document["rent"], document["usd"]
    money = "no price known" if usd is None else f"{usd:.3g} USD at {rent['usd_per_hour']:g} an hour ({rent['source']})"
    decoding = document["decoding_hours"] + document["look_hours"]
    share = decoding / document["worker_hours"] if document["worker_hours"] else 0.0
    return (
        f"to train now: {document['to_spend_flops']:.3e} FLOPs, {duration(3600 * document['device_hours'])} of"
        f" {rent['device']} ({share:.0%} of it decoding dev and test sets), {money};"
        f" done in {duration(3600 * document['finish_hours'])} with"
        f" {document['workers']} worker{'s' * (document['workers'] > 1)}"
    )


def _speed_line(speed: dict[str, Any]) -> str:
    return (
        f"speed of a worker: {speed['flops_per_second']:.2e} FLOP/s ({speed['source']});"
        f" in decoding {speed['decoding_flops_per_second']:.2e} ({speed['decoding_source']})"
    )


def reuse_text(prepared: Prepared) -> str:
    """One line on what exists already."""
    runs, nodes, done = len(prepared.plan.runs), len(prepared.plan.nodes), len(prepared.done)
    reused = prepared.reused_runs
    return f"runs: {reused} reused, {runs - reused} new; stage nodes: {done} reused, {nodes - done} new"


def outcome_document(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """What `run --json` prints."""
    counts = Counter(outcome.survey.runs.values())
    nodes = outcome.survey.nodes
    return {
        "schema": "asr-scaling/outcome-1",
        "folder": str(folder),
        "table": str(folder / "runs.jsonl"),
        "runs": {state.value: counts[state] for state in State},
        "stopped_by": outcome.stopped_by,
        "failed": [{"node": key, "cause": nodes[key].cause} for key in outcome.survey.in_state(State.FAILED)],
        "blocked": [{"node": key, "cause": nodes[key].cause} for key in outcome.survey.in_state(State.BLOCKED)],
        "rows": [row.as_json() for row in outcome.rows],
    }


def outcome_text(document: dict[str, Any]) -> str:
    """The table of an invocation for people."""
    lines = [f"{'strategy':<22}{'encoder + LLM':<34}{'seed':>5}{'FLOPs':>11}{'CER':>9}{'dev CER':>9}"]
    for row in document["rows"]:
        known = [row["cer"], row["dev_cer"]]
        scores = [f"{row['status']:>9}" if value is None else f"{value:>9.4f}" for value in known]
        models = f"{row['encoder']} + {row['llm']}"
        lines.append(
            f"{row['strategy']:<22}{models:<34}{row['seed']:>5}{row.get('flops', row['budget_flops']):>11.3g}"
            + "".join(scores)
        )
    runs = ", ".join(f"{count} {state}" for state, count in document["runs"].items() if count)
    lines += ["", f"runs: {runs}; table: {document['table']}"]
    return "\n".join(lines)


def freed_text(document: dict[str, Any]) -> str:
    """What `gc` did for people."""
    verb = "would free" if document["dry_run"] else "freed"
    return (
        f"{verb} {len(document['checkpoints'])} checkpoints ({size(document['checkpoint_bytes'])}) and"
        f" {document['leftovers']} leftovers ({size(document['leftover_bytes'])});"
        f" {size(document['kept_bytes'])} of checkpoints stay"
    )


def costs_document(costs: CostEstimate) -> dict[str, Any]:
    """A bill as plain data."""
    return {
        "charged_flops": costs.charged_flops,
        "spent_flops": costs.spent_flops,
        "spent_over_charged": costs.spent_over_charged,
        "to_spend_flops": costs.to_spend_flops,
        "audio_hours": costs.audio_hours,
        "steps": costs.steps,
        "decoding_flops": costs.decoding_flops,
        "decoding_hours": costs.decoding_hours,
        "look_hours": costs.look_hours,
        "worker_hours": costs.worker_hours,
        "device_hours": costs.device_hours,
        "usd": costs.usd,
        "workers": costs.workers,
        "finish_hours": costs.finish_hours,
        "speed": asdict(costs.speed),
        "rent": asdict(costs.rent),
        "disk": asdict(costs.disk),
    }


def _data(prepared: Prepared) -> dict[str, Any]:
    speech = prepared.study.speech
    return {
        "train_hours": speech.train.hours,
        "train_utterances": len(speech.train),
        "dev_utterances": len(speech.dev),
        "test_utterances": {name: len(test) for name, test in speech.tests},
        "skipped": {name: manifest.skipped for name, manifest in speech.named},
        "notes": speech.notes(),
        "assumptions": _assumptions(prepared.study),
    }


def _memory(prepared: Prepared, model: StudyModel) -> dict[str, Any]:
    """The stage of a model that takes most memory on a device, in bytes, and what it would take on several."""
    stages = [(stage, eaten) for (spec, stage), eaten in prepared.consumptions.items() if spec == model.spec]
    stage, most = max(stages, key=lambda entry: entry[1].memory.total)
    return {
        "encoder": model.spec.encoder_name,
        "llm": model.spec.llm_name,
        "stage": stage.name,
        **asdict(prepared.study.execution),
        **asdict(most.memory),
        "total": most.memory.total,
        "sharded_devices": SHARDED_DEVICES,
        "sharded_total": max(eaten.memory_sharded.total for _, eaten in stages),
    }


def _memory_line(memory: dict[str, Any]) -> str:
    several = memory["processes"] > 1
    device = f"each of a worker's {memory['processes']} devices" if several else "a worker"
    shared = ", a share of the LLM on each" if memory["shard"] else ""
    heard = "activations not known" if memory["activations"] is None else f"activations {size(memory['activations'])}"
    piece = f" of one of {memory['pieces']} pieces" if memory["pieces"] > 1 else ""
    recomputed = ", recomputed layer by layer" if memory["recompute"] else ""
    casts = f", their casts {size(memory['casts'])}" if memory["casts"] else ""
    others = f"; if {memory['sharded_devices']} devices shared one run, {size(memory['sharded_total'])} each"
    return (
        f"memory of {device} on {memory['encoder']} + {memory['llm']}{shared}: at most about {size(memory['total'])},"
        f" in stage {memory['stage']} (weights {size(memory['weights'])}{casts}, gradients and moments"
        f" {size(memory['gradients'] + memory['moments'])}, {heard}{piece}{recomputed})" + others * (not several)
    )


def _assumptions(study: Study) -> list[str]:
    """What the plan takes for granted because it is not at hand."""
    said = []
    if study.speech.train.stands_for_hours is not None:
        said.append(f"lengths of the training speech: {len(study.speech.train)} utterances stand for all")
    unread = {found.name for model in study.models for found in (model.encoder, model.llm) if found.directory is None}
    if unread:
        said.append(f"tokens are counted from characters: no tokenizer of {', '.join(sorted(unread))} here")
    return said


def _run(prepared: Prepared, run: PlannedRun, exact: Sequence[StageCost] | None, train_hours: float) -> dict[str, Any]:
    spec = run.spec
    stages = _estimated(prepared, spec) if exact is None else _exact(spec, exact)
    hours = sum(stage["audio_hours"] for stage in stages)
    return {
        "key": run.key,
        "strategy": spec.strategy.name,
        "encoder": spec.model.encoder_name,
        "llm": spec.model.llm_name,
        "budget_flops": spec.budget_flops,
        "seed": spec.seed,
        "stages": stages,
        "audio_hours": hours,
        "epochs": hours / train_hours,
        "nodes": list(run.nodes),
        "done": run.end in prepared.done,
    }


def _estimated(prepared: Prepared, spec: RunSpec) -> list[dict[str, Any]]:
    """What each stage's budget buys of average speech."""
    stages: list[dict[str, Any]] = []
    for stage in spec.strategy.stages:
        consumption = prepared.consumptions[spec.model, stage]
        flops = stage.budget(spec.budget_flops)
        seconds = flops / consumption.flops_per_audio_second
        steps = seconds / consumption.audio_seconds_per_step
        stages.append({"name": stage.name, "flops": flops, "audio_hours": seconds / 3600, "steps": steps})
    return stages


def _exact(spec: RunSpec, costs: Sequence[StageCost]) -> list[dict[str, Any]]:
    return [
        {"name": stage.name, **asdict(cost), "audio_hours": cost.audio_seconds / 3600}
        for stage, cost in zip(spec.strategy.stages, costs, strict=True)
    ]


def _counted(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all runs, as if each were trained alone, of what was counted and not estimated."""
    fields = ("executed_flops", "cache_credited_flops", "steps", "audio_hours")
    sums = {field: sum(stage[field] for run in runs for stage in run["stages"]) for field in fields}
    return {"counted_flops": sum(stage["flops"] for run in runs for stage in run["stages"]), **sums}


def _exact_lines(document: dict[str, Any]) -> list[str]:
    if not document["exact"]:
        return []
    charged, executed, credited = (document[f"{kind}_flops"] for kind in ("counted", "executed", "cache_credited"))
    return [
        f"exactly: {charged:.6e} FLOPs charged in {document['steps']} steps (a stage ends with the step that reaches"
        f" its budget), {executed:.6e} executed on CPUs, {credited:.6e} with a frozen encoder's outputs counted once"
    ]


def _node(plan: Plan, key: str, done: bool) -> dict[str, Any]:
    node = plan.nodes[key].node
    return {
        "key": key,
        "stage": node.stage.name,
        "until_flops": node.until_flops,
        "flops": node.flops,
        "parent": node.parent,
        "start": node.start,
        "final": node.final,
        "done": done,
    }


def _reuse(document: dict[str, Any]) -> str:
    reused, new = document["reused"], document["new"]
    return (
        f"runs: {reused['runs']} reused, {new['runs']} new; stage nodes: {reused['nodes']} reused, {new['nodes']} new"
    )
