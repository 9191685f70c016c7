"""Recorded speech: where a clip lies, how long it is, and its samples at the rate of the encoders."""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.system.cache import file_digest

MAX_MEMBER_BYTES = 1 << 30
"""The largest member of a shard that is read: 9 hours of 16 kHz PCM (assumption: no recording is longer)."""

MAX_CLIP_SECONDS = 3600.0
"""The longest clip that is decoded: no encoder takes an hour at once, and a header may claim any length."""

ROUNDING_SECONDS = 0.01
"""How far a stretch may reach beyond the end of its recording, because times are written in hundredths."""


MAX_PEAK = 2.0
"""The largest sample that is taken for audio, where full scale is 1: codecs and resampling overshoot by less
(assumption), and samples in the range of 16-bit numbers are far above."""

SHORTFALL_SECONDS = 0.01
"""How much less than its header says a recording may hold: the padding of codecs causes as much."""

LENGTH_UNKNOWN = 2_000_000_000
"""From so many bytes on a header promises nothing: a program that writes into a pipe puts the largest number there."""

OGG_PAGE = 65_307
"""Bytes of the longest page of an Ogg file (RFC 3533)."""

REST_SECONDS, REST_BYTES = 0.5, 2048
"""More than this after the last frame of an MP3 is sound, and no tag or padding (assumption)."""

SPHERE_HEADER = 1024
"""Bytes that the header of a NIST SPHERE file takes."""

_PROMISED_BYTES = re.compile(r"^ *(?:data|riff|SSND|Data Size) *: (\d+) \(should be (\d+)\)$", re.MULTILINE)
"""What libsndfile logs of a container that promises more bytes than the file has: both numbers."""

_PROMISED_FRAMES = re.compile(r"^sample_count -i (\d+)$|does not match value from 'ds64' chunk of (\d+)", re.MULTILINE)
"""How many frames the header of SPHERE promises, and what libsndfile logs where that of RF64 promises others."""

_CUT_VOC = "Seems to be a truncated file."
"""What libsndfile logs of a VOC file that holds less than its block promises."""

NO_CHANNEL = -1
"""No channel is named: the recording must have one."""

MIXED = -2
"""The mean of all channels, because the study says so."""


class AudioError(InputError):
    """Audio that cannot be used. `kind` names the kind of fault, without the place."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Audio of one utterance: a file, a member of a file (`size` bytes from `offset`), or a stretch of either.

    `start` is in seconds, None for the whole recording; `seconds` is the length of the stretch, None for all the rest.
    `channel` is a number from 0, NO_CHANNEL or MIXED. The audio is played `speed` times as fast, which raises its pitch
    by the same factor.
    """

    path: Path
    offset: int = 0
    size: int | None = None
    start: float | None = None
    seconds: float | None = None
    channel: int = NO_CHANNEL
    speed: float = 1.0

    def __str__(self) -> str:
        member = "" if self.size is None else f", {self.size} bytes at {self.offset}"
        length = "the rest" if self.seconds is None else f"{self.seconds:g} s"
        stretch = "" if self.start is None else f", {length} from {self.start:g}"
        channel = "" if self.channel < 0 else f", channel {self.channel}"
        return f"{self.path}{member}{stretch}{channel}"

    def overlaps(self, other: "Clip") -> bool:
        """Whether two clips of one file have audio in common."""
        if self.offset != other.offset or (self.channel != other.channel and min(self.channel, other.channel) >= 0):
            return False
        first, second = sorted((self, other), key=lambda clip: clip.start or 0.0)
        return first.seconds is None or (second.start or 0.0) < (first.start or 0.0) + first.seconds


@dataclass(frozen=True, slots=True)
class Header:
    """A recording's `frames` at `rate` Hz in so many `channels`; `is_float` says whether samples may be any number."""

    frames: int
    rate: int
    channels: int
    is_float: bool


def read_header(clip: Clip) -> Header:
    """The header of the recording. Raises AudioError where it is missing, no audio, or shorter than its header says."""
    with _opened(clip) as sound:
        header = _header(sound)
        _check_length(sound, header, clip)
        return header


def clip_samples(clip: Clip, header: Header) -> int:
    """Samples of the clip at 16 kHz.

    Raises AudioError where the recording ends before the clip does, and where it has not the channel that is named, or
    several and none is named.
    """
    _check_channel(clip, header)
    first, frames = _stretch(clip, header)
    if frames < 0 or first + frames > header.frames + ROUNDING_SECONDS * header.rate:
        end = header.frames / header.rate
        raise AudioError("stretch beyond the recording's end", f"{clip}: the recording ends after {end:.6g} s")
    return resampled(frames, header.rate)


def check_samples(clip: Clip) -> None:
    """Raise AudioError where the samples are no audio, as `read_clip`, and where fewer come than the header says."""
    promised = _stretch(clip, read_header(clip))[1]
    samples_T, rate = _read(clip)
    if promised - len(samples_T) > SHORTFALL_SECONDS * rate:
        seconds = promised / rate
        raise AudioError("shorter than its header says", f"{clip}: holds less than the {seconds:.4g} s of its header")


def read_clip(clip: Clip) -> np.ndarray:
    """The clip as float32 samples, mono, resampled to 16 kHz; full scale is 1, which codecs overshoot a little.

    Every format of libsndfile is read: wav, flac, mp3, ogg, opus and others. Raises AudioError where the recording is
    missing, broken or empty, where a sample is NaN, infinite or far beyond full scale, and where the recording has not
    the channel that is named, or several and none is named.
    """
    samples_T, rate = _read(clip)
    if rate == SAMPLE_RATE:
        return samples_T
    import soxr  # comes with the extra `train`

    resampled_T: np.ndarray = soxr.resample(samples_T, rate, SAMPLE_RATE)
    return resampled_T


def _read(clip: Clip) -> tuple[np.ndarray, int]:
    """The clip's samples (T,) in float32, and their rate in Hz at the clip's speed."""
    import soundfile  # slow to import

    with _opened(clip) as sound:
        header = _header(sound)
        _check_channel(clip, header)
        first, frames = _stretch(clip, header)
        if frames > MAX_CLIP_SECONDS * header.rate:
            seconds = frames / header.rate
            raise AudioError("too long", f"{clip}: {seconds:.4g} s; expected at most {MAX_CLIP_SECONDS:g} s")
        try:
            _go_to(sound, min(first, header.frames))
            samples_TC = sound.read(max(0, frames), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise _unreadable(clip, error) from error
    if not len(samples_TC):
        raise AudioError("unreadable audio", f"{clip}: holds no audio samples")
    if clip.channel >= 0:
        samples_T = np.ascontiguousarray(samples_TC[:, clip.channel])
    else:
        samples_T = samples_TC.mean(axis=1, dtype=np.float32)
    _check_peak(samples_T, clip)
    return samples_T, round(header.rate * clip.speed)


def _header(sound: Any) -> Header:
    is_float = sound.subtype in ("FLOAT", "DOUBLE")
    return Header(int(sound.frames), int(sound.samplerate), int(sound.channels), is_float)


def _check_length(sound: Any, header: Header, clip: Clip) -> None:
    """Raise AudioError where the file holds less than its header, or its last page, promises."""
    shortfall = round(SHORTFALL_SECONDS * header.rate)
    promised = max(header.frames, _promised_frames(sound, header, clip))
    if promised - header.frames > shortfall or not _has_frame(sound, header.frames - 1 - shortfall):
        seconds = promised / header.rate
        raise AudioError("shorter than its header says", f"{clip}: holds less than the {seconds:.4g} s of its header")
    if sound.format == "MP3" and _goes_on(clip, header):
        raise AudioError("longer than its header says", f"{clip}: holds more than {header.frames / header.rate:.4g} s")
    if sound.format == "VOC" and _CUT_VOC in sound.extra_info:
        raise AudioError("shorter than its header says", f"{clip}: holds less than the block of its header")
    if sound.format == "OGG" and not _ends_with_a_page(clip):
        raise AudioError("shorter than its header says", f"{clip}: ends within a page of Ogg; expected the whole file")


def _promised_frames(sound: Any, header: Header, clip: Clip) -> int:
    """Frames that an uncompressed file's header promises beyond those there, as libsndfile's log says; else 0."""
    header_text = _bytes(clip, 0, SPHERE_HEADER).decode("latin-1") if sound.format == "NIST" else sound.extra_info
    if found := _PROMISED_FRAMES.search(header_text):
        return int(found[1] or found[2])
    for promised, held in (map(int, found) for found in _PROMISED_BYTES.findall(header_text)):
        if held < promised < LENGTH_UNKNOWN:
            return header.frames * promised // max(1, held)
    return 0


def _has_frame(sound: Any, frame: int) -> bool:
    """Whether a frame can be read: the header of a compressed file may promise more than the file holds."""
    import soundfile  # slow to import

    try:
        _go_to(sound, max(0, frame))
        return sound.frames == 0 or len(sound.read(1, dtype="float32")) == 1
    except (soundfile.SoundFileError, RuntimeError):
        return False


def _go_to(sound: Any, frame: int) -> None:
    """Read from this frame on, also where the codec (GSM 06.10) can only be read from its beginning."""
    if sound.seekable():
        sound.seek(frame)
    else:
        sound.read(frame, dtype="float32")


def _goes_on(clip: Clip, header: Header) -> bool:
    """Whether an MP3 goes on after its last frame: of one at a variable rate libsndfile guesses the length by the
    rate of its beginning, where no header tells it.
    """
    import soundfile  # slow to import

    content = clip.path.open("rb") if clip.size is None else io.BytesIO(_member(clip))
    with content as stream, soundfile.SoundFile(stream) as sound:
        _has_frame(sound, header.frames - 1)
        read = stream.tell()
    rest = _size(clip) - read
    return rest > REST_BYTES and rest * header.frames > REST_SECONDS * header.rate * read


def _ends_with_a_page(clip: Clip) -> bool:
    """Whether the last page of an Ogg file is whole; true where it lies far before the end."""
    content = _bytes(clip, max(0, _size(clip) - OGG_PAGE), OGG_PAGE)
    begin = content.rfind(b"OggS")
    header_end = begin + 27
    if begin < 0 or len(content) < header_end:
        return begin < 0
    segments = content[header_end : header_end + content[header_end - 1]]
    return len(segments) == content[header_end - 1] and len(content) >= header_end + len(segments) + sum(segments)


def _check_channel(clip: Clip, header: Header) -> None:
    if clip.channel >= header.channels:
        last = header.channels - 1
        raise AudioError(
            "no such channel", f"{clip}: the recording has no channel {clip.channel}; expected 0 to {last}"
        )
    if clip.channel == NO_CHANNEL and header.channels > 1:
        raise AudioError(
            "several channels and none named",
            f"{clip}: {header.channels} channels; expected one channel, rows that name theirs, or leave to mix"
            " all of them (mix_channels: true below data, --mix-channels)",
        )


def _check_peak(samples_T: np.ndarray, clip: Clip) -> None:
    peak = float(np.abs(samples_T).max())  # NaN where a sample is NaN
    if not np.isfinite(peak):
        raise AudioError(
            "NaN or infinite samples", f"{clip}: a sample is NaN or infinite; expected numbers from -1 to 1"
        )
    if peak > MAX_PEAK:
        raise AudioError("samples beyond full scale", f"{clip}: a sample of {peak:.6g}; expected numbers from -1 to 1")


def clip_digest(clip: Clip) -> str:
    """Equal for clips with the same bytes, wherever they lie."""
    is_file = clip.size is None
    recording = file_digest(clip.path) if is_file else hashlib.sha256(_member(clip)).hexdigest()
    return f"{recording} {clip.start} {clip.seconds} {max(clip.channel, 0)}"


def resampled(samples: int, rate: int) -> int:
    """Samples at 16 kHz of `samples` at `rate` Hz, rounded half up, as soxr gives.

    >>> resampled(44_100, 44_100), resampled(3, 8_000)
    (16000, 6)
    """
    return (2 * samples * SAMPLE_RATE + rate) // (2 * rate)


def _opened(clip: Clip) -> Any:
    import soundfile  # slow to import

    try:
        if not clip.path.is_file():
            raise AudioError("missing audio", f"{clip.path}: no such audio file")
        return soundfile.SoundFile(str(clip.path) if clip.size is None else io.BytesIO(_member(clip)))
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(clip, error) from error


def _unreadable(clip: Clip, error: Exception) -> AudioError:
    reason = getattr(error, "error_string", None) or error
    return AudioError("unreadable audio", f"{clip}: not readable as audio ({reason})")


def _member(clip: Clip) -> bytes:
    if (size := clip.size or 0) > MAX_MEMBER_BYTES:
        raise AudioError("unreadable audio", f"{clip}: expected a recording of at most {MAX_MEMBER_BYTES} bytes")
    content = _bytes(clip, 0, size)
    if len(content) < size:
        raise AudioError("shorter than its header says", f"{clip}: the file ends after {len(content)} of its bytes")
    return content


def _size(clip: Clip) -> int:
    """Bytes of the clip's recording."""
    return clip.path.stat().st_size if clip.size is None else clip.size


def _bytes(clip: Clip, first: int, count: int) -> bytes:
    """So many bytes of the clip's recording, from the `first` on; fewer where it ends before."""
    with clip.path.open("rb") as stream:
        stream.seek(clip.offset + first)
        return stream.read(min(count, _size(clip) - first))


def _stretch(clip: Clip, header: Header) -> tuple[int, int]:
    """The first frame of the clip and its number of frames, at the rate of the recording."""
    if clip.start is None:
        return 0, header.frames
    first = round(clip.start * header.rate)
    if clip.seconds is None:
        return first, header.frames - first
    return first, round((clip.start + clip.seconds) * header.rate) - first
