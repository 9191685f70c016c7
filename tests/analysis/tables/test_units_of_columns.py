"""Units that columns are written in, in their names, in their cells, in a line of their own: what the numbers become.

A unit that is missed is a number that is wrong by a power of ten and looks right, so each of these is a wrong answer
that was once given, or an error that said nothing.
"""

import pytest

from analysis.cli.option_texts import choice_of
from analysis.tables.seed_averaged_points import points_of
from analysis.tables.table import read_table
from scaling.errors import InputError

FLOPS = [1e17, 1e18, 1e19, 1e20]
ERRORS = [0.04, 0.02, 0.012, 0.009]


def read(tmp_path, header, cell, columns=None):
    """The FLOPs and the errors of a table whose lines are `cell` of FLOPs and error, as they are understood."""
    file = tmp_path / "runs.csv"
    file.write_text("\n".join([header, *(cell(c, y) for c, y in zip(FLOPS, ERRORS, strict=True))]) + "\n")
    table = read_table(file) if columns is None else choice_of(columns, None, None, None, None, None).table(file)
    points, _ = points_of(table)
    return [point.flops for point in points], [point.cer for point in points]


FLOPS_AS_WRITTEN = {
    "FLOPs in billions": lambda c: f"{c / 1e9:g}",
    "giga FLOPs": lambda c: f"{c / 1e9:g}",
    "compute (exaFLOPs)": lambda c: f"{c / 1e18:g}",
    "petaFLOPs": lambda c: f"{c / 1e15:g}",
    "compute": lambda c: f"{c / 1e15:g} petaFLOPs",
    "FLOPs [10\u00b9\u2078]": lambda c: f"{c / 1e18:g}",
    "PF-days": lambda c: f"{c / 8.64e19!r}",
    "compute (petaflop/s-days)": lambda c: f"{c / 8.64e19!r}",
    "log10(FLOPs)": lambda c: f"{len(f'{c:.0f}') - 1}",
    "log10 C": lambda c: f"{len(f'{c:.0f}') - 1}.0",
    "FLOPs": lambda c: f"**{c:.0e}**",
}


@pytest.mark.parametrize("name", FLOPS_AS_WRITTEN)
def test_flops_in_any_unit(tmp_path, name):
    flops, _ = read(tmp_path, f"{name},cer", lambda c, y: f"{FLOPS_AS_WRITTEN[name](c)},{y!r}")
    assert flops == pytest.approx(FLOPS, rel=1e-6)


ERRORS_AS_WRITTEN = {
    "sign behind the spread": lambda y: f"{100 * y:.1f} \u00b1 0.05 %",
    "sign before the spread": lambda y: f"{100 * y:.1f}% +/- 0.1%",
    "both in brackets": lambda y: f"({100 * y:.1f} \u00b1 0.1) %",
    "spread in brackets": lambda y: f"{100 * y:.1f}% (0.3)",
    "sign behind the brackets": lambda y: f"{100 * y:.1f} (0.3) %",
    "interval": lambda y: f'"{100 * y:.1f}% [0.1, 4.9]"',
    "words behind": lambda y: f"{y!r} \u00b1 0.003 (3 seeds)",
    "wide percent sign": lambda y: f"{100 * y:.1f}\uff05",
}


@pytest.mark.parametrize("form", ERRORS_AS_WRITTEN)
def test_errors_below_one_percent_with_a_spread(tmp_path, form):
    _, errors = read(tmp_path, "flops,CER", lambda c, y: f"{c:g},{ERRORS_AS_WRITTEN[form](y)}")
    assert errors == pytest.approx(ERRORS)


def test_what_stands_in_brackets_is_said_to_be_left_out(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("flops,cer\n1e18,0.3 (0.01)\n")
    assert read_table(file).remarks == ("cer: without what stands in brackets, as in '0.3 (0.01)'",)


@pytest.mark.parametrize(
    ("header", "columns", "cell"),
    [
        ("flops,Fehlerrate in %", "y=Fehlerrate in %", lambda c, y: f"{c:g},{100 * y!r}"),
        ("executed GFLOPs,cer", "C=executed GFLOPs", lambda c, y: f"{c / 1e9:g},{y!r}"),
        ("log_flops,cer", "C=log_flops:log10", lambda c, y: f"{len(f'{c:.0f}') - 1},{y!r}"),
        ('flops,"cer, test"', "y=cer, test,C=flops", lambda c, y: f"{c:g},{y!r}"),
    ],
)
def test_a_column_that_is_named_keeps_the_unit_of_its_name(tmp_path, header, columns, cell):
    flops, errors = read(tmp_path, header, cell, columns)
    assert flops == pytest.approx(FLOPS)
    assert errors == pytest.approx(ERRORS)


DOUBTED = {
    "TFLOPS,total_flops,cer": ("300,1e18,.2\n310,1e19,.1\n", "training FLOPs: 'total_flops', 'TFLOPS'"),
    "log_flops,cer": ("17,.3\n18,.2\n", "logarithms: of base 10 or e? Say --columns C=log_flops:log10 or"),
    "train flops,cer": ('"1.2e+17",.3\n"1,4E18",.2\n', "decimal points and decimal commas: '1.2e+17' and '1,4E18'"),
    "Training FLOPs,cer": ("many,.3\nmore,.2\n", "column 'Training FLOPs' has no numbers: 'many'"),
    "FLOPs ,CER dev,CER test": ("1e18,.3,.2\n", "--columns 'y=CER dev'"),
}


@pytest.mark.parametrize("header", DOUBTED)
def test_doubt_names_what_is_doubted_and_a_way_out_that_a_shell_takes(tmp_path, header):
    rows, told = DOUBTED[header]
    file = tmp_path / "runs.csv"
    file.write_text(f"{header}\n{rows}")
    with pytest.raises(InputError) as refused:
        points_of(read_table(file))
    assert told in str(refused.value)


def test_hours_are_no_flops_and_the_message_says_what_they_lack(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("train_hours,GPU hours,cer\n10,10,.3\n")
    with pytest.raises(InputError, match="FLOPs are 'GPU hours' times the FLOPs that your devices achieved"):
        points_of(read_table(file))
