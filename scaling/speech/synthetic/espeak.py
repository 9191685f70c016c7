"""Speech synthesis by espeak-ng through ctypes, one utterance at a time, with the same bytes for the same request.

The library seeds its noise from the clock and carries oscillator state from one utterance to the next; neither
`espeak_Terminate` nor a second `espeak_Initialize` resets this state (measured with 1.52.0). The library is therefore
loaded anew for every utterance: the samples then depend on text, voice, rate, pitch and seed alone, in any order and in
any process. It takes 1/350 of real time on one core (Mandarin digits), and is not thread safe. espeak-ng is
GPL-3.0-or-later and therefore an optional extra, imported where it is needed.
"""

import _ctypes
import contextlib
import ctypes
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scaling.errors import InputError

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come through the callback, before espeak_Synth returns
DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: report an error instead of ending the process
UTF8 = 1  # espeakCHARS_UTF8
FROM_CHARACTER = 1  # POS_CHARACTER, the unit of the start position (0)
RATE, PITCH = 1, 3  # espeak_PARAMETER

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)  # samples, count, events
SAMPLE = np.dtype(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisRequest:
    """All that determines the samples: text, voice (`cmn+f3`), words per minute (80-450), pitch (0-100) and seed."""

    text: str
    voice: str
    rate_wpm: int
    pitch: int
    seed: int


def synthesise(request: SynthesisRequest) -> tuple[np.ndarray, int]:
    """The utterance in int16, and its rate in Hz. Raises InputError where espeak-ng is missing, or refuses it."""
    voice = _voice_file(request.voice)
    with _loaded() as (library, sampling_rate):
        return _samples(library, voice, request), sampling_rate


@functools.cache
def _voice_file(voice: str) -> str:
    """The voice by the name of its file, `sit/cmn+f3` for `cmn+f3`.

    By any other name the library searches all 250 voice files, which takes longer than the synthesis. (It also searches
    for a file with capitals in its name, `gmw/en-US`, because it changes the name to lower case.)
    """
    with _loaded() as (library, _):
        _set_voice(library, voice)
        library.espeak_GetCurrentVoice.restype = ctypes.POINTER(ctypes.c_char_p)
        _name, _languages, identifier = library.espeak_GetCurrentVoice()[:3]  # the first fields of espeak_VOICE
        return str(identifier, "utf-8")


@contextlib.contextmanager
def _loaded() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The started library, in the state that it has in a new process, and its sampling rate in Hz."""
    library_path, data_path = _installed()
    library = ctypes.CDLL(library_path)
    try:
        sampling_rate = library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), DO_NOT_EXIT)
        if sampling_rate <= 0:
            raise InputError(f"espeak-ng does not start with its data in {data_path} (error {sampling_rate})")
        yield library, sampling_rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def _installed() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as absent:
        raise InputError(
            "synthetic corpora need the espeak-ng synthesiser, which is not installed: pip install 'asr-scaling[synth]'"
        ) from absent
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _samples(library: ctypes.CDLL, voice: str, request: SynthesisRequest) -> np.ndarray:
    library.espeak_ng_SetRandSeed(ctypes.c_long(request.seed))
    chunks: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples:
            chunks.append(ctypes.string_at(samples, count * SAMPLE.itemsize))
        return 0

    callback = CALLBACK(collect)  # referenced until the synthesis has ended
    library.espeak_SetSynthCallback(callback)
    _set_voice(library, voice)
    library.espeak_SetParameter(RATE, request.rate_wpm, 0)
    library.espeak_SetParameter(PITCH, request.pitch, 0)
    encoded = request.text.encode()
    synth = library.espeak_Synth
    synth.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
    synth.argtypes += [ctypes.c_void_p, ctypes.c_void_p]
    failed = synth(encoded, len(encoded) + 1, 0, FROM_CHARACTER, 0, UTF8, None, None)
    samples = np.frombuffer(b"".join(chunks), SAMPLE)
    if failed or not len(samples):
        raise InputError(f"espeak-ng says nothing for the text {request.text!r} with voice {request.voice!r}")
    return samples


def _set_voice(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise InputError(f"espeak-ng has no voice {voice!r}; expected a language and a variant such as 'cmn+f3'")
