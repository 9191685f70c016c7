"""The options that verbs share. Those of a table are defined once, and every verb that reads one has them all: it takes
a `ChosenRuns` as its parameter `runs`, and `reads_runs` gives it the source and the options in its place.
"""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cost.number_option import NumberOption
from scaling.system.progress_line import announce_if_slow

if TYPE_CHECKING:
    from analysis.curves.fits import Fits
    from analysis.tables.choice import Choice
    from analysis.tables.table import Table


def _positive(option: typer.CallbackParam, value: float | None) -> float | None:
    """Refuse what is no positive number."""
    from analysis.curves.places import positive

    return None if value is None else positive(option.opts[0], value)


PositiveOption = functools.partial(NumberOption, callback=_positive)
"""An option for a positive number."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _table_options(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A study's folder, a table (CSV, JSON, Parquet), wandb:ENTITY/PROJECT, or a file of `fit --out`.",
        ),
    ],
    columns: Annotated[
        str | None,
        typer.Option(
            help="Where the law's columns are in the table: N=params,D=tokens,y=loss; with their unit: y=score:percent."
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Rows to use: an expression such as 'budget <= 3e20 and seed == 0'.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Columns whose values are curves of their own: recipe, or model,recipe; none: one curve."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy, or value of --group.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Only runs with this encoder.")] = None,
    llm: Annotated[str | None, typer.Option(help="Only runs with this LLM.")] = None,
) -> None:
    """The options of every verb that reads a table."""


TABLE_OPTIONS = inspect.signature(_table_options).parameters


@dataclass(frozen=True, slots=True)
class ChosenRuns:
    """The runs that a verb is asked about: their source, and what the options chose of it."""

    source: Path
    choice: "Choice"

    def table(self, law_columns: tuple[str, ...] = ("C",)) -> "Table":
        """The rows chosen, of every curve, parted into curves for laws in `law_columns`."""
        from analysis.curves.fits_file import table_of

        with announce_if_slow(f"reading {self.source}"):
            return table_of(self.source, self.choice, law_columns)

    def fits(self, baseline: str | None = None) -> "Fits":
        """The fits of the curves chosen, and of the strategy `baseline`."""
        from analysis.curves.fits_file import fits_of

        with announce_if_slow(f"fitting laws to {self.source}"):
            return fits_of(self.source, self.choice, baseline)

    def fits_at(self, columns: Collection[str]) -> "Fits":
        """The fits of the curves chosen, of the law that is asked at places in `columns`."""
        from analysis.curves.fits_file import fits_at

        with announce_if_slow(f"fitting laws to {self.source}"):
            return fits_at(self.source, self.choice, columns)


def reads_runs(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with a source and the options of a table in place of its parameter `runs`."""
    own = inspect.signature(verb).parameters
    first, *others = TABLE_OPTIONS.values()
    required = [p for name, p in own.items() if name != "runs" and p.default is p.empty]
    optional = [p for p in own.values() if p.default is not p.empty and p.name != "as_json"]
    parameters = [first, *required, *optional, *others, own["as_json"]]

    @functools.wraps(verb)
    def with_options(**given: Any) -> None:
        from analysis.cli.option_texts import choice_of

        source, *chosen = (given.pop(name) for name in TABLE_OPTIONS)
        verb(ChosenRuns(source, choice_of(*chosen)), **given)

    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_options
