"""What fuzzing found (`make fuzz`), each as it was met: one line that says where and what, exit code 2."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_study import ENCODER, LLM, study_fields, write_manifest, write_model

from scaling.errors import InputError
from scaling.speech.manifest import read_manifest

DEEP = "[" * 3000 + "]" * 3000
RUNS = [{"flops": 10.0**power, "cer": 0.05 + 10.0 ** (-power / 12), "ref_chars": 9000} for power in range(11, 17)]


@pytest.fixture
def cli(asr_scaling, monkeypatch) -> Callable[..., tuple[int, str]]:
    """The exit code of the command line, and what it said on stderr or else on stdout.

    Slow steps are not announced: how slow they are is the machine's doing, and an import of pandas beside much other
    work is one.
    """
    monkeypatch.setattr("scaling.system.progress_line.PATIENCE_SECONDS", 1e9)

    def call(*arguments: object) -> tuple[int, str]:
        done = asr_scaling(*arguments)
        return done.returncode, done.stderr if done.returncode else done.stdout

    return call


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """A small study with relative paths."""
    folder = tmp_path_factory.mktemp("speech")
    for seed, (name, utterances) in enumerate({"train": 24, "dev": 3, "test": 3}.items()):
        write_manifest(folder, name, utterances, seed)
    write_model(folder / "encoder", ENCODER)
    write_model(folder / "llm", LLM)
    (folder / "study.yaml").write_text(json.dumps(study_fields(Path())))
    return folder


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('name="\\0"', "holds a character that no text file can hold"),
        ('language="\\ud800"', "holds a character that no text file can hold"),
        (f"seeds={DEEP}", "nested too deeply"),
        (f"seeds=[{'9' * 5000}]", "a number of 5000 digits; expected at most 400"),
        ("budgets_flops=[1e308]", "1e+308; expected less than or equal to"),
        (f"models.0.llm_lora.rank={10**30}", "expected less than or equal to 1000000"),
        (f"data.train={'é' * 300}", "File name too long"),
    ],
)
def test_hostile_settings_are_refused_in_one_line(speech, cli, setting, said):
    code, err = cli("plan", speech / "study.yaml", "--set", setting)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said in err


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (json.dumps({**ENCODER, "model_type": {}}), "model_type {} is not supported"),
        (json.dumps({**ENCODER, "d_model": 10**20}), "d_model must be a whole number from 1 to 10000000"),
        (DEEP, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
)
def test_hostile_model_configs_are_refused_by_name(tmp_path, cli, config, said):
    (tmp_path / "config.json").write_text(config)
    code, err = cli("flops", "--encoder", tmp_path / "config.json", "--llm", "Qwen2.5-0.5B")
    assert code == 2
    assert "config.json" in err
    assert said in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", DEEP.encode(), "a.jsonl:1: not valid JSON (nested too deeply)"),
        ("a.json", DEEP.encode(), "nested too deeply"),
        ("a.parquet", b"PAR1 and no more", "no readable Parquet"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8 text"),
        (
            "a.json",
            b'{"schema": 3}',
            "expected a list of objects, columns of equal length by name, or fits as `fit --out` left them",
        ),
        ("a.jsonl", b'{"flops": "\\u0000\\n\\ud800"}\n', "cer"),
    ],
)
def test_hostile_tables_are_refused_in_one_line(tmp_path, cli, name, content, said):
    (tmp_path / name).write_bytes(content)
    code, err = cli("predict", tmp_path / name, "--flops", "1e15")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said in err


def test_stored_fits_that_somebody_changed_are_not_believed(tmp_path, cli):
    table = tmp_path / "runs.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in RUNS))
    assert cli("fit", tmp_path)[0] == 0
    before = cli("predict", tmp_path, "--flops", "1e17", "--json")
    fits = json.loads((tmp_path / "fits.json").read_text())
    fits["curves"][0]["fit"]["y"][0] *= 2
    (tmp_path / "fits.json").write_text(json.dumps(fits))
    assert cli("predict", tmp_path / "fits.json", "--flops", "1e17")[0] == 2
    assert cli("predict", tmp_path, "--flops", "1e17", "--json") == before


def test_names_of_a_foreign_table_keep_an_answer_in_its_lines(tmp_path, cli):
    name = "a\nb\x1b[2J\u061c"
    runs = [row | {"stages": [{"name": name, "flops": row["flops"]}], "strategy": name} for row in RUNS]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in runs))
    for verb in ("fit", "predict", "recommend"):
        code, said = cli(verb, tmp_path, *(() if verb == "fit" else ("--flops", "1e17")))
        assert code == 0
        assert "a\\nb\\u001b[2J\\u061c" in said
        assert not any(line.startswith("b") for line in said.splitlines())


@pytest.mark.parametrize(
    "question",
    [
        ("flops", "--encoder", "whisper-tiny", "--llm", "Qwen2.5-0.5B", "--audio-seconds", "nan"),
        ("design", "runs.jsonl", "--flops", "1e17", "--spend", "1e300"),
        ("fit", "runs.jsonl", "--where", "\n" + "x" * 20_000 + " > 1"),
        ("predict", "runs.jsonl", "--flops", "1e300"),
    ],
    ids=lambda question: question[0],
)
def test_absurd_questions_are_refused_in_one_line(tmp_path, cli, monkeypatch, question):
    monkeypatch.chdir(tmp_path)
    Path("runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in RUNS))
    code, err = cli(*question)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert len(err) < 3000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"checkpoint": "../../../precious"}, "checkpoint is '../../../precious'; expected a relative path below"),
        ({"checkpoint": "/etc"}, "checkpoint is '/etc'"),
        ({"spent": "much"}, "spent is 'much'; expected an object"),
        (
            {"test": {"clean": {"cer": 1.0, "errors": 1, "ref_chars": 0, "n_utterances": 1}}},
            "expected a number above 0",
        ),
    ],
)
def test_a_result_that_another_trainer_wrote_is_checked(speech, tmp_path, cli, change, said):
    (tmp_path / "precious").mkdir()
    run = ("run", speech / "study.yaml", "--simulate", "--out", tmp_path / "out")
    assert cli(*run)[0] == 0
    result = sorted((tmp_path / "out" / "simulated" / "stages").glob("*/result.json"))[-1]
    result.write_text(json.dumps({**json.loads(result.read_text()), **change}))
    code, err = cli(*run)
    assert code == 1  # its run has failed, and the others are in the table
    assert str(result) in err
    assert said in err
    if "checkpoint" in change:
        assert cli("gc", tmp_path / "out" / "simulated")[0] == 0  # the node is left as it is
        assert (tmp_path / "precious").is_dir()


def test_a_recording_whose_name_no_disk_takes_is_a_bad_row(speech, tmp_path):
    rows = [json.loads(line) for line in (speech / "train.jsonl").read_text().splitlines()]
    rows[3]["audio_filepath"] = "é" * 300
    path = speech / "long_name.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_manifest(path, max_bad_share=0.1).bad_rows.total == 1
    path.unlink()


def test_a_tokenizer_that_cannot_write_a_text_is_named(speech, tmp_path, cli):
    shutil.copytree(speech / "llm", tmp_path / "llm")
    file = tmp_path / "llm" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    del tokenizer["model"]["vocab"]["<unk>"], tokenizer["model"]["vocab"]["a"]
    file.write_text(json.dumps(tokenizer))
    code, err = cli("plan", speech / "study.yaml", "--set", f"models.0.llm={tmp_path / 'llm'}")
    assert code == 2
    assert f"{file}: cannot encode the texts of the manifest" in err


def test_a_torn_cache_costs_time_and_no_answer(speech, tmp_path, cli, monkeypatch):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path))
    whole = cli("plan", speech / "study.yaml", "--json")
    assert whole[0] == 0
    for number in range(sum(path.is_file() for path in tmp_path.rglob("*"))):
        file = sorted(path for path in tmp_path.rglob("*") if path.is_file())[number]
        kept = file.read_bytes()
        file.unlink()  # what is mapped must not be cut
        file.write_bytes((b"", kept[: len(kept) // 2], b"nonsense")[number % 3])
        assert cli("plan", speech / "study.yaml", "--json") == whole


def test_what_the_machine_refuses_is_one_line(speech, tmp_path, cli):
    (tmp_path / "file").write_text("")
    code, err = cli("run", speech / "study.yaml", "--simulate", "--out", tmp_path / "file" / "out")
    assert code == 2
    assert len(err.splitlines()[-1:]) == 1
    assert f"{tmp_path / 'file'}: is no folder, and nothing can be written there" in err


def test_whoever_closes_our_output_early_sees_no_traceback(tmp_path):
    command = (
        f"{sys.executable} -c 'from scaling.cli import main; main()' flops --encoder whisper-tiny --llm Qwen2.5-0.5B"
    )
    done = subprocess.run(["bash", "-c", f"{command} --json | true"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_a_message_is_one_line_whatever_the_value_in_it():
    error = str(InputError("name: a\nb\x1b[31m\ud800 " + "x" * 100_000))
    assert error.isprintable()
    assert len(error) < 3000


@pytest.mark.parametrize("damage", ["weights", "progress", "missing"])
def test_a_broken_checkpoint_is_named(tmp_path, damage):
    torch = pytest.importorskip("torch")
    from scaling.asr.checkpoint import Checkpoint, Progress, load, save

    save(tmp_path, Checkpoint({"projector/w": torch.zeros(2)}, None, Progress.beginning(3)))
    assert np.array_equal(load(tmp_path).progress.seen, [False] * 3)
    progress = json.loads((tmp_path / "progress.json").read_text())
    if damage == "weights":
        (tmp_path / "weights.safetensors").write_bytes(b"\xff" * 100)
    elif damage == "progress":
        (tmp_path / "progress.json").write_text(json.dumps({**progress, "seen": {"bits": "é", "utterances": -1}}))
    else:
        (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load(tmp_path)
