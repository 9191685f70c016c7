"""`asr-scaling plan`: what a study trains, and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit
from sweeps.cli.options import (
    HardwareOption,
    JsonOption,
    LedgerOption,
    MaxFlopsOption,
    MaxHoursOption,
    MaxUsdOption,
    MfuOption,
    SetOption,
    StudyArgument,
    UsdOption,
)


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
