"""Using what was trained: transcripts and exports. Models run in a process of their own, the only one with torch."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger import write_text_atomically
from scaling.recordings import Recording, find_recordings
from scaling.scoring.score import Score, score, total
from scaling.spec import Scoring
from sweeps.card import card
from sweeps.launchers.local import BAD_INPUT, TRAINER_NEEDS
from sweeps.trained import TrainedRun, exported_encoder, exported_scoring, find_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What a recogniser wrote, and its score against the text of a manifest, where it has one."""

    recording: Recording
    text: str
    score: Score | None


def transcribe(folder: Path, audio: Sequence[Path], key: str | None, strategy: str | None) -> list[Transcript]:
    """Transcripts of all that `audio` names, in its order, by a run of the study in `folder` or an export.

    Raises InputError, before anything is loaded, where the run or a recording cannot be used.
    """
    if (folder / "plan.json").exists():
        run = find_run(folder, key, strategy)
        encoder, scoring, model = run.encoder, run.scoring, _arguments(run)
    else:
        encoder, scoring, model = exported_encoder(folder), exported_scoring(folder), ["--model", str(folder)]
        if key is not None or strategy is not None:
            raise InputError(f"{folder}: an exported recogniser is one run; --run and --strategy choose from a study")
    recordings = find_recordings(audio, encoder.max_audio_seconds)
    lines = [json.dumps({"audio": str(found.audio), "samples": found.samples}) + "\n" for found in recordings]
    written = _run("scaling.asr.transcribe", model, "".join(lines))
    texts = {entry["place"]: entry["text"] for entry in map(json.loads, written.splitlines())}
    return [_scored(recording, texts[place], scoring) for place, recording in enumerate(recordings)]


def transcripts_document(transcripts: Sequence[Transcript]) -> dict[str, Any]:
    """What `transcribe --json` prints; `cer` is over the recordings whose text is known."""
    whole = total(transcript.score for transcript in transcripts if transcript.score is not None)
    return {
        "schema": "asr-scaling/transcripts-1",
        **(whole.summary() if whole.chars.length else {"cer": None, "wer": None}),
        "transcripts": [
            {
                "id": transcript.recording.id,
                "audio": str(transcript.recording.audio),
                "audio_seconds": transcript.recording.samples / 16_000,
                "text": transcript.text,
                **({} if transcript.score is None else {"ref": transcript.recording.text, **transcript.score.counts()}),
            }
            for transcript in transcripts
        ],
    }


def transcripts_text(document: dict[str, Any]) -> str:
    """A line for each recording: its id, a tab, its text."""
    lines = [f"{entry['id']}\t{entry['text'].strip()}" for entry in document["transcripts"]]
    rates = [] if document["cer"] is None else [f"CER {document['cer']:.4f}, WER {document['wer']:.4f}"]
    return "\n".join([*lines, *rates])


def export(folder: Path, out: Path, key: str | None, strategy: str | None) -> TrainedRun:
    """Write the recogniser of a run into the new folder `out`, with its card; the run.

    Nothing is left at `out` where that fails. Raises InputError where the run cannot be used or `out` exists.
    """
    run = find_run(folder, key, strategy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists already; expected a new or an empty folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        whole = Path(beside) / "whole"
        whole.mkdir()
        _run("scaling.asr.export", [*_arguments(run), str(whole)], "")
        write_text_atomically(whole / "README.md", card(run))
        whole.replace(out)
    return run


def _arguments(run: TrainedRun) -> list[str]:
    orders = run.orders
    return ["--ledger", str(orders.ledger.root), "--plan", str(orders.path), "--node", run.node]


def _run(module: str, arguments: Sequence[str], lines: str) -> str:
    """What `python -m module` writes. Where it fails, it has said why on stderr, and this process ends likewise."""
    missing = [name for name in TRAINER_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"using a model needs {', '.join(missing)}: pip install 'asr-scaling[train]'")
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(BAD_INPUT if done.returncode == BAD_INPUT else 1)
    return done.stdout


def _scored(recording: Recording, text: str, scoring: Scoring) -> Transcript:
    scored = None if recording.text is None else score(recording.text, text, scoring)
    return Transcript(recording=recording, text=text, score=scored)
