"""From a trained run to its score: the scoring that a study names is its table's, and that of its transcripts."""

import json

import pytest
from tiny_world import train_study, write_study

from analysis.tables.scores import score_files
from scaling.ledger.plan_file import read_plan_file
from scaling.ledger.records import NodeResult
from scaling.scoring.score import VERSIONS, score, total
from scaling.spec import Scoring
from sweeps.finished.find_run import find_run
from sweeps.finished.transcribe_export import transcribe, transcripts_document
from sweeps.progress.results_table import finished_row


@pytest.fixture(scope="module")
def rows(world, tmp_path_factory):
    """The same run under two scorings, by scoring, and their folders."""
    found = {}
    for scoring in (Scoring.PLAIN, Scoring.MANDARIN):
        folder = tmp_path_factory.mktemp(scoring.value)
        (row,) = train_study(write_study(world, strategies=["joint"], scoring=scoring.value), folder)
        found[scoring] = folder, row
    return found


def utterances(folder, row):
    lines = (folder / "utterances" / f"{row['key']}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_table_holds_the_errors_of_the_scoring_that_was_named(rows):
    for scoring, (folder, row) in rows.items():
        spoken = utterances(folder, row)
        expected = total(score(entry["ref"], entry["hyp"], scoring) for entry in spoken)
        assert row["scoring"] == scoring
        assert (row["errors"], row["ref_chars"]) == (expected.chars.errors, expected.chars.length)
        assert (row["cer"], row["wer"]) == (expected.chars.rate, expected.words.rate)
        assert row["scoring_version"] == VERSIONS[scoring] == 2
        scored = {"n_utterances": len(spoken), "scoring_version": 2}
        assert row["test"]["clean"] == {**expected.summary(), **scored}


def test_scoring_changes_no_training_and_digits_are_longer_when_they_are_read_out(rows):
    plain, mandarin = (row for _, row in rows.values())
    assert plain["key"] != mandarin["key"]
    assert plain["flops"] == mandarin["flops"]
    hyp = [[entry["hyp"] for entry in utterances(*run)] for run in rows.values()]
    assert hyp[0] == hyp[1]
    assert mandarin["ref_chars"] > plain["ref_chars"]


def test_a_runs_utterances_get_the_same_score_again(rows):
    for scoring, (folder, row) in rows.items():
        document = score_files(folder / "utterances" / f"{row['key']}.jsonl", None, scoring).as_dict()
        again = document["sets"]["together"]
        assert {name: again[name] for name in ("cer", "wer", "errors", "word_errors")} == {
            name: row[name] for name in ("cer", "wer", "errors", "word_errors")
        }


def test_transcripts_are_scored_as_their_run_was(rows, world, in_this_process):
    assert [find_run(folder, None, None).scoring for folder, _ in rows.values()] == list(rows)
    folder, row = rows[Scoring.MANDARIN]
    document = transcripts_document(transcribe(folder, [world / "test.jsonl"], None, None))
    assert (document["cer"], document["wer"]) == (row["cer"], row["wer"])


def test_results_of_an_earlier_version_of_the_scoring_keep_it_and_share_no_test_with_later_ones(rows):
    folder, row = rows[Scoring.PLAIN]
    plan_file = read_plan_file(folder)
    (run,) = plan_file.runs
    results = {key: plan_file.ledger.result(key) for key in run.nodes}
    early = results[run.nodes[-1]].model_dump(by_alias=True, exclude_unset=True)
    del early["test"]["clean"]["scoring_version"]
    old = finished_row(run, {**results, run.nodes[-1]: NodeResult(**early)})
    assert (old.scoring_version, old.test_digest) == (None, run.test_digest)
    assert finished_row(run, results).test_digest == row["test_digest"] != run.test_digest
