"""From a trained run to its score: the scoring that a study names is its table's, and that of its transcripts."""

import json

import pytest
from tiny_world import train_study, write_study

from analysis.tables.scores import score_files
from scaling.scoring.score import score, total
from scaling.spec import Scoring
from sweeps.finished.find_run import find_run
from sweeps.finished.transcribe_export import transcribe, transcripts_document


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
        assert row["test"]["clean"] == {**expected.summary(), "n_utterances": len(spoken)}


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
