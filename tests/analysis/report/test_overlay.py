"""Curves of other studies stand in the figure of the page, under the name of their study."""

import pytest
from planted import SMALLEST_FLOPS, write_planted

from analysis.report.findings import findings_of
from analysis.report.page.chart_data import chart, other_tests


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies of one name, in folders of different names, tested on different utterances."""
    folder = tmp_path_factory.mktemp("studies")

    def tested_on(digest):
        return lambda row: {**row, "test_digest": digest}

    write_planted(folder / "first", budgets=4, strategies=("efin", "joint"), change=tested_on("a"), noise=0.02)
    write_planted(
        folder / "second", budgets=4, strategies=("joint",), encoders=("mini-m",), change=tested_on("b"), noise=0.02
    )
    return [findings_of(folder / name) for name in ("first", "second")]


@pytest.fixture(scope="module")
def document(studies):
    """What the figure of the first is drawn from, the second beside it."""
    own, other = studies
    return chart(own, [other])


def test_curves_of_another_study_follow_under_its_name(studies, document):
    _, other = studies
    assert document["strategies"] == ["efin", "joint", "second: joint"]
    assert document["models"] == ["mini-s + mini-m", "mini-m + mini-m"]
    added = document["traces"][-1]
    assert added["label"] == "second: joint (mini-m + mini-m)"
    assert (added["strategy"], added["models"]) == (2, 1)
    assert len({trace["style"] for trace in document["traces"]}) == 3
    (alone,) = chart(other)["traces"]
    assert added["law"] == alone["law"]
    assert added["points"] == alone["points"]


def test_the_study_s_own_curves_stay_what_they_were(studies, document):
    own, _ = studies
    assert document["traces"][:2] == chart(own)["traces"]
    assert document["answers_range"][0] == SMALLEST_FLOPS / 2


def test_other_test_sets_are_told(studies):
    own, other = studies
    assert other_tests(own, [other]) == ["second"]
    assert other_tests(own, [own]) == []
