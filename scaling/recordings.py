"""Audio that a user names: files, folders and manifests, found and checked before any model is loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.audio import SAMPLE_RATE, Clip, read_header, resampled
from scaling.errors import InputError
from scaling.json_text import read_json_lines
from scaling.utterances import MIN_SAMPLES

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".au", ".w64", ".caf")
"""Names of what libsndfile reads. Only folders are searched by them: a file named alone may be called anything."""

MANIFEST_SUFFIXES = (".jsonl", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One audio file. `samples` are real ones at 16 kHz, `text` is what was said where a manifest tells."""

    id: str
    audio: Path
    text: str | None
    samples: int


def find_recordings(arguments: Sequence[Path], max_seconds: float) -> list[Recording]:
    """Every recording that `arguments` name, in their order; a folder's files, at any depth, by name.

    Raises InputError on what is missing, holds no recording, is no audio, is shorter than one analysis window, or
    longer than the `max_seconds` a model can hear at once.
    """
    return [_checked(entry, max_seconds) for argument in arguments for entry in _entries(argument)]


Entry = tuple[str, Path, str | None]
"""Id, audio file, and text where known."""


def _entries(argument: Path) -> list[Entry]:
    if argument.is_dir():
        files = sorted(path for path in argument.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        entries: list[Entry] = [(path.stem, path, None) for path in files]
        wanted = f"audio files ({', '.join(AUDIO_SUFFIXES)})"
    elif argument.is_file():
        entries = (
            list(_manifest(argument))
            if argument.suffix.lower() in MANIFEST_SUFFIXES
            else [(argument.stem, argument, None)]
        )
        wanted = "one JSON object a line"
    else:
        raise InputError(f"{argument}: no such file or folder; expected audio, a folder of audio, or a manifest")
    if not entries:
        raise InputError(f"{argument}: holds no recording; expected {wanted}")
    return entries


def _manifest(path: Path) -> Iterator[Entry]:
    for number, values in read_json_lines(path):
        audio = values.get("audio_filepath", values.get("wav"))
        if not isinstance(audio, str):
            raise InputError(f"{path}:{number}: no audio_filepath (or wav) that is a string")
        text = values.get("text", values.get("txt"))
        identity = values.get("id", values.get("key", Path(audio).stem))
        yield str(identity), path.parent / audio, text if isinstance(text, str) else None


def _checked(entry: Entry, max_seconds: float) -> Recording:
    identity, audio, text = entry
    header = read_header(Clip(path=audio))
    samples = resampled(header.frames, header.rate)
    if not MIN_SAMPLES <= samples <= max_seconds * SAMPLE_RATE:
        raise InputError(
            f"{audio}: {samples / SAMPLE_RATE:.4g} s; expected {MIN_SAMPLES / SAMPLE_RATE:g} to {max_seconds:g} s,"
            " what the encoder hears at once: cut longer audio at its pauses"
        )
    return Recording(id=identity, audio=audio, text=text, samples=samples)
