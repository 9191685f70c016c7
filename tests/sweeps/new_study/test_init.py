"""`init` writes a study that can be paid, from what a user has, and asks where something is missing."""

import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from small_study import study_fields, write_manifest

from sweeps.study.study import load_study


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    for seed, (name, utterances) in enumerate({"train": 400, "valid": 6, "test_far": 8, "test_near": 7}.items()):
        write_manifest(folder, name, utterances, seed)
    return folder


@pytest.fixture
def corpus(written: Path, tmp_path: Path) -> Path:
    """A copy of it beside the study of the test."""
    return shutil.copytree(written, tmp_path / "corpus", copy_function=os.link)


def options(surroundings: Path, corpus: Path) -> list[object]:
    fields = study_fields(surroundings)["models"][0]
    return ["--corpus", corpus, "--encoder", fields["encoder"], "--llm", fields["llm"], "--language", "zh"]


def test_a_study_is_written_that_loads_and_costs_no_more_than_can_be_spent(
    asr_scaling: Any, surroundings: Path, corpus: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    said = asr_scaling("init", file, *options(surroundings, corpus), "--flops", "5e12", "--json")
    assert said.returncode == 0, said.stderr
    written = json.loads(said.stdout)
    plan = json.loads(asr_scaling("plan", file, "--json").stdout)
    assert plan["spent_flops"] == written["spent_flops"] <= 5e12
    assert plan["warnings"] == []
    assert plan["n_runs"] == written["n_runs"]
    study = load_study(str(file))
    assert [name for name, _ in study.speech.tests] == ["far", "near"]
    assert study.speech.dev.path.name == "valid.jsonl"
    assert (study.speech.spec.language, study.speech.spec.scoring) == ("zh", "mandarin")
    assert len(study.budgets_flops) >= 4
    assert min(stage["steps"] for run in plan["runs"] for stage in run["stages"]) >= 50
    text = file.read_text()
    assert "train: corpus/train.jsonl" in text
    assert all(line.startswith("#") for line in text.splitlines() if ": [" not in line and ":" not in line and line)


def test_more_to_spend_gives_larger_budgets_until_the_corpus_repeats(
    asr_scaling: Any, surroundings: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def largest(name: str, flops: str) -> int:
        said = asr_scaling("init", tmp_path / name, *options(surroundings, corpus), "--flops", flops)
        assert said.returncode == 0, said.stderr
        assert ("hears the training set" in said.stdout) == (name == "repeated.yaml")
        return load_study(str(tmp_path / name)).budgets_flops[-1]

    bounded = largest("repeated.yaml", "1e20")
    for module in ("affordable", "first_study"):
        monkeypatch.setattr(f"sweeps.new_study.{module}.MOST_EPOCHS", 1e6)
    assert bounded == largest("little.yaml", "5e12") < largest("more.yaml", "5e13") < largest("much.yaml", "5e14")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--flops", "1e3"], "too little for 4 budgets"),
        (["--flops", "1e3"], " FLOPs; expected more to spend, or smaller models"),
        (["--flops", "1e13", "--usd", "3"], "one positive amount"),
        (["--device-hours", "1", "--hardware", "abacus"], "abacus"),
        (["--flops", "1e12", "--encoder", "whisper-smal"], "init: models.0.encoder: encoder 'whisper-smal'"),
        (["--flops", "1e12", "--corpus", "nowhere"], "--corpus nowhere: no such folder"),
        (["--flops", "1e12", "--corpus-hours", "some"], "'--corpus-hours': 'some', expected a number"),
        (["--flops", "1e12", "--corpus-hours", "0"], "--corpus-hours: 0, expected hours from 0.01 to 10000"),
        (["--flops", "1e12", "--corpus-hours", "2e4"], "--corpus-hours: 20000, expected hours from 0.01 to 10000"),
        (["--flops", "1e12", "--corpus-hours", "2"], "is not made; expected one of"),
        (
            ["--flops", "1e12", "--corpus", __file__],
            "is a file; expected a folder with train, dev and test sets, or --tr",
        ),
    ],
)
def test_what_leads_to_no_study_is_an_error_and_leaves_no_file(
    asr_scaling: Any, surroundings: Path, corpus: Path, tmp_path: Path, changed: list[str], told: str
) -> None:
    said = asr_scaling("init", tmp_path / "mine.yaml", *options(surroundings, corpus), *changed)
    assert said.returncode == 2
    assert told in said.stderr
    assert "/tmp/tmp" not in said.stderr
    assert not (tmp_path / "mine.yaml").exists()


def test_a_file_that_exists_is_not_replaced(asr_scaling: Any, surroundings: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    said = asr_scaling("init", tmp_path / "mine.yaml", *options(surroundings, corpus), "--flops", "1e12")
    assert said.returncode == 2
    assert (tmp_path / "mine.yaml").read_text() == "precious"


def test_what_is_missing_is_named_where_nobody_can_be_asked(asr_scaling: Any, tmp_path: Path) -> None:
    said = asr_scaling("init", tmp_path / "mine.yaml", "--llm", "mini-s")
    assert said.returncode == 2
    assert "--corpus, --encoder, --flops, --usd or --device-hours missing" in said.stderr
    said = asr_scaling("init", tmp_path / "mine.yaml", "--llm", "mini-s", "--train", "a.jsonl", "--flops", "1e12")
    assert said.returncode == 2
    assert "init: --dev, --test, --encoder missing" in said.stderr


def test_what_is_missing_is_asked_for_on_a_terminal(
    asr_scaling: Any, surroundings: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    models = study_fields(surroundings)["models"][0]
    answers = [str(corpus), models["encoder"], models["llm"], "cpu-core", "2", "ja"]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(answers) + "\n"))
    said = asr_scaling("init", tmp_path / "mine.yaml")
    assert said.returncode == 0, said.stderr
    study = load_study(str(tmp_path / "mine.yaml"))
    assert (study.speech.spec.language, study.speech.spec.scoring) == ("ja", "whisper-basic")


def test_a_corpus_without_sets_by_name_asks_for_them(asr_scaling: Any, surroundings: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b", "c")):
        write_manifest(tmp_path / "corpus", name, 60, seed)
    given = options(surroundings, tmp_path / "corpus")
    said = asr_scaling("init", tmp_path / "mine.yaml", *given, "--flops", "1e12")
    assert said.returncode == 2
    assert "give --train FILE, --dev FILE and --test NAME=FILE" in said.stderr
    sets = [f"--{set_}={tmp_path / 'corpus' / f'{name}.jsonl'}" for set_, name in (("train", "a"), ("dev", "b"))]
    named = asr_scaling(
        "init", tmp_path / "mine.yaml", *given, *sets, "--test", f"x={tmp_path / 'corpus' / 'c.jsonl'}",
        "--flops", "5e12",
    )  # fmt: skip
    assert named.returncode == 0, named.stderr
