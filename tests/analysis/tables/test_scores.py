"""`asr-scaling score`: other people's transcripts get the score that runs get."""

import gzip
import json

import pytest

from analysis.tables.scores import score_files, scores_text
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
        ("u1 a\n", None, "expected text in hyp or pred_text, found None"),
        ("u1 a\n", "u1 \xff\n", "ref.txt, line 1: .*; expected UTF-8 text"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, hyp, ref, said):
    paths = [tmp_path / "hyp.txt", tmp_path / "ref.txt"]
    paths[0].write_text(hyp)
    if ref is not None:
        paths[1].write_text(ref, encoding="latin-1")
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


LINES = '{"key": "a", "wav": "x/a.wav", "txt": "今天天气"}\n{"key": "b", "wav": "x/b.wav", "txt": "你好"}\n'


@pytest.mark.parametrize("suffix", [".list", ".ndjson", ".manifest", ".json", ".jsonl.gz", ".list.gz", ".jl", ".txt"])
def test_json_lines_are_read_as_such_whatever_their_ending(tmp_path, suffix):
    hyp, ref = tmp_path / "hyp.txt", tmp_path / f"ref{suffix}"
    hyp.write_text("a 今天天七\nb 你好\n", encoding="utf-8")
    ref.write_bytes(gzip.compress(LINES.encode()) if suffix.endswith(".gz") else LINES.encode())
    for files in ((hyp, ref), (ref, hyp)):
        assert score_files(*files, "plain").as_dict()["sets"]["together"]["errors"] == 1
    assert score_files(ref, ref, "plain").as_dict()["sets"]["together"]["ref_chars"] == 6


def test_trn_lines_end_in_their_ids(tmp_path):
    hyp, ref = tmp_path / "hyp.trn", tmp_path / "ref.trn"
    hyp.write_text("how are you (s1-2)\nhello their (s1-1)\n (s2-3)\n")
    ref.write_text(";; a remark\nhello there (s1-1)\nhow are (you) (s1-2)\nyes (s2-3)\n")
    document = score_files(hyp, ref, "plain").as_dict()
    assert [(row["id"], row["word_errors"]) for row in document["utterances"]] == [
        ("s1-1", 1),
        ("s1-2", 0),
        ("s2-3", 1),
    ]
    assert document["sets"]["together"]["ref_words"] == 6
    (tmp_path / "ref.trn.gz").write_bytes(gzip.compress(b"how are (you) ( s1-2 )\nhello there(s1-1)\nyes (s2-3)\n"))
    assert score_files(tmp_path / "ref.trn.gz", ref, "plain").as_dict()["sets"]["together"]["errors"] == 0
    for line, said in (
        ("no id at all", "hyp.trn:1: .* has no id"),
        ("a (s1-(1))", "hyp.trn:1: .* has no id; expected .*one word"),
        ("{ a / b } c (s1-1)", "hyp.trn:1: .* alternatives"),
    ):
        hyp.write_text(line + "\n")
        with pytest.raises(InputError, match=said):
            score_files(hyp, ref, "plain")


@pytest.mark.parametrize("ending", [".csv", ".stm", ".ctm.gz", ".srt"])
def test_formats_whose_first_word_is_no_id_are_refused_by_name(tmp_path, ending):
    file = tmp_path / f"ref{ending}"
    file.write_bytes(b"call,one two\n")
    with pytest.raises(InputError, match=f"expected JSON lines, .*, not {ending.removesuffix('.gz')}$"):
        score_files(file, file, "plain")


@pytest.mark.parametrize("fields", [{"id": ["a"]}, {"id": True}, {"speaker": {"name": "s"}}, {"test": ["clean"]}])
def test_a_name_that_is_no_text_is_refused_with_its_line(tmp_path, fields):
    (name,) = fields
    (tmp_path / "m.jsonl").write_text(nemo() + nemo(audio_filepath="b.wav", **fields))
    with pytest.raises(InputError, match=rf"m\.jsonl:2: .*{name}.* must be text or a number"):
        score_files(tmp_path / "m.jsonl", None, "plain")


def nemo(**fields: object) -> str:
    return json.dumps({"audio_filepath": "call.wav", "text": "how are you", "pred_text": "how are you"} | fields) + "\n"


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        ([{"offset": 0, "duration": 2}, {"offset": 2, "duration": 1.5}], ["call-0.000-2.000", "call-2.000-3.500"]),
        ([{"channel": 0}, {"channel": 1}], ["call-ch0", "call-ch1"]),
        ([{"audio_filepath": "/x/s1/001.wav"}, {"audio_filepath": "/x/s2/001.flac"}], ["s1/001", "s2/001"]),
        ([{"audio_filepath": "a/1/x.wav"}, {"audio_filepath": "b/1/x.wav"}, {}], ["a/1/x", "b/1/x", "call"]),
        ([{}, {}], ["call", "call#2"]),
        ([{"id": None}, {"id": None, "key": "k"}, {"id": "call"}], ["call", "k", "call"]),
    ],
)
def test_utterances_without_ids_are_told_apart_and_pair_up(tmp_path, rows, ids):
    file = tmp_path / "m.json"
    file.write_text("".join(nemo(**row) for row in rows))
    if ids[0] == ids[-1]:  # an id that is given is kept, and the other one cannot be told from it
        with pytest.raises(InputError, match=r"m\.json:3: utterance call again"):
            score_files(file, file, "plain")
        return
    for references in (file, None):
        document = score_files(file, references, "plain").as_dict()
        assert [row["id"] for row in document["utterances"]] == ids
        assert document["sets"]["together"]["errors"] == 0


def test_a_file_with_both_sides_is_scored_as_such_and_says_which_fields_were_read(tmp_path):
    """As NeMo's transcription writes it. Given twice, the recognised side of it stays what was recognised."""
    file = tmp_path / "m.json"
    file.write_text(nemo(pred_text="how are they"))
    for references in (file, None):
        scores = score_files(file, references, "plain")
        document = scores.as_dict()
        assert (document["sets"]["together"]["word_errors"], document["fields"]) == (
            1,
            {"hyp": ["pred_text"], "ref": ["text"]},
        )
        assert "pred_text against text" in scores_text(scores)
        assert "ref_field" not in document["utterances"][0]


def test_null_is_absence(tmp_path):
    file = tmp_path / "m.jsonl"
    file.write_text(
        "".join(nemo(audio_filepath=f"{n}.wav", id=None, speaker=None, hyp=None, ref=None) for n in range(4))
    )
    document = score_files(file, None, "plain").as_dict()
    assert [row["id"] for row in document["utterances"]] == ["0", "1", "2", "3"]
    assert document["sets"]["together"]["n_speakers"] == 0
    assert document["sets"]["together"]["cer_interval"]["resampled"] == "utterances"


@pytest.mark.parametrize("name", ["hyp.txt", "hyp.jsonl", "hyp.trn"])
def test_byte_order_marks_are_skipped_and_utf_16_is_named(tmp_path, name):
    text = {"hyp.txt": "a 你好\n", "hyp.jsonl": '{"id": "a", "text": "你好"}\n', "hyp.trn": "你好 (a)\n"}[name]
    (tmp_path / "ref.txt").write_text("a 你好\n", encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert score_files(tmp_path / name, tmp_path / "ref.txt", "plain").as_dict()["sets"]["together"]["errors"] == 0
    (tmp_path / name).write_text(text, encoding="utf-16")
    with pytest.raises(InputError, match=f"{name}: text in UTF-16; expected UTF-8"):
        score_files(tmp_path / name, tmp_path / "ref.txt", "plain")
