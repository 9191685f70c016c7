"""What a user chooses of a table: names of its columns, some of its rows, what parts its curves, and some of these.
The options of every verb that reads a table, and the arguments of `analysis.read`, say it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.tables.groups import IDENTITY
from analysis.tables.row_filter import select_rows
from analysis.tables.seed_averaged_points import ONE_CURVE, SOURCE, curve_identity
from analysis.tables.table import Table, understood_table
from scaling.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`columns` names columns by what laws call them ({"y": "eval/cer"}), `where` is an expression that rows satisfy,
    `group` names what parts curves; `strategy`, `encoder` and `llm` are those of the curves wanted. None: not chosen.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    where: str | None = None
    group: str | None = None
    strategy: str | None = None
    encoder: str | None = None
    llm: str | None = None

    @property
    def is_of_rows(self) -> bool:
        """Whether the table is read in another way, or in part; so fits that are stored do not serve."""
        return bool(self.columns) or self.where is not None or self.group is not None

    @property
    def sources(self) -> dict[str, str]:
        """The columns chosen, by the name that tables of runs have for them."""
        return {SOURCE.get(name, name): column for name, column in self.columns.items()}

    def table(self, source: Path, law_columns: tuple[str, ...] = ("C",)) -> Table:
        """The table of `source` as chosen, with a curve for each value of `group`, or for each of a column of text that
        tells rows with equal `law_columns` apart.

        Raises InputError where the source, a column or the expression is not as expected.
        """
        return self.of(understood_table(source, self.sources), law_columns)

    def of(self, table: Table, law_columns: tuple[str, ...] = ("C",)) -> Table:
        """A table whose columns are understood, its rows chosen and parted into curves; says what was understood."""
        if self.where is not None:
            table = select_rows(table, self.where)
        table = table.parted([SOURCE.get(name, name) for name in law_columns], self.group)
        table.announce()
        return table

    def rows_of_curves(self, table: Table) -> Table:
        """The rows of the strategy, encoder and LLM chosen. Raises InputError for a name that no row has."""
        for position, name in enumerate(IDENTITY):
            wanted = getattr(self, name)
            if wanted is None:
                continue
            names = [curve_identity(row)[position] for row in table.rows]
            refuse_unknown(name, wanted, names)
            table = table.select([i for i, known in enumerate(names) if known == wanted])
        return table


def refuse_unknown(field_name: str, wanted: str, names: Collection[str | None]) -> None:
    """Raise InputError where no run has the strategy, encoder or LLM `wanted`; `names` are those of the runs."""
    if wanted in names:
        return
    known = {name for name in names if name is not None}
    if not known or known == {ONE_CURVE}:
        more = "; --group COLUMN parts its rows into curves" if field_name == "strategy" else ""
        raise InputError(f"{field_name}: no run has {wanted!r}; the table names none{more}")
    raise InputError(f"{field_name}: no run has {wanted!r}{nearest(wanted, known)}")


EVERYTHING = Choice()
"""Every row and every curve, columns by their usual names."""
