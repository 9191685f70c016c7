"""Writes `plan.json` (`scaling.ledger.plan_file`), and finds nodes in the ledger from which a plan goes on."""

import math
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.keys import digest
from scaling.ledger.checkpoints import checkpoint_of, is_missing, revive
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PLAN_FILE, SCHEMA, CacheLimits, PlanFile, Source, WorkItem, read_plan_file
from scaling.ledger.records import RUN_SCHEMA, RunDescription, RunStage
from scaling.spec import FLOP_CONVENTION, DataSpec, RunSpec, Scoring, StageNode, node_to_json
from scaling.system.atomic_files import write_json_atomically, write_text_atomically
from sweeps.plan.evaluation import evaluation_flops
from sweeps.plan.plan import Plan, PlannedNode, PlannedRun, TrunkPositions
from sweeps.study.study import Study
from sweeps.study.study_model import StudyModel


def write_plan_file(study: Study, plan: Plan, folder: Path, ledger: Ledger, since: float = math.inf) -> PlanFile:
    """Enter the plan's nodes into the ledger and write `folder`/plan.json.

    Raises InputError where `folder` or the ledger cannot be written, and where the plan that lies there is newer than
    `since`, when the preparation of this one began, and has runs that this one lacks: a command that was suspended
    meanwhile must not replace a newer plan.
    """
    _refuse_replacing(folder, plan, since)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for key, planned in plan.nodes.items():
            with suppress(InputError):  # a damaged node: the survey tells of it, and the others go on
                ledger.add(key, {"node": node_to_json(planned.node)})
        for key in to_revive(plan, ledger):
            revive(ledger, key)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    nodes = _on_the_way(plan, ledger) | {key: planned.node for key, planned in plan.nodes.items()}
    plan_file = PlanFile(
        schema=SCHEMA,
        study=study.name,
        session=uuid.uuid4().hex[:12],
        ledger=_path_from(folder, ledger.root),
        threads=study.threads,
        processes=study.processes,
        gradient_accumulation=study.gradient_accumulation,
        gradient_checkpointing=study.gradient_checkpointing,
        compile=study.compile,
        checkpoint_seconds=study.checkpoint_seconds,
        kept=CacheLimits(memory_gib=study.kept.memory_gib, disk_gib=study.kept.disk_gib),
        tracker=study.tracker,
        nodes=list(nodes),
        work={
            key: WorkItem(flops=node.flops, start_flops=node.start_flops, needs=list(node.needs))
            for key, node in nodes.items()
        },
        evaluation_flops=dict(evaluation_flops(study, plan)),
        sources=_sources(study),
        runs=_runs(study, plan),
    ).placed_in(folder)
    _refuse_replacing(folder, plan, since)
    write_text_atomically(folder / "study.yaml", study.text)
    write_json_atomically(plan_file.path, plan_file.as_json())
    return plan_file


def _refuse_replacing(folder: Path, plan: Plan, since: float) -> None:
    """Raise InputError where a plan was written since and has runs that `plan` lacks; a damaged one is replaced."""
    path, more = folder / PLAN_FILE, set[str]()
    with suppress(OSError, InputError):
        if path.stat().st_mtime > since:
            more = {run.key for run in read_plan_file(folder).runs} - {run.key for run in plan.runs}
    if more:
        raise InputError(
            f"{path}: another command has planned {len(more)} runs here that this one lacks, since this one began;"
            " nothing was replaced: give the command again if it is meant"
        )


def is_done(ledger: Ledger, key: str) -> bool:
    """Whether node `key` has a result; where nobody may look it has none, and its worker will say so."""
    with suppress(InputError):
        return ledger.done(key)
    return False


def finished_elsewhere(ledger: Ledger, plan: Plan) -> TrunkPositions:
    """Undamaged finished nodes of other studies on this plan's trunks, by trunk and position; it may go on there."""
    trunks = {planned.trunk for planned in plan.nodes.values()}
    positions: dict[str, dict[int, str]] = {}
    for key in ledger.files.folders("stages"):
        with suppress(InputError):
            is_other = key not in plan.nodes and ledger.done(key) and not is_missing(ledger, key)
            if is_other and checkpoint_of(ledger, key) is not None:
                node = ledger.node(key)
                if node.cooldown_from_flops is None and (trunk := node.trunk) in trunks:
                    positions.setdefault(trunk, {})[node.until_flops] = key
    return positions


def to_revive(plan: Plan, ledger: Ledger) -> set[str]:
    """Finished nodes whose checkpoints were freed or are lost, and from which unfinished nodes of this plan start."""
    missing: set[str] = set()
    needing = [_as_entered(ledger, planned) for key, planned in plan.nodes.items() if not is_done(ledger, key)]
    while needing:
        for key in needing.pop().needs:
            with suppress(InputError):
                if key not in missing and is_missing(ledger, key):
                    missing.add(key)
                    needing.append(ledger.node(key))
    return missing


def _as_entered(ledger: Ledger, planned: PlannedNode) -> StageNode:
    """The node as an earlier plan entered it, if one did: it may start from another node."""
    entered = _node(ledger, planned.key) if planned.node.start is not None else None
    return entered or planned.node


def _node(ledger: Ledger, key: str) -> StageNode | None:
    """A node of the ledger; None where it is not there, or its file is damaged, which a worker will say."""
    with suppress(InputError):
        return ledger.node(key)
    return None


def _path_from(folder: Path, root: Path) -> str:
    """The path of `root`: relative where one folder lies within the other, so that both can be moved; else absolute."""
    here, there = folder.resolve(), root.resolve()
    together = here.is_relative_to(there) or there.is_relative_to(here)
    return os.path.relpath(there, here) if together else str(there)


def _on_the_way(plan: Plan, ledger: Ledger) -> dict[str, StageNode]:
    """Unfinished nodes of an earlier, larger plan that nodes start from; passing them costs nothing more."""
    passed: dict[str, StageNode] = {}
    for key, planned in plan.nodes.items():
        start = None if is_done(ledger, key) else _as_entered(ledger, planned).start
        while start is not None and start not in plan.nodes and start not in passed and not is_done(ledger, start):
            if (node := _node(ledger, start)) is None:
                break
            passed[start] = node
            start = node.start
    return dict(reversed(passed.items()))


def _sources(study: Study) -> dict[str, Source]:
    speech = study.speech
    sources = {
        base.digest: Source(path=None if base.directory is None else str(base.directory.resolve()), hours=None)
        for model in study.models
        for base in (model.encoder, model.llm)
    }
    sources |= {
        model.letters.digest: Source(path=None, hours=None, letters=model.letters.characters)
        for model in study.models
        if model.letters is not None
    }
    sources |= {
        manifest.digest: Source(path=str(manifest.path.resolve()), hours=None, mix_channels=manifest.mix_channels)
        for manifest in (speech.dev, *(test for _, test in speech.tests))
    }
    sources[speech.train.digest] = Source(
        path=str(speech.train.path.resolve()),
        hours=speech.hours,
        max_seconds=speech.max_seconds if math.isfinite(speech.max_seconds) else None,  # JSON has no infinity
        unwritable=speech.long_texts.tolist(),
        mix_channels=speech.train.mix_channels,
    )
    return sources


def _runs(study: Study, plan: Plan) -> list[RunDescription]:
    """What is known about each run before it is trained."""
    speech = {
        "train_hours": study.speech.train.hours,
        "test_digest": _test_digest(study.speech.spec),
        "scoring": study.speech.spec.scoring.value,
        "flop_convention": FLOP_CONVENTION,
    }
    models = {model.spec: _model(model) for model in study.models}
    tuned = {(model.spec, name): settings.columns() for model in study.models for name, settings in model.tuned.items()}

    def shared(spec: RunSpec) -> dict[str, Any]:
        return {**models[spec.model], **speech, **tuned.get((spec.model, spec.strategy.name), {})}

    return [_run(study, plan, run, shared(run.spec)) for run in plan.runs]


def _test_digest(data: DataSpec) -> str:
    """Error rates with the same digest are comparable: it is of the test sets and of a scoring other than plain."""
    return digest(data.test if data.scoring is Scoring.PLAIN else (data.test, data.scoring))


def _model(model: StudyModel) -> dict[str, Any]:
    known = [model.encoder.pretrain_flops, model.llm.pretrain_flops]
    return {
        "encoder": model.spec.encoder_name,
        "llm": model.spec.llm_name,
        "pretrain_flops": None if None in known else sum(flops for flops in known if flops is not None),
        "encoder_params": model.encoder.dims.encoder_params,
        "asr_decoder_params": model.shape.encoder.asr_decoder_params,
        "llm_params": model.llm.dims.params,
    }


def _run(study: Study, plan: Plan, run: PlannedRun, shared: dict[str, Any]) -> RunDescription:
    return RunDescription(
        schema=RUN_SCHEMA,
        key=run.key,
        study=study.name,
        strategy=run.spec.strategy.name,
        budget_flops=run.spec.budget_flops,
        seed=run.spec.seed,
        precision=run.spec.precision,
        stages=[
            RunStage(
                name=stage.name,
                objective=stage.objective,
                trains=dict(stage.trains),
                batch_audio_seconds=stage.optimization.batch_audio_seconds,
                node=keys[-1],
            )
            for stage, keys in zip(run.spec.strategy.stages, run.stages, strict=True)
        ],
        cluster=plan.nodes[run.nodes[0]].trunk,
        nodes=list(run.nodes),
        **shared,
    )
