"""Speech and text that a model has no positions for is refused before anything is trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from small_study import StudyWriter, study_fields

from scaling.errors import InputError
from sweeps.preparation import prepare


def test_an_utterance_longer_than_the_encoder_is_named(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "long-audio", audio_seconds=30.1, text="abc"))
    with pytest.raises(InputError, match=r"too long for encoder, the first is 'long-audio' \(30\.1 s, 4 text tokens\)"):
        prepare(str(study), [], None)


def test_a_text_longer_than_the_decoder_is_named(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "long-text", audio_seconds=1.0, text="ab" * 32))
    with pytest.raises(InputError, match=r"'long-text' \(1 s, 65 text tokens\); expected at most 30 s and 64 text"):
        prepare(str(study), [], None)


def test_thirty_seconds_and_a_full_decoder_fit(write_study: StudyWriter, surroundings: Path) -> None:
    study = write_study(data=with_a_row(surroundings, "just-right", audio_seconds=30.0, text="a" * 63))
    assert prepare(str(study), [], None).study.speech.tests[0][1].ids == ["just-right"]


def test_training_rows_too_long_for_the_encoder_are_left_out_and_said(
    write_study: StudyWriter, surroundings: Path
) -> None:
    long = with_a_row(surroundings, "long-training", audio_seconds=30.1, text="abc")["test"]["odd"]
    fields = study_fields(surroundings)["data"]
    both = surroundings / "both.jsonl"
    both.write_text(Path(fields["train"]).read_text() + Path(long).read_text())
    without = prepare(str(write_study()), [], None).study.speech
    speech = prepare(str(write_study(data={**fields, "train": str(both)})), [], None).study.speech
    assert speech.train.skipped == {"too long": 1}
    assert speech.notes()[0] == "data.train: left out as longer than the models can hear at once: 1"
    assert speech.train.digest == without.train.digest


def with_a_row(surroundings: Path, name: str, *, audio_seconds: float, text: str) -> dict[str, Any]:
    """The surroundings' data with a test set of one utterance."""
    audio = surroundings / f"{name}.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(audio_seconds * 16_000))
    soundfile.write(audio, noise, 16_000)
    manifest = surroundings / f"{name}.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": str(audio), "text": text}) + "\n")
    data: dict[str, Any] = study_fields(surroundings)["data"]
    return {**data, "test": {"odd": str(manifest)}}
