"""A study's language has no silent default, and sets that are not what their names say are noticed before a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_study import StudyWriter, study_fields, write_manifest

from scaling.errors import InputError
from sweeps.plan.plan_warnings import plan_warnings
from sweeps.study.study import load_study


def told(manifest: Path, **fields: str) -> Path:
    """The manifest with more fields in each row."""
    rows = [json.loads(line) | fields for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def test_without_a_language_in_study_and_corpus_it_is_asked_for(write_study: StudyWriter) -> None:
    path = write_study(language=None)
    with pytest.raises(InputError) as error:
        load_study(str(path))
    assert str(path) in str(error.value)
    assert "language is missing" in str(error.value)
    assert "--set language=en" in str(error.value)
    assert load_study(str(path), ["language=ja"]).speech.spec.language == "ja"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("english", "en"), ("Englsh", "en"), ("Mandarin", "zh"), ("en-US", "en"), ("cmn", "zh"), ("eng", "en")],
)
def test_a_language_that_is_no_code_is_refused_with_the_code(write_study: StudyWriter, said: str, meant: str) -> None:
    path = write_study(language=said)
    with pytest.raises(
        InputError, match=f"language '{said}'; expected Whisper's code of the language; did you mean '{meant}'"
    ):
        load_study(str(path))


def test_codes_of_whisper_and_of_rarer_languages_are_taken(write_study: StudyWriter) -> None:
    for code in ("zh", "yue", "haw", "quz"):
        assert load_study(str(write_study(language=code))).speech.spec.language == code
    with pytest.raises(InputError, match="language 'zz'; expected Whisper's code of the language; such as ar, "):
        load_study(str(write_study(language="zz")))


@pytest.mark.parametrize(("field", "value"), [("lang", "zh-CN"), ("language", "Mandarin"), ("locale", "zh_TW")])
def test_rows_that_name_their_language_name_the_study_s(
    surroundings: Path, write_study: StudyWriter, tmp_path: Path, field: str, value: str
) -> None:
    train = told(write_manifest(tmp_path, "spoken", 20, seed=5), **{field: value})
    data = {**study_fields(surroundings)["data"], "train": str(train)}
    study = load_study(str(write_study(language=None, data=data)))
    assert study.speech.spec.language == "zh"
    assert "language: zh" in study.text


def test_rows_of_two_languages_name_none(surroundings: Path, write_study: StudyWriter, tmp_path: Path) -> None:
    one = told(write_manifest(tmp_path, "one", 10, seed=5), lang="de")
    two = told(write_manifest(tmp_path, "two", 10, seed=6), lang="fr")
    one.write_text(one.read_text() + two.read_text())
    with pytest.raises(InputError, match="language is missing"):
        load_study(str(write_study(language=None, data={**study_fields(surroundings)["data"], "train": str(one)})))


@pytest.mark.parametrize(("corpus", "language"), [("synthetic-zh-digits", "zh"), ("synthetic-en-digits", "en")])
def test_a_made_corpus_names_its_language(corpus: str, language: str) -> None:
    from scaling.speech.synthetic.recipes import RECIPES

    assert RECIPES[corpus].language == language
    assert RECIPES["general"].language is None


def test_a_layout_of_one_corpus_names_its_language(tmp_path: Path) -> None:
    from scaling.speech.spoken_language import spoken_language

    chapter = tmp_path / "train-clean" / "19" / "198"
    chapter.mkdir(parents=True)
    (chapter / "19-198.trans.txt").write_text("19-198-0000 NORTHANGER ABBEY\n")
    (chapter / "19-198-0000.flac").write_bytes(b"")
    assert spoken_language(tmp_path / "train-clean") == "en"
    (tmp_path / "clips").mkdir()
    (tmp_path / "train.tsv").write_text("client_id\tpath\tsentence\tlocale\na\tb.mp3\tc\tsv-SE\n")
    assert spoken_language(tmp_path / "train.tsv") == "sv"


def noticed(path: Path) -> list[str]:
    speech = load_study(str(path)).speech
    assert speech.notes()[: len(speech.doubts)] == list(speech.doubts)
    return list(speech.doubts)


def test_sets_that_are_what_they_are_called_are_not_remarked_on(write_study: StudyWriter) -> None:
    assert noticed(write_study()) == []


def test_training_data_as_dev_is_noticed(surroundings: Path, write_study: StudyWriter) -> None:
    data = study_fields(surroundings)["data"]
    (first, second) = noticed(write_study(data={**data, "dev": data["train"]}))
    assert first == "data.dev: 80 of 80 utterances are in data.train too: what is chosen on dev was trained on"
    assert second == "data.dev is 'train.jsonl', which sounds like train: are the sets swapped?"


def test_dev_as_test_is_noticed(surroundings: Path, write_study: StudyWriter) -> None:
    data = study_fields(surroundings)["data"]
    notes = noticed(write_study(data={**data, "test": {"clean": data["dev"]}}))
    assert notes[0].startswith("data.dev: 6 of 6 utterances are in data.test.clean too")


def test_swapped_sets_are_noticed_by_name_and_by_size(surroundings: Path, write_study: StudyWriter) -> None:
    data = study_fields(surroundings)["data"]
    notes = noticed(
        write_study(data={"train": data["test"]["clean"], "dev": data["dev"], "test": {"x": data["train"]}})
    )
    assert any("data.train is 'test.jsonl', which sounds like test" in note for note in notes)
    assert any("data.train has" in note and "data.test.x has" in note for note in notes)


def test_copied_audio_in_dev_is_noticed_too(surroundings: Path, write_study: StudyWriter, tmp_path: Path) -> None:
    copy = write_manifest(tmp_path, "copy", 5, seed=0)  # the first five utterances of train, in other files
    data = {**study_fields(surroundings)["data"], "dev": str(copy)}
    (note,) = noticed(write_study(data=data))
    assert note.startswith("data.dev: 5 of 5 utterances are in data.train too")


@pytest.mark.parametrize(("budgets", "warned"), [([4e9], True), ([4e9, 8e9], True), ([2e9, 4e9, 8e9], False)])
def test_one_or_two_budgets_are_warned_of(
    asr_scaling: Any, write_study: StudyWriter, budgets: list[float], warned: bool
) -> None:
    path = write_study(budgets_flops=budgets)
    assert bool(plan_warnings(load_study(str(path)))) == warned
    said = asr_scaling("plan", path)
    assert ("too_few_budgets: " in said.stdout) == warned
    assert bool(json.loads(asr_scaling("plan", path, "--json").stdout)["warnings"]) == warned
