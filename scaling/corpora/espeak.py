"""The voice: espeak-ng through ctypes, one byte-deterministic utterance at a time.

The library seeds its noise from the clock and carries oscillator state from one utterance to the next; neither
`espeak_Terminate` nor a second `espeak_Initialize` resets it (measured with 1.52.0). So it is loaded afresh for every
utterance: the samples then depend on text, voice, rate, pitch and seed alone, in any order and in any process, at
280-410 times real time on one core. Not thread safe. espeak-ng is GPL-3.0-or-later: an optional extra, imported late.
"""

import _ctypes
import ctypes
from dataclasses import dataclass

import numpy as np

from scaling.errors import InputError

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come through the callback, before espeak_Synth returns
DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: report an error instead of ending the process
UTF8 = 1  # espeakCHARS_UTF8
FROM_CHARACTER = 1  # POS_CHARACTER, the unit of the start position (0)
RATE, PITCH = 1, 3  # espeak_PARAMETER

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What determines the samples: text, espeak voice (`cmn+f3`), words a minute (80-450), pitch (0-100), seed."""

    text: str
    voice: str
    rate_wpm: int
    pitch: int
    seed: int


def synthesise(speech: Speech) -> tuple[np.ndarray, int]:
    """The utterance as int16 samples, and their sampling rate in Hz (22 050 with espeak-ng 1.52).

    Raises `InputError` where the synthesiser is not installed, or refuses the voice or the text.
    """
    library_path, data_path = _installed()
    library = ctypes.CDLL(library_path)
    try:
        return _spoken(library, data_path, speech)
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


def _spoken(library: ctypes.CDLL, data_path: str, speech: Speech) -> tuple[np.ndarray, int]:
    sampling_rate = library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), DO_NOT_EXIT)
    if sampling_rate <= 0:
        raise InputError(f"espeak-ng does not start with its data in {data_path} (error {sampling_rate})")
    library.espeak_ng_SetRandSeed(ctypes.c_long(speech.seed))
    chunks: list[np.ndarray] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        if samples and count:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = CALLBACK(collect)  # referenced until the synthesis has ended
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(speech.voice.encode()) != 0:
        raise InputError(f"espeak-ng has no voice {speech.voice!r}; expected a language and a variant such as 'cmn+f3'")
    library.espeak_SetParameter(RATE, speech.rate_wpm, 0)
    library.espeak_SetParameter(PITCH, speech.pitch, 0)
    encoded = speech.text.encode()
    synth = library.espeak_Synth
    synth.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
    synth.argtypes += [ctypes.c_void_p, ctypes.c_void_p]
    if synth(encoded, len(encoded) + 1, 0, FROM_CHARACTER, 0, UTF8, None, None) != 0 or not chunks:
        raise InputError(f"espeak-ng says nothing for the text {speech.text!r} with voice {speech.voice!r}")
    return np.concatenate(chunks), sampling_rate
