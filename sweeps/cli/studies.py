"""Verbs of a study: write one, know its fields, plan, train, tune."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.cost.number_option import NumberOption
from scaling.errors import InputError
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


def _hours_of_corpus(value: float | None) -> float | None:
    """Refuse hours that no made corpus has."""
    from sweeps.new_study.first_study import FEWEST_HOURS, MOST_HOURS

    if value is not None and not FEWEST_HOURS <= value <= MOST_HOURS:
        raise InputError(f"--corpus-hours: {value:g}, expected hours from {FEWEST_HOURS:g} to {MOST_HOURS:g}")
    return value


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new study file.")] = Path("study.yaml"),
    corpus: Annotated[
        str | None, typer.Option(help="Folder with train, dev and test sets, or a made corpus such as synthetic-zh.")
    ] = None,
    corpus_hours: Annotated[
        float | None, NumberOption(help="Hours of a made corpus; default: 4.", callback=_hours_of_corpus)
    ] = None,
    train: Annotated[str | None, typer.Option(help="Training set, where it is not found in --corpus.")] = None,
    dev: Annotated[str | None, typer.Option(help="Dev set, likewise.")] = None,
    test: Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="Test set, likewise; repeatable.")] = None,
    language: Annotated[str | None, typer.Option(help="Whisper's code; by default what the corpus says.")] = None,
    encoder: Annotated[str, typer.Option(help="A shipped row, a hub name or a Hugging Face directory.")] = "",
    llm: Annotated[str, typer.Option(help="As --encoder.")] = "",
    flops: Annotated[float | None, NumberOption(help="What can be spent, in FLOPs.")] = None,
    usd: Annotated[float | None, NumberOption(help="What can be spent, in dollars.")] = None,
    device_hours: Annotated[float | None, NumberOption(help="What can be spent, in hours of --hardware.")] = None,
    hardware: HardwareOption = None,
    usd_per_hour: UsdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a first study to FILE: budgets that can be paid, scoring and language, every field with a remark. What is
    not given is asked for on a terminal.
    """
    from sweeps.new_study.first_study import FirstStudyAnswers, named_sets, write_first_study
    from sweeps.new_study.questions import completed

    answers = FirstStudyAnswers(
        corpus=corpus,
        corpus_hours=corpus_hours,
        train=train,
        dev=dev,
        test=named_sets(test or []),
        language=language,
        encoder=encoder,
        llm=llm,
        flops=flops,
        usd=usd,
        device_hours=device_hours,
        hardware=hardware,
        usd_per_hour=usd_per_hour,
    )
    written = write_first_study(file, completed(answers))
    emit(written.as_document() if as_json else written.as_text())


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as the page docs/study-fields.md.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of a study file, for editors: every field with its meaning, bounds and default."""
    from sweeps.study.field_reference import json_schema, reference_page

    emit(reference_page().rstrip("\n") if markdown and not as_json else json_schema(), as_is=True)


def plan(
    study: StudyArgument,
    set_: SetOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Count what is finished there.")] = None,
    ledger: LedgerOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Estimate when so many workers are done.")
    ] = None,
    hardware: HardwareOption = None,
    mfu: MfuOption = None,
    usd_per_hour: UsdOption = None,
    max_flops: MaxFlopsOption = None,
    max_hours: MaxHoursOption = None,
    max_usd: MaxUsdOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Count FLOPs, steps and audio exactly, as results will say.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every run of STUDY, what runs share and what they cost, before anything is spent."""
    from scaling.ledger.ledger import Ledger
    from sweeps.costs.cost_estimate import Limits, estimate_cost
    from sweeps.costs.exact_costs import exact_costs
    from sweeps.costs.tariff import tariff_of
    from sweeps.plan.prepare import prepare
    from sweeps.plan_report import plan_document, plan_text

    folder = ledger or out
    root = Ledger(folder) if folder is not None else None
    prepared = prepare(study, set_ or [], root)
    costs = estimate_cost(prepared, root, tariff_of(hardware, mfu, usd_per_hour), workers)
    Limits(flops=max_flops, device_hours=max_hours, usd=max_usd).refuse(costs)
    show = plan_document if as_json else plan_text
    emit(show(prepared, costs, exact_costs(prepared) if exact else None))


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


def tune(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the runs of the search.")],
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="FLOPs of the runs; default: a fortieth and a tenth of STUDY's largest, not below its smallest.",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write STUDY with the tuned settings to FILE.")
    ] = None,
    keep_batch: Annotated[
        bool, typer.Option("--keep-batch", help="Search the rates only: fewer settings, all with the batch of STUDY.")
    ] = False,
    ledger: LedgerOption = None,
    workers: WorkersOption = None,
    on: OnOption = Launcher.LOCAL,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search peak rates and batch of every strategy of STUDY with the same grid and FLOPs; choose by dev CER."""
    from scaling.ledger.ledger import Ledger
    from sweeps.run.run import train
    from sweeps.study.study import load_study
    from sweeps.tuning import text
    from sweeps.tuning.grid import RATES, Hyperparameter
    from sweeps.tuning.tune import TuningResult, tune, tuning_budgets

    if write is not None:
        text.refuse_missing_folder(write)
    loaded, root = load_study(study, set_ or []), Ledger(ledger or out)
    result = tune(
        loaded,
        tuning_budgets(loaded, budgets),
        root,
        lambda prepared: train(prepared, out, root, workers, on),
        RATES if keep_batch else tuple(Hyperparameter),
    )
    if not isinstance(result, TuningResult):
        log("tuning is not finished; the same command goes on from here")
        sys.exit(result.exit_code or 1)
    document = text.tuning_document(result)
    text.write_document(document, out / "tuning.json")
    if write is not None:
        text.write_tuned_study(result, write)
    emit(document if as_json else text.tuning_text(result))
