"""The verbs that plan and run studies. Heavy imports stay inside the commands, so that --help answers at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.console import emit, log

app = typer.Typer()

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study's YAML file, or the name of a shipped one.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a field, for example --set budgets_flops=[1e11,1e12]."),
]
LedgerOption = Annotated[
    Path | None, typer.Option("--ledger", metavar="ROOT", help="Where trained stages are kept and shared; default: DIR.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")]


@app.command()
def plan(
    study: StudyArgument,
    set_: SetOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Count what is finished there.")] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every run of STUDY, what they share and what they cost, before anything is spent."""
    from scaling.ledger import Ledger
    from sweeps.preparation import prepare
    from sweeps.show import plan_document, plan_text

    root = ledger or out
    found = Ledger(root) if root is not None else None
    prepared = prepare(study, set_ or [], found)
    document = plan_document(prepared, found)
    emit(document, as_json=as_json, text="" if as_json else plan_text(document))


@app.command()
def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the study's results.")],
    ledger: LedgerOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Processes; default: cores / threads.")
    ] = None,
    set_: SetOption = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Answer from a planted law instead of training; needs no torch.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train what is missing of STUDY into DIR. The same command again resumes; a grown study reuses what exists."""
    from scaling.ledger import Ledger
    from sweeps.preparation import prepare
    from sweeps.running import train
    from sweeps.show import outcome_document, outcome_text, reuse_text
    from sweeps.simulate import simulate as answer

    root = Ledger(ledger or out)
    prepared = prepare(study, set_ or [], root)
    log(reuse_text(prepared))
    outcome = answer(prepared, out, root) if simulate else train(prepared, out, root, workers)
    document = outcome_document(outcome, out)
    emit(document, as_json=as_json, text="" if as_json else outcome_text(document))
    sys.exit(outcome.exit_code)


@app.command()
def status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Say what is done, running, waiting, blocked and failed in DIR."""
    from sweeps.orders import read_orders
    from sweeps.show import status_text
    from sweeps.status import as_document, survey

    orders = read_orders(folder)
    document = as_document(orders, survey(orders))
    emit(document, as_json=as_json, text="" if as_json else status_text(document))
