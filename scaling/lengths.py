"""Manifests and their lengths: what is there to learn from, how much, and what each utterance will cost.

A manifest is JSON lines, one utterance a line: `audio_filepath`, `text`, optional `speaker`, `id` and `duration`; or
WeNet's `wav`, `txt`, `key`. Paths start at the manifest's folder. Text is kept as written: it is what is trained on.
`duration` is not believed: samples are counted from the audio file's own header.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.cache import cache_dir, file_digest, write_whole
from scaling.errors import InputError
from scaling.spec import digest

SAMPLE_RATE = 16_000
"""What every model here listens at, in Hz; other rates are resampled."""

MIN_SAMPLES = 400
"""One 25 ms analysis window: shorter audio has no frame to hear anything in."""

MAX_SKIPPED = 0.05
"""The share of rows that may be unusable before the manifest is refused (assumption)."""

ENCODE_CHUNK = 8192
"""Texts handed to the tokenizer at once: bounds memory; larger is no faster."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Usable utterances in the manifest's order, as columns of equal length.

    `samples` are real samples at 16 kHz. `skipped` counts unusable rows by cause. `digest` covers text, real samples
    and speaker of every utterance in order, never a path: a moved corpus is the same data.
    """

    path: Path
    ids: Sequence[str]
    audio: Sequence[Path] = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    speakers: Sequence[str] = field(repr=False)
    samples: IntArray = field(repr=False)
    skipped: Mapping[str, int]
    digest: str

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def hours(self) -> float:
        """Hours of usable audio."""
        return float(self.samples.sum()) / SAMPLE_RATE / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What the cost of utterances depends on, one number an utterance.

    `samples`: real samples at 16 kHz; `asr_tokens`, `llm_tokens`: target tokens of the encoder-decoder and of the LLM,
    each with its end token. `assumed` is true where a tokenizer was missing and tokens were estimated from characters.
    """

    samples: IntArray
    asr_tokens: IntArray
    llm_tokens: IntArray
    assumed: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, chosen: IntArray | slice) -> "Lengths":
        """The lengths of the chosen utterances."""
        return Lengths(
            samples=self.samples[chosen],
            asr_tokens=self.asr_tokens[chosen],
            llm_tokens=self.llm_tokens[chosen],
            assumed=self.assumed,
        )


def read_manifest(path: Path, hours: float | None = None) -> Manifest:
    """Read a manifest and the header of every audio file it names.

    `hours` keeps at most that much audio: utterances are ranked by a hash of their content and taken until the next
    would exceed it, so that fewer hours are always a subset of more, whatever the order of the rows.
    Raises InputError on a missing file, bad JSON, a missing field, a missing audio file, an empty manifest, more than
    5 % of unusable rows (no text, unreadable audio or under 25 ms), and on hours that hold no utterance.
    """
    rows = list(_rows(path))
    samples = _samples(path, rows)
    causes = [_fault(row, count) for row, count in zip(rows, samples, strict=True)]
    skipped = Counter(cause for cause in causes if cause)
    kept = np.flatnonzero([not cause for cause in causes])
    if not rows:
        raise InputError(f"{path}: the manifest is empty")
    if skipped.total() > MAX_SKIPPED * len(rows):
        listing = ", ".join(f"{count} x {cause}" for cause, count in skipped.most_common())
        raise InputError(f"{path}: {skipped.total()} of {len(rows)} rows cannot be used ({listing})")
    hashes = [_hash(rows[row], samples[row]) for row in kept]
    if hours is not None:
        within = _within(hours, hashes, samples[kept], path)
        kept, hashes = kept[within], [hashes[position] for position in within]
    chosen = [rows[row] for row in kept]
    return Manifest(
        path=path,
        ids=[row.id for row in chosen],
        audio=[row.audio for row in chosen],
        texts=[row.text for row in chosen],
        speakers=[row.speaker for row in chosen],
        samples=samples[kept],
        skipped=dict(skipped),
        digest=hashlib.sha256(b"".join(hashes)).hexdigest()[:20],
    )


def index(manifest: Manifest, *, encoder: Path | None, llm: Path | None) -> Lengths:
    """Lengths of every utterance of `manifest`, cached by the content of manifest and tokenizers.

    `encoder` and `llm` are model directories with a tokenizer.json; None (a row without weights) estimates tokens as
    one a character of Chinese, Japanese or Korean and one for four other characters (assumption).
    Raises InputError where a directory has no tokenizer.json.
    """
    return Lengths(
        samples=manifest.samples,
        asr_tokens=_target_tokens(manifest, encoder),
        llm_tokens=_target_tokens(manifest, llm),
        assumed=encoder is None or llm is None,
    )


def resampled(samples: int, rate: int) -> int:
    """Samples at 16 kHz of `samples` at `rate` Hz, rounded half up, as soxr gives.

    >>> resampled(44_100, 44_100), resampled(3, 8_000)
    (16000, 6)
    """
    return (2 * samples * SAMPLE_RATE + rate) // (2 * rate)


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    audio: Path
    text: str
    speaker: str


def _rows(path: Path) -> Iterator[_Row]:
    try:
        stream = path.open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: no readable manifest ({error.strerror})") from error
    with stream:
        try:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _row(line, f"{path}, line {number}", path.parent)
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 text ({error})") from error


def _row(line: str, where: str, base: Path) -> _Row:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected an object, found {type(values).__name__}")
    audio = _text(values, "audio_filepath", "wav", where)
    return _Row(
        id=str(values.get("id", values.get("key", Path(audio).stem))),
        audio=base / audio,
        text=_text(values, "text", "txt", where),
        speaker=str(values.get("speaker", "")),
    )


def _text(values: dict[str, Any], name: str, wenet_name: str, where: str) -> str:
    value = values.get(name, values.get(wenet_name))
    if value is None:
        raise InputError(
            f"{where}: no field {name!r} (or {wenet_name!r}); it has {', '.join(sorted(values)) or 'none'}"
        )
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} must be a string, not {value!r}")
    return value


def _samples(path: Path, rows: Sequence[_Row]) -> IntArray:
    """Real samples at 16 kHz of every row, -1 where the audio cannot be read; cached until an audio file changes."""
    identity = hashlib.sha256(str(path.parent.resolve()).encode())
    for row in rows:
        try:
            stat = row.audio.stat()
        except OSError as error:
            raise InputError(f"{path}: {row.id!r} names a missing audio file: {row.audio}") from error
        identity.update(f"{row.audio}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    entry = cache_dir() / "samples" / f"{identity.hexdigest()}.npy"
    return _cached(entry, lambda: [_header_samples(row.audio) for row in rows])


def _header_samples(audio: Path) -> int:
    import soundfile  # not needed where the cache answers

    try:
        info = soundfile.info(str(audio))
    except soundfile.SoundFileError:
        return -1
    return resampled(info.frames, info.samplerate)


def _fault(row: _Row, samples: int) -> str:
    if samples < 0:
        return "unreadable audio"
    if samples < MIN_SAMPLES:
        return "audio under 25 ms"
    return "" if row.text.strip() else "empty text"


def _hash(row: _Row, samples: int) -> bytes:
    content = json.dumps([row.text, int(samples), row.speaker], ensure_ascii=False)
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def _within(hours: float, hashes: Sequence[bytes], samples: IntArray, path: Path) -> IntArray:
    ranked = np.array(sorted(range(len(hashes)), key=lambda row: hashes[row]), dtype=np.int64)
    fits = np.cumsum(samples[ranked]) <= hours * 3600 * SAMPLE_RATE
    if not fits[0]:
        raise InputError(
            f"{path}: hours = {hours} holds no utterance; the data has {samples.sum() / SAMPLE_RATE / 3600:.4g}"
        )
    return np.sort(ranked[fits])


def _target_tokens(manifest: Manifest, model: Path | None) -> IntArray:
    if model is None:
        return np.array([_estimated_tokens(text) + 1 for text in manifest.texts], dtype=np.int64)
    tokenizer_file = model / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise InputError(f"{model}: no tokenizer.json; save the model's fast tokenizer beside its weights")
    key = digest({"manifest": manifest.digest, "tokenizer": file_digest(tokenizer_file)})
    return _cached(cache_dir() / "tokens" / f"{key}.npy", lambda: _count_tokens(manifest.texts, tokenizer_file))


def _count_tokens(texts: Sequence[str], tokenizer_file: Path) -> list[int]:
    import tokenizers  # not needed where the cache answers

    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    remaining, counts = iter(texts), list[int]()
    while chunk := list(islice(remaining, ENCODE_CHUNK)):
        counts += [len(encoded.ids) + 1 for encoded in tokenizer.encode_batch(chunk, add_special_tokens=False)]
    return counts


def _estimated_tokens(text: str) -> int:
    ideographs = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return ideographs - (ideographs - len(text)) // 4


def _cached(entry: Path, compute: Any) -> IntArray:
    if entry.exists():
        return np.asarray(np.load(entry), dtype=np.int64)
    values = np.array(compute(), dtype=np.int64)
    write_whole(entry, lambda out: np.save(out, values))
    return values
