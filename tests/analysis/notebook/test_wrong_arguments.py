"""What is no table, no number or no name is refused in a sentence that names the argument, not deep in a library."""

import numpy as np
import pytest

import analysis
from scaling.errors import InputError

FLOPS, ERRORS = [1e17, 1e18, 1e19, 1e20], [0.4, 0.22, 0.13, 0.09]
RUNS = {"flops": FLOPS, "cer": ERRORS}
RUNS_IN_PAIRS = list(zip(FLOPS, ERRORS, strict=True))


@pytest.fixture(scope="module")
def laws():
    return analysis.fit(RUNS)


def frames():
    pandas = pytest.importorskip("pandas")
    return pandas, pandas.DataFrame(RUNS)


READING = {
    "nothing": (lambda: analysis.read({}), "columns: no rows"),
    "columns as text": (lambda: analysis.read(RUNS, columns="y=cer"), "columns: 'y=cer', expected names of columns"),
    "column without a name": (lambda: analysis.read(RUNS, columns={"y": None}), "columns: {'y': None}"),
    "a function as where": (lambda: analysis.read(RUNS, where=len), "expected an expression such as"),
    "a number as group": (lambda: analysis.read(RUNS, group=3), "group: 3, expected the name of a column"),
    "text among points": (lambda: analysis.fit(columns={"C": ["a"]}, y=[0.1]), "column C: ['a'], expected numbers"),
}


@pytest.mark.parametrize("case", READING)
def test_what_cannot_be_read_is_refused_by_the_name_of_the_argument(case):
    ask, told = READING[case]
    with pytest.raises(InputError) as refused:
        ask()
    assert told in str(refused.value)


ASKING = {
    "text": (lambda laws: analysis.predict(laws, "1e21"), "flops: '1e21', expected a positive number"),
    "a truth value": (lambda laws: analysis.predict(laws, True), "flops: True, expected a positive number"),
    "none": (lambda laws: analysis.predict(laws, []), "flops: none are given"),
    "a table": (lambda laws: analysis.predict(laws, [[1e17], [1e18]]), "flops: [1e+17], expected"),
    "one of several": (lambda laws: analysis.predict(laws, [1e21, None]), "flops: None, expected"),
    "a place that is a number": (lambda laws: analysis.predict(laws, at=1e9), "at: 1000000000.0, expected the law's"),
    "no places": (lambda laws: analysis.predict(laws, at={"C": []}), "at: C has 0 values"),
    "an error as text": (lambda laws: analysis.recommend(laws, cer="low"), "cer: 'low', expected a positive number"),
    "a horizon below zero": (lambda laws: analysis.plot(laws, horizon=-1), "horizon: -1, expected a positive number"),
}


@pytest.mark.parametrize("case", ASKING)
def test_what_is_no_number_is_refused_by_the_name_of_the_argument(laws, case):
    ask, told = ASKING[case]
    with pytest.raises(InputError) as refused:
        ask(laws)
    assert told in str(refused.value)


def test_places_of_unequal_lengths_are_refused_and_single_numbers_are_repeated():
    size = [1e8, 3e8, 1e9, 3e9, 1e8, 1e9]
    tokens = [1e10, 3e10, 1e11, 3e11, 1e11, 1e10]
    runs = {
        "N": size,
        "D": tokens,
        "loss": [1.7 + 400 * n**-0.34 + 400 * d**-0.28 for n, d in zip(size, tokens, strict=True)],
    }
    assert len(analysis.predict(runs, at={"N": 1e9, "D": [1e10, 1e11]})) == 2
    with pytest.raises(InputError, match="at: N has 3 values; expected 1 or 4"):
        analysis.predict(runs, at={"N": [1e9] * 3, "D": [1e10] * 4})


def test_a_named_index_is_a_column_and_two_columns_of_one_name_are_refused():
    pandas, frame = frames()
    assert analysis.read(frame.set_index("flops")).table.number(0, "flops") == 1e17
    assert analysis.read(frame.set_index("flops", drop=False)).table.number(0, "flops") == 1e17
    twice = pandas.DataFrame(np.array([[1e18, 0.2, 0.3]]), columns=["flops", "cer", "cer"])
    with pytest.raises(InputError, match="'cer' names more than one column"):
        analysis.read(twice)


def test_a_group_of_several_columns_is_a_list(laws):
    rows = [{"model": m, "set": s, "flops": c, "cer": y} for m in "ab" for s in "xy" for c, y in RUNS_IN_PAIRS]
    assert repr(analysis.read(rows, group=["model", "set"])) == "<16 runs of rows: a, x, a, y, b, x, b, y>"
