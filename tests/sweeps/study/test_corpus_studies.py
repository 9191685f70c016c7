"""The shipped studies of published corpora start by naming a path: on small trees of real speech in their layouts."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from scaling.errors import InputError
from scaling.speech.audio import read_clip
from scaling.speech.manifest import read_manifest
from sweeps.plan.prepare import prepare

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[4] / "shared") / "corpora"

Utterance = tuple[Path, str]


def utterances(name: str, count: int) -> list[Utterance]:
    """Audio files and texts of a shared corpus."""
    manifest = read_manifest(SHARED / name)
    return [(clip.path, text) for clip, text in list(zip(manifest.audio, manifest.texts, strict=True))[:count]]


def copied(source: Path, target: Path) -> Path:
    """The same audio in the target's own format."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == target.suffix:
        target.write_bytes(source.read_bytes())
    else:
        soundfile.write(target, *soundfile.read(source))
    return target


def aishell1(root: Path) -> None:
    lines = []
    for number, (audio, text) in enumerate(utterances("aishell_sample_S0252/train.jsonl", 9)):
        part = ("train", "dev", "test")[number % 3]
        copied(audio, root / "wav" / part / f"S{number:04d}" / f"{audio.stem}.wav")
        lines.append(f"{audio.stem} {' '.join(text)}\n")
    (root / "transcript").mkdir()
    (root / "transcript" / "aishell_transcript_v0.8.txt").write_text("".join(lines))


def aishell2(root: Path) -> None:
    parts = [
        "iOS/data",
        *(f"AISHELL-DEV-TEST-SET/{part}" for part in ("iOS/dev", "iOS/test", "Android/test", "Mic/test")),
    ]
    found = utterances("aishell_sample_S0252/train.jsonl", 10)
    for number, part in enumerate(parts):
        spoken = found[2 * number : 2 * number + 2]
        for audio, _ in spoken:
            copied(audio, root / part / "wav" / "C0001" / f"{audio.stem}.wav")
        (root / part / "wav.scp").write_text("".join(f"{a.stem}\twav/C0001/{a.stem}.wav\n" for a, _ in spoken))
        (root / part / "trans.txt").write_text("".join(f"{a.stem}\t{text}\n" for a, text in spoken))


def wenetspeech(root: Path) -> None:
    audios = []
    parts = [["L", "M", "S"], ["DEV"], ["TEST_NET"], ["TEST_MEETING"]]
    for number, (audio, text) in enumerate(utterances("aishell_sample_S0252/train.jsonl", 8)):
        path = f"audio/part{number % 4}/Y{number}.opus"
        samples, rate = soundfile.read(audio)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / path, samples, rate, format="OGG", subtype="OPUS")
        end = len(samples) / rate
        segment = {
            "sid": f"Y{number}_S0",
            "begin_time": 0.5,
            "end_time": end,
            "subsets": parts[number % 4],
            "text": text,
        }
        audios.append({"aid": f"Y{number}", "duration": end, "path": path, "segments": [segment]})
    (root / "WenetSpeech.json").write_text(json.dumps({"dataset": "WenetSpeech", "audios": audios}, ensure_ascii=False))


def librispeech(root: Path) -> None:
    parts = ("train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "test-clean", "test-other")
    for number, (audio, text) in enumerate(utterances("ljspeech_part/train.jsonl", 12)):
        chapter = root / parts[number % 6] / str(number) / "7"
        copied(audio, chapter / f"{number}-7-0000.flac")
        (chapter / f"{number}-7.trans.txt").write_text(f"{number}-7-0000 {text.upper()}\n")


def common_voice(root: Path) -> None:
    found = utterances("audio_cmn/train.jsonl", 12)
    for number, part in enumerate(("train", "dev", "test")):
        lines = ["client_id\tpath\tsentence\n"]
        for audio, text in found[4 * number : 4 * number + 4]:
            lines.append(f"c{number}\t{copied(audio, root / 'clips' / audio.name).name}\t{text}\n")
        (root / f"{part}.tsv").write_text("".join(lines))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not here (ASR_SCALING_SHARED)")
@pytest.mark.parametrize("lay_out", [aishell1, aishell2, wenetspeech, librispeech, common_voice])
def test_a_published_corpus_is_planned_by_naming_its_root(lay_out: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    lay_out(root)
    prepared = prepare(lay_out.__name__, [f"data.root={root}"], None)
    speech = prepared.study.speech
    assert len(prepared.plan.runs) == len(prepared.study.budgets_flops) * 3
    for manifest in (speech.train, speech.dev, *(test for _, test in speech.tests)):
        assert not manifest.skipped
        for clip, samples in zip(manifest.audio, manifest.samples.tolist(), strict=True):
            assert abs(len(read_clip(clip)) - samples) <= 160
    again = tmp_path / "elsewhere.yaml"
    again.write_text(prepared.study.text)
    assert [run.key for run in prepare(str(again), [], None).plan.runs] == [run.key for run in prepared.plan.runs]


def test_a_corpus_that_is_not_there_is_named_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"aishell1\.yaml:\d+: data\.train: .*wav/train: no such file or folder"):
        prepare("aishell1", [f"data.root={tmp_path}"], None)
