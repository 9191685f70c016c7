"""`asr-scaling score`: other people's transcripts get the score that runs get."""

import json

import pytest

from analysis.tables.scores import score_files
from scaling.cli import app
from scaling.errors import InputError
from scaling.scoring.score import score, total
from scaling.spec import Scoring

REFERENCES = {"u1": "打开Let It Go", "u2": "今天天气很好", "u3": "N B D二零一三年"}
HYPOTHESES = {"u1": "打开 let it go。", "u2": "今天天汽很好吗", "u3": "NBD2013年"}


@pytest.fixture
def files(tmp_path):
    """A Kaldi text of hypotheses, in another order than the manifest of references."""
    hyp, ref = tmp_path / "hyp.txt", tmp_path / "ref.jsonl"
    hyp.write_text("".join(f"{key}\t{text}\n" for key, text in reversed(HYPOTHESES.items())), encoding="utf-8")
    rows = [
        {"audio_filepath": f"wav/{key}.wav", "text": text, "speaker": f"s{key}"} for key, text in REFERENCES.items()
    ]
    ref.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return hyp, ref


@pytest.mark.parametrize("scoring", Scoring)
def test_files_get_the_score_of_their_texts(files, scoring):
    document = score_files(*files, scoring).as_dict()
    expected = total(score(REFERENCES[key], HYPOTHESES[key], scoring) for key in REFERENCES)
    together = document["sets"]["together"]
    assert {name: together[name] for name in expected.summary()} == expected.summary()
    assert [row["id"] for row in document["utterances"]] == list(REFERENCES)
    assert sum(row["errors"] for row in document["utterances"]) == together["errors"]
    assert together["cer_interval"]["resampled"] == "speakers"


def test_a_file_of_a_runs_utterances_is_scored_by_test_set_and_together(tmp_path):
    rows = [
        {"test": test, "id": "u1", "speaker": speaker, "ref": "一二三四", "hyp": hyp}
        for test, speaker, hyp in [("clean", "a", "一二三四"), ("noisy", "b", "一二")]
    ]
    file = tmp_path / "KEY.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sets = score_files(file, None, "plain").as_dict()["sets"]
    assert {name: found["cer"] for name, found in sets.items()} == {"clean": 0.0, "noisy": 0.5, "together": 0.25}
    assert sets["together"]["n_speakers"] == 2


def test_the_verb_prints_rates_and_says_over_what_intervals_are(files, capsys):
    app(["score", *map(str, files), "--scoring", "mandarin"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "together" in out
    assert "scoring: mandarin; intervals over 3 speakers" in out
    app(["score", *map(str, files), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["scoring"] == "plain"


@pytest.mark.parametrize(
    ("hyp", "ref", "said"),
    [
        ("u1 a\n", "u1 a\nu2 b\n", "hyp.txt: lacks 1 utterances that the other side has, such as u2"),
        ("u1 a\nu3 c\n", "u1 a\n", "ref.txt: lacks 1 .* such as u3"),
        ("u1 a\nu1 b\n", "u1 a\n", "hyp.txt:2: utterance u1 again; it is in .*:1"),
        ("", "u1 a\n", "hyp.txt: holds no utterance"),
        ("u1 a\n", "u1 ,\n", "no reference holds a character"),
        ("u1 a\n", None, "expected text in ref"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, hyp, ref, said):
    paths = [tmp_path / "hyp.txt", tmp_path / "ref.txt"]
    paths[0].write_text(hyp)
    if ref is not None:
        paths[1].write_text(ref)
    with pytest.raises(InputError, match=said):
        score_files(paths[0], None if ref is None else paths[1], "plain")


def test_an_unknown_scoring_names_the_nearest(files):
    with pytest.raises(InputError, match="did you mean 'mandarin'"):
        score_files(*files, "mandrin")


def test_a_law_of_word_errors_is_the_law_of_a_table_that_holds_nothing_else(tmp_path, capsys):
    runs, words = tmp_path / "runs.jsonl", tmp_path / "words.jsonl"
    rows = [
        {"flops": flops, "cer": 0.03 + cer, "ref_chars": 50_000, "wer": 0.05 + 2 * cer, "ref_words": 700}
        for flops, cer in [(10.0 ** (11 + 0.5 * i), 0.4 * 10 ** (-0.2 * i)) for i in range(6)]
    ]
    runs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words.write_text("".join(json.dumps({"flops": r["flops"], "cer": r["wer"], "ref_chars": 700}) + "\n" for r in rows))
    documents = []
    for arguments in ([str(runs), "--columns", "y=wer"], [str(words)], [str(runs)]):
        app(["fit", *arguments, "--json", "--out", str(tmp_path / "fits.json")], standalone_mode=False)
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1] != documents[2]
