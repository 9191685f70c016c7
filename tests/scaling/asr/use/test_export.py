"""An exported recogniser is the run's own, in files that others can read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from stranger import environment_without_this_project, written_by_the_card, written_by_the_card_in_this_process
from tiny_world import Finished
from transformers import AutoModelForCausalLM, WhisperForConditionalGeneration

from scaling.asr.use.export_folder import read_export
from scaling.asr.use.trained_recognizer import read_run
from scaling.errors import InputError
from scaling.spec import Part
from scaling.speech.audio import read_clip
from scaling.speech.recordings import find_recordings
from sweeps.finished.find_run import find_run
from sweeps.finished.transcribe_export import export, transcribe


@pytest.fixture(scope="module")
def exported(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of efin, exported by a process of its own."""
    out = tmp_path_factory.mktemp("exported") / "efin"
    export(finished.out, out, None, "efin")
    return out


def hypotheses(finished: Finished, strategy: str) -> list[str]:
    return [entry["hyp"] for entry in finished.utterances(strategy)]


def test_an_export_transcribes_as_the_run_did(finished, exported, world, in_this_process):
    written = transcribe(exported, [world / "test.jsonl"], None, None)
    assert [transcript.text for transcript in written] == hypotheses(finished, "efin")


def test_its_models_are_plain_and_hold_what_was_trained(finished, exported):
    run = find_run(finished.out, None, "efin")
    trained, _ = read_run(run.plan_file.ledger, run.plan_file.sources, run.node_key)
    trained.model.merge_adapters(Part.LLM_LORA)
    llm = AutoModelForCausalLM.from_pretrained(exported / "llm")
    whisper = WhisperForConditionalGeneration.from_pretrained(exported / "encoder")
    for plain, own in ((llm, trained.model.llm), (whisper, trained.model.asr)):
        wanted = own.state_dict()
        assert plain.state_dict().keys() == wanted.keys()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in plain.state_dict().items())


def test_the_export_records_the_tokens_around_speech_and_text_and_the_scoring(finished, exported):
    run = find_run(finished.out, None, "efin")
    trained, _ = read_run(run.plan_file.ledger, run.plan_file.sources, run.node_key)
    config = json.loads((exported / "recognizer.json").read_text())
    for name, codec in (("asr_tokens", trained.model.asr_codec), ("llm_tokens", trained.model.llm_codec)):
        assert config[name] == {"before": [*codec.before], "prefix": [*codec.prefix], "end": codec.end}
    assert config["llm_tokens"]["prefix"]
    assert (config["scoring"], config["scoring_version"]) == ("plain", 2)


def test_a_run_that_ends_with_the_encoders_objective_is_exported_without_an_llm(
    finished, world, tmp_path, in_this_process
):
    export(finished.out, tmp_path / "out", None, "encoder-only")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "encoder", "recognizer.json"]
    recordings = find_recordings([world / "test.jsonl"], 30.0)
    trained = read_export(tmp_path / "out")
    written = dict(trained.transcripts([r.clip for r in recordings]))
    assert [written[place] for place in range(len(recordings))] == hypotheses(finished, "encoder-only")


def test_an_encoder_first_export_is_a_whisper_that_its_cards_snippet_uses(finished, world, tmp_path, in_this_process):
    """It writes what the recogniser writes about the same speech with Whisper's padding."""
    out = tmp_path / "out"
    export(finished.out, out, None, "encoder-only")
    (first, *_) = find_recordings([world / "test.jsonl"], 30.0)
    samples_T = read_clip(first.clip)
    soundfile.write(tmp_path / "padded.wav", np.pad(samples_T, (0, 480_000 - len(samples_T))), 16_000)
    written = written_by_the_card_in_this_process(out, samples_T)
    (padded,) = transcribe(out, [tmp_path / "padded.wav"], None, None)
    known = padded.text.strip()
    assert known
    assert written.startswith(known) or known.startswith(written), (written, known)


def test_an_export_through_the_llm_is_used_by_its_cards_snippet_without_this_project(
    finished, exported, world, tmp_path
):
    """It writes what the run wrote, where the run's texts did not end at the cap that the speech sets."""
    stranger = environment_without_this_project(tmp_path / "stranger")
    (first, *_) = find_recordings([world / "test.jsonl"], 30.0)
    written, known = written_by_the_card(stranger, exported, read_clip(first.clip)), hypotheses(finished, "efin")[0]
    assert known
    assert written.startswith(known), (written, known)


def test_the_card_says_what_it_cost_and_how_wrong_it_is(finished, exported):
    row = finished.rows["efin"]
    card = (exported / "README.md").read_text()
    for fact in (f"{row['flops']:.6g}", f"{row['test']['clean']['cer']:.4f}", "llm_lora", row["key"], "projector"):
        assert fact in card


def test_nothing_exported_names_a_path_of_this_machine(finished, exported, world):
    texts = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert len(texts) > 8
    for path, content in texts.items():
        for private in (finished.out, world, Path.home()):
            assert str(private).encode() not in content, path


def test_a_folder_that_holds_something_is_not_written_to(finished, tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(InputError, match="exists already; expected a new or an empty folder"):
        export(finished.out, tmp_path, None, None)
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
