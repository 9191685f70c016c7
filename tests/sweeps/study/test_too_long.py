"""Speech and text that a model has no positions for is refused before anything is trained."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from small_study import LLM, StudyWriter, study_fields, write_model

from scaling.asr.resources import Sources
from scaling.base_models.encoders import ENCODERS
from scaling.cost.model_shape import default_lora
from scaling.cost.too_long import places_of_long_texts
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.speech.string_column import StringColumn
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file


def test_an_utterance_longer_than_the_encoder_is_named(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "long-audio", audio_seconds=30.1, text="abc"))
    with pytest.raises(InputError, match=r"encoder or llm, the first is 'long-audio' \(30\.1 s, 4 text tokens\)"):
        prepare(str(study), [], None)


def test_a_text_longer_than_the_decoder_is_named(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "long-text", audio_seconds=1.0, text="ab" * 32))
    with pytest.raises(InputError, match=r"'long-text' \(1 s, 65 text tokens\); expected at most 30 s and 64 text"):
        prepare(str(study), [], None)


def test_thirty_seconds_and_a_full_decoder_fit(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "just-right", audio_seconds=30.0, text="a" * 63))
    assert prepare(str(study), [], None).study.speech.tests[0][1].ids == ["just-right"]


def test_speech_and_text_longer_than_the_context_of_the_llm_are_named(
    write_study: StudyWriter, surroundings: Path, tmp_path: Path
) -> None:
    write_model(tmp_path / "short-sighted", {**LLM, "max_position_embeddings": 300})
    models = [{"encoder": str(surroundings / "encoder"), "llm": str(tmp_path / "short-sighted"), "stack": 5}]
    study = write_study(models=models, data=with_a_row(surroundings, "both", audio_seconds=30.0, text="abc"))
    with pytest.raises(InputError, match=r"'both' .* expected at most 300 of the LLM's positions, not 3\d\d"):
        prepare(str(study), [], None)


@pytest.mark.parametrize(
    ("audio_seconds", "text", "kind"),
    [(30.1, "abc", "audio over 30 s"), (1.0, "ab" * 32, "text too long for the models")],
)
def test_training_rows_that_a_model_has_no_positions_for_are_left_out_and_said(
    write_study: StudyWriter, surroundings: Path, tmp_path: Path, audio_seconds: float, text: str, kind: str
) -> None:
    long = with_a_row(surroundings, "long-training", audio_seconds=audio_seconds, text=text)["test"]["odd"]
    fields = study_fields(surroundings)["data"]
    both = surroundings / "both.jsonl"
    both.write_text(Path(long).read_text() + Path(fields["train"]).read_text())
    without = prepare(str(write_study()), [], None).study.speech
    prepared = prepare(str(write_study(data={**fields, "train": str(both)})), [], None)
    speech = prepared.study.speech
    assert speech.train.skipped == {kind: 1}
    assert speech.notes()[0].startswith(f"data.train: left out of training: 1 x {kind}, the first line 1, 'long-tr")
    assert speech.train.digest == without.train.digest
    plan_file = write_plan_file(prepared.study, prepared.plan, tmp_path / "out", Ledger(tmp_path / "out"))
    read_again = Sources(plan_file.sources).manifest(speech.train.digest)
    assert read_again.ids == speech.train.ids


def test_a_text_is_too_long_at_the_speed_that_leaves_ctc_too_few_frames(
    write_study: StudyWriter, surroundings: Path
) -> None:
    study = prepare(str(write_study()), [], None).study
    (model,), dims = study.models, ENCODERS["wav2vec2-base"]
    ctc = dataclasses.replace(
        model, shape=dataclasses.replace(model.shape, encoder=dims, encoder_lora=default_lora(dims))
    )
    columns = dataclasses.replace(
        study.speech.train.columns.take(np.arange(2)), texts=StringColumn.of(["abcdefgh" * 5, "ab"])
    )
    samples = np.array([15_000, 15_000])  # 46 frames, of 50 a second
    manifest = dataclasses.replace(study.speech.train, columns=columns, samples=samples)
    assert places_of_long_texts([ctc], (1.0,), manifest).tolist() == []
    assert places_of_long_texts([ctc], (1.0, 1.5), manifest).tolist() == [0]


def with_a_row(surroundings: Path, name: str, *, audio_seconds: float, text: str) -> dict[str, Any]:
    """The surroundings' data with a test set of one utterance."""
    audio = surroundings / f"{name}.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(audio_seconds * 16_000))
    soundfile.write(audio, noise, 16_000)
    manifest = surroundings / f"{name}.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": str(audio), "text": text}) + "\n")
    data: dict[str, Any] = study_fields(surroundings)["data"]
    return {**data, "test": {"odd": str(manifest)}}
