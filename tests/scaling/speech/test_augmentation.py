"""Augmented speech has its real length and price, and is a function of seed, epoch and utterance."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import torch
from specs import DATA, node

from scaling.asr.inputs.augment import Augmenter
from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.spec import NO_AUGMENTATION, Augmentation, node_from_json, node_to_json
from scaling.speech.audio import Clip, read_clip
from scaling.speech.batches import POOL_UTTERANCES, BatchStream, Position
from scaling.speech.manifest import read_manifest


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    rows = []
    for row in range(6):
        tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(8000 + 1357 * row) / 16_000)
        soundfile.write(tmp_path / f"{row}.wav", tone, 16_000)
        rows.append({"audio_filepath": f"{row}.wav", "text": f"word {row}"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_manifest(tmp_path / "m.jsonl")


def pitch(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * 16_000 / len(samples))


def test_each_speed_is_a_copy_of_the_corpus_with_the_length_that_is_heard(manifest):
    fast = manifest.at_speeds((0.9, 1.0, 1.1))
    assert fast.texts == [*manifest.texts] * 3
    assert fast.samples[6:12].tolist() == manifest.samples.tolist()
    recorded = ExactAudio(manifest=fast, is_training=True)
    for copy, speed in enumerate((0.9, 1.0, 1.1)):
        for row in range(6):
            samples = recorded.samples(6 * copy + row)
            assert len(samples) == fast.samples[6 * copy + row] == round(manifest.samples[row] / speed)
            assert pitch(samples) == pytest.approx(1000 * speed, rel=0.01)
    assert manifest.at_speeds((1.0,)) is manifest


def test_noise_has_the_ratio_that_was_asked_for_and_comes_back_the_same(manifest):
    clean = read_clip(Clip(path=manifest.audio[5].path))
    harder = Augmenter(Augmentation(noise_snr_db=(10.0, 10.0)), seed=3)
    noise = harder.audio(clean, 0, 5) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.3)
    assert np.array_equal(harder.audio(clean, 0, 5), harder.audio(clean, 0, 5))
    others = [
        harder.audio(clean, 1, 5),
        harder.audio(clean, 0, 4),
        dataclasses.replace(harder, seed=4).audio(clean, 0, 5),
    ]
    assert not any(np.array_equal(harder.audio(clean, 0, 5), other) for other in others)


def test_masks_hide_whole_bands_and_stretches_and_nothing_else():
    features = torch.arange(80 * 400, dtype=torch.float32).reshape(80, 400)
    untouched = features.clone()
    hidden = 0
    for epoch in range(20):
        masked = Augmenter(Augmentation(masks=2), seed=0).features(features, epoch, 7)
        changed = masked != features
        bands, stretches = changed.all(dim=1), changed.all(dim=0)
        assert torch.equal(changed, bands[:, None] | stretches[None, :])
        assert bands.sum() <= 2 * 27
        assert stretches.sum() <= 2 * 80  # a fifth of 400 frames a mask
        hidden += int(changed.any())
    assert hidden >= 18
    assert torch.equal(features, untouched)


def test_the_stream_knows_the_epoch_of_each_batch():
    stream = BatchStream(np.full(POOL_UTTERANCES + 100, 16_000), seed=0, batch_audio_seconds=50.0)
    heard = {0: 0, 1: 0}
    for indices, after in stream.batches(Position(0, 0)):
        if stream.epoch_of(after) == 2:
            break
        heard[stream.epoch_of(after)] += len(indices)
    assert heard == {0: POOL_UTTERANCES + 100, 1: POOL_UTTERANCES + 100}


def test_augmentation_is_part_of_identity_and_its_absence_changes_no_key():
    plain = node()
    varied = node(
        data=dataclasses.replace(DATA, augmentation=Augmentation(speeds=(0.9, 1.0), masks=2, noise_snr_db=(5.0, 20.0)))
    )
    assert varied.key != plain.key
    assert node(data=dataclasses.replace(DATA, augmentation=Augmentation(masks=1))).key not in (varied.key, plain.key)
    assert node(data=dataclasses.replace(DATA, augmentation=NO_AUGMENTATION)).key == plain.key
    assert node_from_json(json.loads(json.dumps(node_to_json(varied)))) == varied
