"""An exported recogniser is the run's own, in files that others can read."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_world import train_study, write_study
from transformers import AutoModelForCausalLM, WhisperForConditionalGeneration

from scaling.asr.trained import read_export, read_run
from scaling.errors import InputError
from scaling.recordings import find_recordings
from scaling.spec import Part
from sweeps.trained import TrainedRun, find_run
from sweeps.use import export, transcribe

ENCODER_ONLY = {
    "name": "encoder-only",
    "stages": [{"name": "encoder", "objective": "asr", "trains": ["encoder", "asr_decoder"], "share": 1.0}],
}


@pytest.fixture(scope="module")
def folder(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, one of whose runs writes through the encoder's own decoder."""
    out = tmp_path_factory.mktemp("finished")
    train_study(write_study(world, budgets_flops=[4e8], strategies=["efin", ENCODER_ONLY]), out)
    return out


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    out = folder / "exported"
    export(folder, out, None, "efin")
    return out


def hypotheses(folder: Path, run: TrainedRun) -> list[str]:
    lines = (folder / "utterances" / f"{run.row['key']}.jsonl").read_text().splitlines()
    return [json.loads(line)["hyp"] for line in lines]


def test_an_export_transcribes_as_the_run_did(folder, exported, world):
    written = transcribe(exported, [world / "test.jsonl"], None, None)
    assert [transcript.text for transcript in written] == hypotheses(folder, find_run(folder, None, "efin"))


def test_its_models_are_plain_and_hold_what_was_trained(folder, exported):
    run = find_run(folder, None, "efin")
    trained, _ = read_run(run.orders.ledger, run.orders.content["sources"], run.node)
    trained.model.merge_adapters(Part.LLM_LORA)
    llm = AutoModelForCausalLM.from_pretrained(exported / "llm")
    whisper = WhisperForConditionalGeneration.from_pretrained(exported / "encoder")
    for plain, own in ((llm, trained.model.llm), (whisper, trained.model.asr)):
        wanted = own.state_dict()
        assert plain.state_dict().keys() == wanted.keys()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in plain.state_dict().items())


def test_a_run_that_ends_with_the_encoders_objective_is_exported_without_an_llm(folder, world, tmp_path):
    run = export(folder, tmp_path / "out", None, "encoder-only")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "encoder", "recognizer.json"]
    recordings = find_recordings([world / "test.jsonl"], 30.0)
    trained = read_export(tmp_path / "out")
    written = dict(trained.transcripts([r.clip for r in recordings]))
    assert [written[place] for place in range(len(recordings))] == hypotheses(folder, run)


def test_the_card_says_what_it_cost_and_how_wrong_it_is(folder, exported):
    row = find_run(folder, None, "efin").row
    card = (exported / "README.md").read_text()
    for fact in (f"{row['flops']:.6g}", f"{row['test']['clean']['cer']:.4f}", "llm_lora", row["key"], "projector"):
        assert fact in card


def test_nothing_exported_names_a_path_of_this_machine(folder, exported, world):
    texts = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert len(texts) > 8
    for path, content in texts.items():
        for private in (folder, world, Path.home()):
            assert str(private).encode() not in content, path


def test_a_folder_that_holds_something_is_not_written_to(folder, tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(InputError, match="exists already; expected a new or an empty folder"):
        export(folder, tmp_path, None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_export_of_another_version_is_refused(exported, tmp_path):
    (tmp_path / "recognizer.json").write_text(json.dumps({"schema": "asr-scaling/recognizer-9"}))
    with pytest.raises(InputError, match="schema 'asr-scaling/recognizer-9'; expected 'asr-scaling/recognizer-1'"):
        read_export(tmp_path)


def test_an_export_with_a_file_missing_is_refused(exported, tmp_path):
    for name in ("projector.safetensors", "llm/model.safetensors"):
        part = tmp_path / name.replace("/", "-")
        shutil.copytree(exported, part)
        (part / name).unlink()
        with pytest.raises(InputError, match=r"not a whole export|a model that cannot be loaded"):
            read_export(part)


def test_a_choice_of_runs_makes_no_sense_for_an_export(exported, world):
    with pytest.raises(InputError, match="an exported recogniser is one run"):
        transcribe(exported, [world / "test.jsonl"], None, "efin")
