"""A study names its scoring: it is part of what a run is, and not of what is trained."""

import pytest
from small_study import StudyWriter

from scaling.errors import InputError
from sweeps.plan.prepare import prepare
from sweeps.run.outcome import SweepOutcome
from sweeps.run.simulate import simulate_runs, simulated_ledger


def simulated(study: str, folder, *settings: str) -> SweepOutcome:
    ledger = simulated_ledger(folder)
    return simulate_runs(prepare(study, list(settings), ledger), folder, ledger)


def test_only_the_ends_of_runs_know_the_scoring(write_study: StudyWriter) -> None:
    study = str(write_study())
    plain, mandarin = (prepare(study, [f"scoring={name}"], None).plan for name in ("plain", "mandarin"))
    unnamed = prepare(study, [], None).plan
    assert list(plain.nodes) == list(unnamed.nodes)
    ends = {run.end for run in plain.runs}
    assert set(plain.nodes) - set(mandarin.nodes) == ends
    assert all(run.key != other.key for run, other in zip(plain.runs, mandarin.runs, strict=True))


def test_runs_say_how_they_were_scored_and_other_scorings_are_other_tests(write_study: StudyWriter, tmp_path) -> None:
    study = str(write_study())
    plain, wenet = simulated(study, tmp_path / "a"), simulated(study, tmp_path / "b", "scoring=wenet")
    assert {row.scoring for row in plain.rows} == {"plain"}
    assert {row.scoring for row in wenet.rows} == {"wenet"}
    assert {row.test_digest for row in plain.rows}.isdisjoint(row.test_digest for row in wenet.rows)


def test_an_unknown_scoring_is_refused_with_the_valid_ones(write_study: StudyWriter) -> None:
    with pytest.raises(InputError, match=r"scoring: 'mandrin' .* did you mean 'mandarin'"):
        prepare(str(write_study()), ["scoring=mandrin"], None)
