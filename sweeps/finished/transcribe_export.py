"""Transcripts by a trained recogniser, and its export. Models run in another process, which alone imports torch."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from scaling.errors import InputError
from scaling.ledger.plan_file import PLAN_FILE
from scaling.scoring.score import Score, score, total
from scaling.spec import SAMPLE_RATE, Scoring
from scaling.speech.long_audio import join_texts
from scaling.speech.recordings import Recording, find_recordings
from scaling.system.atomic_files import write_text_atomically
from scaling.system.console import one_line, readable
from scaling.system.own_code import python_module
from sweeps.finished.find_run import TrainedRun, exported_encoder, exported_scoring, find_run
from sweeps.finished.model_card import model_card
from sweeps.launchers.worker_command import missing_trainer_modules
from sweeps.launchers.worker_exit import BAD_INPUT

WHITE = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
"""Characters that end a line or part its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTranscript:
    """One of `texts` for each segment of a recording; `score` is None where the corpus has no text of its own."""

    recording: Recording
    texts: tuple[str, ...]
    score: Score | None

    @property
    def text(self) -> str:
        """The texts of all segments."""
        return join_texts(self.texts)


def transcribe(
    folder: Path, audio: Sequence[Path], key: str | None, strategy: str | None, *, mix_channels: bool = False
) -> list[RecordingTranscript]:
    """Transcripts of the recordings that `audio` names, in its order, by a run of the study in `folder` or an export.

    A recording of several channels of which none is named is heard as their mean if `mix_channels`, else refused.
    Raises InputError, before any model is loaded, where the run or a recording cannot be used.
    """
    if (folder / PLAN_FILE).exists():
        run = find_run(folder, key, strategy)
        encoder, scoring, model = run.encoder, run.scoring, _arguments(run)
    else:
        encoder, scoring, model = exported_encoder(folder), exported_scoring(folder), ["--model", str(folder)]
        if key is not None or strategy is not None:
            raise InputError(f"{folder}: an exported recogniser is one run; --run and --strategy choose from a study")
    recordings = find_recordings(audio, encoder.max_audio_seconds, mix_channels=mix_channels)
    lines = [json.dumps(asdict(clip), default=str) + "\n" for recording in recordings for clip in recording.segments]
    output = _run("scaling.asr.use.transcribe", model, "".join(lines))
    entries = sorted(map(json.loads, output.splitlines()), key=lambda entry: int(entry["place"]))
    texts = iter([str(entry["text"]) for entry in entries])
    return [_scored(recording, tuple(islice(texts, len(recording.segments))), scoring) for recording in recordings]


def transcripts_document(transcripts: Sequence[RecordingTranscript]) -> dict[str, object]:
    """What `transcribe --json` prints; `cer` and `wer` are over the recordings whose text is known."""
    overall = _total(transcripts)
    return {
        "schema": "asr-scaling/transcripts-1",
        **({"cer": None, "wer": None} if overall is None else overall.summary()),
        "transcripts": [
            {
                "id": transcript.recording.id,
                "audio": str(transcript.recording.clip.path),
                "channel": None if transcript.recording.clip.channel < 0 else transcript.recording.clip.channel,
                "audio_seconds": transcript.recording.samples / SAMPLE_RATE,
                "text": transcript.text,
                "segments": list(_segments(transcript)),
                **({} if transcript.score is None else {"ref": transcript.recording.text, **transcript.score.counts()}),
            }
            for transcript in transcripts
        ],
    }


def transcripts_text(transcripts: Sequence[RecordingTranscript]) -> str:
    """A line for each recording, its id, a tab, its text without line ends and tabs; then error rates, if known."""
    lines = [
        f"{one_line(transcript.recording.id)}\t{readable(WHITE.sub(' ', transcript.text).strip())}"
        for transcript in transcripts
    ]
    overall = _total(transcripts)
    rates = [] if overall is None else [f"CER {overall.chars.rate:.4f}, WER {overall.words.rate:.4f}"]
    return "\n".join([*lines, *rates])


def export(folder: Path, out: Path, key: str | None, strategy: str | None) -> TrainedRun:
    """Write the recogniser of a run, with its card, into the new folder `out`. Returns the run.

    `out` appears complete or not at all. Raises InputError where the run cannot be used or `out` exists.
    """
    run = find_run(folder, key, strategy)
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"{out}: exists already; expected a new or an empty folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        recognizer = Path(temporary) / "recognizer"
        recognizer.mkdir()
        _run("scaling.asr.use.export", [*_arguments(run), str(recognizer)], "")
        write_text_atomically(recognizer / "README.md", model_card(run))
        recognizer.replace(out)
    return run


def _arguments(run: TrainedRun) -> list[str]:
    plan_file = run.plan_file
    return ["--ledger", str(plan_file.ledger.root), "--plan", str(plan_file.path), "--node", run.node_key]


def _run(module: str, arguments: Sequence[str], lines: str) -> str:
    """The output of `python -m module`. Where it fails, it has said why on stderr, and this process ends likewise."""
    missing = missing_trainer_modules()
    if missing:
        raise InputError(f"using a model needs {', '.join(missing)}: pip install 'asr-scaling[train]'")
    command = [*python_module(module), *arguments]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(BAD_INPUT if done.returncode == BAD_INPUT else 1)
    return done.stdout


def _total(transcripts: Sequence[RecordingTranscript]) -> Score | None:
    """The score over the recordings whose text is known; None where no text is."""
    overall = total(transcript.score for transcript in transcripts if transcript.score is not None)
    return overall if overall.chars.length else None


def _scored(recording: Recording, texts: tuple[str, ...], scoring: Scoring) -> RecordingTranscript:
    scored = None if recording.text is None else score(recording.text, join_texts(texts), scoring)
    return RecordingTranscript(recording=recording, texts=texts, score=scored)


def _segments(transcript: RecordingTranscript) -> Iterator[dict[str, object]]:
    """The text of each segment, with its start and end in seconds of the recording."""
    recording = transcript.recording
    begin, seconds = recording.clip.start or 0.0, recording.samples / SAMPLE_RATE
    for clip, text in zip(recording.segments, transcript.texts, strict=True):
        start = 0.0 if clip.start is None else clip.start - begin
        end = seconds if clip.seconds is None else start + clip.seconds
        yield {"start": round(start, 3), "end": round(end, 3), "text": text}
