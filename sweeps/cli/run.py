"""`asr-scaling run`: a study's missing runs, trained."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit, log
from sweeps.cli.options import (
    HardwareOption,
    JsonOption,
    LedgerOption,
    MaxFlopsOption,
    MaxHoursOption,
    MaxUsdOption,
    MfuOption,
    OnOption,
    SetOption,
    StudyArgument,
    UsdOption,
    WorkersOption,
)
from sweeps.launchers.options import Launcher


def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the study's results.")],
    ledger: LedgerOption = None,
    workers: WorkersOption = None,
    on: OnOption = Launcher.LOCAL,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, metavar="N", help="Machines for each worker, on Slurm.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the workers to Slurm and return at once.")] = False,
    set_: SetOption = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Take results from a made-up law; needs no torch.")
    ] = False,
    retry_diverged: Annotated[
        bool, typer.Option("--retry-diverged", help="Train diverged stages again: worthwhile only with other software.")
    ] = False,
    worker: Annotated[
        str | None,
        typer.Option("--worker", metavar="COMMAND", help="Command of another trainer; see docs/external-trainer.md."),
    ] = None,
    hardware: HardwareOption = None,
    mfu: MfuOption = None,
    usd_per_hour: UsdOption = None,
    max_flops: MaxFlopsOption = None,
    max_hours: MaxHoursOption = None,
    max_usd: MaxUsdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the missing runs of STUDY into DIR. The same command resumes; a larger study reuses existing results."""
    from scaling.ledger.ledger import Ledger
    from sweeps.costs.cost_estimate import Limits, estimate_cost
    from sweeps.costs.tariff import tariff_of
    from sweeps.launchers.options import nodes_override
    from sweeps.plan.plan_warnings import plan_warnings
    from sweeps.plan.prepare import prepare
    from sweeps.plan_report import cost_line, reuse_line
    from sweeps.run.outcome import outcome_document, outcome_text
    from sweeps.run.run import train
    from sweeps.run.simulate import simulate_runs, simulated_ledger

    root = simulated_ledger(ledger or out) if simulate else Ledger(ledger or out)
    prepared = prepare(study, [*(set_ or []), *nodes_override(on, nodes)], root)
    costs = estimate_cost(prepared, root, tariff_of(hardware, mfu, usd_per_hour), workers)
    Limits(flops=max_flops, device_hours=max_hours, usd=max_usd).refuse(costs)
    for note in (*prepared.study.speech.notes(), *plan_warnings(prepared.study, prepared.below_onset)):
        log(f"note: {note}")
    log(reuse_line(prepared))
    log(cost_line(costs))
    outcome = (
        simulate_runs(prepared, out, root)
        if simulate
        else train(prepared, out, root, workers, on, detach=detach, retry_diverged=retry_diverged, worker=worker)
    )
    emit(outcome_document(outcome, out) if as_json else outcome_text(outcome, out))
    sys.exit(outcome.exit_code)
