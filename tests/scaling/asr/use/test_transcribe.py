"""A trained run transcribes what it is given as it did when it was tested; what it cannot hear is refused."""

import json
import shutil
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_world import Finished

from scaling.asr.execution.device_memory import refuse_too_large
from scaling.asr.use.trained_recognizer import read_run
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan_file
from scaling.speech.recordings import find_recordings
from sweeps.finished.find_run import find_run
from sweeps.finished.transcribe_export import transcribe, transcripts_document


@pytest.fixture(scope="module")
def folder(finished: Finished) -> Path:
    """A finished study: efin, joint, and one that ends with the encoder's objective. Tests only read it."""
    return finished.out


def utterances(folder: Path, key: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "utterances" / f"{key}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("strategy", ["efin", "joint"])
def test_transcripts_are_the_hypotheses_of_the_runs_own_test(folder, world, strategy):
    run = find_run(folder, None, strategy)
    trained, _ = read_run(run.plan_file.ledger, run.plan_file.sources, run.node_key)
    recordings = find_recordings([world / "test.jsonl"], 30.0)
    written = dict(trained.transcripts([r.clip for r in recordings]))
    assert [written[place] for place in range(len(recordings))] == [
        row["hyp"] for row in utterances(folder, run.row.key)
    ]


def test_a_transcript_does_not_depend_on_what_is_transcribed_beside_it(folder, world):
    run = find_run(folder, None, "efin")
    trained, _ = read_run(run.plan_file.ledger, run.plan_file.sources, run.node_key)
    recordings = find_recordings([world / "test.jsonl"], 30.0)
    alone = [text for r in recordings for _, text in trained.transcripts([r.clip])]
    together = dict(trained.transcripts([r.clip for r in recordings]))
    assert alone == [together[place] for place in range(len(recordings))]


def test_the_command_transcribes_files_folders_and_manifests_in_the_order_given(folder, world, asr_scaling):
    """With models in a process of their own, as everywhere outside these tests."""
    first = world / "test" / "3.wav"
    done = asr_scaling(
        "transcribe", folder, first, world / "test.jsonl", world / "dev", "--strategy", "joint", "--json"
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rows = utterances(folder, find_run(folder, None, "joint").row.key)
    entries = document["transcripts"]
    assert entries[0]["text"] == entries[4]["text"] == rows[3]["hyp"]
    assert "ref" not in entries[0], "a file alone says nothing of what was said"
    assert [entry["text"] for entry in entries[1:11]] == [row["hyp"] for row in rows]
    assert document["cer"] == sum(row["errors"] for row in rows) / sum(row["ref_chars"] for row in rows)
    assert [Path(entry["audio"]).name for entry in entries[11:]] == [f"{number}.wav" for number in range(8)]


def test_the_run_with_the_lowest_dev_cer_is_the_default_and_a_key_may_be_short(folder):
    rows = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    assert find_run(folder, None, None).row.dev_cer == min(row["dev_cer"] for row in rows)
    for row in rows:
        assert find_run(folder, row["key"][:8], None).row.as_json() == row


def noise(path: Path, seconds: float) -> Path:
    soundfile.write(path, np.random.default_rng(0).standard_normal(round(seconds * 16_000)) * 0.1, 16_000)
    return path


def test_audio_that_cannot_be_heard_is_refused_by_name(folder, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    (tmp_path / "empty").mkdir()
    row = tmp_path / "row.jsonl"
    row.write_text('{"text": "no audio"}\n')
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"audio_filepath": \n')
    for audio, message in {
        tmp_path / "absent.wav": r"absent\.wav: no such file or folder",
        text: r"text\.wav: not readable as audio",
        tmp_path / "empty": r"empty: holds no recording",
        noise(tmp_path / "short.wav", 0.02): r"short\.wav: 0\.02 s; expected",
        row: r"row\.jsonl, line 1: no field audio_filepath",
        torn: r"torn\.jsonl, line 1: .* \(not JSON\)",
    }.items():
        with pytest.raises(InputError, match=message):
            transcribe(folder, [audio], None, None)


@pytest.mark.usefixtures("in_this_process")
def test_corpora_of_other_layouts_are_transcribed_stretch_by_stretch(folder, world, tmp_path):
    """A Kaldi directory whose segments are the test utterances, and a shard of them: what the run's own test wrote."""
    rows = [json.loads(line) for line in (world / "test.jsonl").read_text().splitlines()]
    waves = [soundfile.read(world / row["audio_filepath"], dtype="int16")[0] for row in rows]
    edges = np.cumsum([0, *map(len, waves)]) / 16_000
    kaldi = tmp_path / "kaldi"
    kaldi.mkdir()
    soundfile.write(kaldi / "all.wav", np.concatenate(waves), 16_000)
    (kaldi / "wav.scp").write_text("all all.wav\n")
    (kaldi / "text").write_text("".join(f"u{number} {row['text']}\n" for number, row in enumerate(rows)))
    stretches = enumerate(pairwise(edges.tolist()))
    (kaldi / "segments").write_text("".join(f"u{number} all {start} {end}\n" for number, (start, end) in stretches))
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for number, row in enumerate(rows):
            shard.add(world / row["audio_filepath"], f"u{number}.wav")
    hypotheses = [row["hyp"] for row in utterances(folder, find_run(folder, None, "joint").row.key)]
    found = transcribe(folder, [kaldi, tmp_path / "shard.tar"], None, "joint")
    names = [f"u{number}" for number in range(10)]
    assert [transcript.recording.id for transcript in found] == [*names, *(f"shard/{name}" for name in names)]
    assert [transcript.text for transcript in found] == hypotheses * 2
    assert [transcript.recording.text for transcript in found] == [*(row["text"] for row in rows), *[None] * 10]


@pytest.mark.usefixtures("in_this_process")
def test_a_recording_over_the_window_is_cut_in_its_pauses_and_written_whole(folder, world, tmp_path, monkeypatch):
    """The window is made short, because so small a model writes nothing about half a minute."""
    monkeypatch.setattr(
        "sweeps.finished.transcribe_export.find_recordings",
        lambda audio, _, mix_channels: find_recordings(audio, 1.0, mix_channels=mix_channels),
    )
    rows = [json.loads(line) for line in (world / "test.jsonl").read_text().splitlines()]
    pieces, spoken, at = [], [], 0
    for row in rows:
        wave = soundfile.read(world / row["audio_filepath"])[0]
        spoken.append((at / 16_000, (at + len(wave)) / 16_000))
        pieces += [wave, 0.001 * np.random.default_rng(at).standard_normal(4_800)]
        at += len(wave) + 4_800
    joined = np.concatenate(pieces)
    soundfile.write(tmp_path / "long.wav", joined, 16_000)
    (found,) = transcripts_document(transcribe(folder, [tmp_path / "long.wav"], None, "joint"))["transcripts"]
    segments = found["segments"]
    edges = [0.0, *(segment["end"] for segment in segments)]
    assert [segment["start"] for segment in segments] == edges[:-1]
    assert edges[-1] == pytest.approx(len(joined) / 16_000, abs=1e-3)
    assert len(segments) >= 4
    assert not any(start < cut < end for cut in edges[:-1] for start, end in spoken)
    for number, (start, end) in enumerate(pairwise(edges)):
        soundfile.write(tmp_path / f"{number}.wav", joined[round(start * 16_000) : round(end * 16_000)], 16_000)
    parts = [tmp_path / f"{number}.wav" for number in range(len(segments))]
    texts = [part.text for part in transcribe(folder, parts, None, "joint")]
    assert [segment["text"].strip() for segment in segments] == texts
    assert any(texts)
    assert found["text"] == " ".join(filter(None, texts))


def test_a_run_that_is_not_there_is_refused(folder, tmp_path, world):
    audio = [world / "test.jsonl"]
    with pytest.raises(InputError, match="no finished run of strategy 'jiont'; did you mean 'joint'"):
        transcribe(folder, audio, None, "jiont")
    with pytest.raises(InputError, match="run 'zzz' names 0 finished runs"):
        transcribe(folder, audio, "zzz", None)
    with pytest.raises(InputError, match="neither the folder of a study"):
        transcribe(tmp_path, audio, None, None)


def test_weights_that_are_gone_or_broken_are_refused(folder, tmp_path, world):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    plan = json.loads((copy / "plan.json").read_text())
    run = find_run(copy, None, "efin")
    checkpoint = copy / "stages" / run.node_key / run.plan_file.ledger.result(run.node_key).checkpoint
    (checkpoint / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        read_run(Ledger(copy), read_plan_file(copy).sources, run.node_key)
    shutil.rmtree(checkpoint)
    with pytest.raises(InputError, match="the run's checkpoint is gone"):
        find_run(copy, None, "efin")
    changed = tmp_path / "changed"
    shutil.copytree(world / "encoder", changed)
    (changed / "generation_config.json").write_text("{}")
    sources = {digest: {**place, "path": str(changed)} for digest, place in plan["sources"].items()}
    (copy / "plan.json").write_text(json.dumps({**plan, "sources": sources}))
    with pytest.raises(InputError, match=r"encoder encoder: the content of .*changed has changed since the run"):
        find_run(copy, None, "joint")


def test_a_model_too_large_for_the_machine_is_refused_before_it_is_loaded():
    import torch

    with pytest.raises(InputError, match=r"training 70B needs at least 1\.05e\+06 GiB, .* are free on this cpu"):
        refuse_too_large("training 70B", 2**50, torch.device("cpu"))
