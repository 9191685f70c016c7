"""`asr-scaling frontier`: the best model size of each budget."""

from dataclasses import replace

from analysis.cli.options import AsJson, ChosenRuns, reads_runs
from scaling.errors import InputError
from scaling.system.console import emit
from scaling.system.progress_line import announce_if_slow


@reads_runs
def frontier(runs: ChosenRuns, as_json: AsJson = False) -> None:
    """Find the best model size of each budget (columns N, C and y) and where it moves with compute, with intervals; of
    one strategy.
    """
    import numpy as np

    from analysis.notes import as_document
    from analysis.recommending.isoflop_frontier import frontier as find_frontier
    from analysis.tables.seed_averaged_points import points_of
    from analysis.text import frontier_text

    points, notes = points_of(runs.choice.rows_of_curves(runs.table(("C", "N"))), ("C", "N"))
    strategies = dict.fromkeys(point.strategy for point in points)
    if len(strategies) > 1:
        names = ", ".join(strategies)
        raise InputError(f"frontier: which of {names}? Give --strategy, or --group none for one frontier through all")
    flops, sizes = (np.array([point.columns[name] for point in points]) for name in ("C", "N"))
    with announce_if_slow("finding the best size of each budget"):
        answer = find_frontier(flops, sizes, np.array([point.cer for point in points]))
    answer = replace(answer, warnings=(*notes, *answer.warnings))
    emit(as_document(answer) if as_json else frontier_text(answer))
