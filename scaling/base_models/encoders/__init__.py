"""Speech encoders with an objective of their own: a family is one file here and one of that name in `scaling.asr`.

To add a family, write in `scaling/base_models/encoders/NAME.py` a frozen dataclass of its dimensions, with

* `width`, `encoder_params`, `asr_decoder_params`, `frames_per_second`, `max_frames`, `linears` (what adapters may
  target), and `max_tokens` and `output_positions`, lengths that its own objective knows,
* `input_frames(samples)`: how long the features of an utterance are that the encoder reads,
* `encoder_work(samples)`: how much work of each kind an utterance is, `ENCODER_FRAMES` among it,
* `encode(tape, lora)` and `decode(tape, speech)`: its matrix products, walked as they compute (see `scaling.base_models.matmul_tape`),

and two functions: `read_dims(config)`, the dimensions from a config.json, and `asr_codec(directory, language)`, how it writes
text. Name the module in `FAMILIES`. What computes is a `Family` in `scaling/asr/NAME.py` (see `scaling.asr.model.encoders.family`).
The tests of FLOPs, batches and training run over all families.
"""

from pathlib import Path
from types import ModuleType

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import wav2vec2, whisper
from scaling.base_models.encoders.wav2vec2 import Wav2Vec2Dims
from scaling.base_models.encoders.whisper import WhisperDims
from scaling.base_models.tokenizers import TextCodec

EncoderDims = WhisperDims | Wav2Vec2Dims

FAMILIES: dict[str, ModuleType] = {"whisper": whisper, "wav2vec2": wav2vec2, "hubert": wav2vec2}
"""The module of a family, by the model_type of a config."""

ENCODERS: dict[str, EncoderDims] = {row.name: row for row in (*whisper.ROWS, *wav2vec2.ROWS)}
"""Published encoders; each row's `source` is the config it repeats."""


def encoder_dims(config_file: Path) -> EncoderDims:
    """Dimensions from a config.json, and from what its family keeps beside it.

    Raises InputError on models of no family here, and on missing or wrong settings.
    """
    config = ConfigFile(config_file)
    dims: EncoderDims = _family(config).read_dims(config)
    return dims


def asr_codec(directory: Path, language: str) -> TextCodec:
    """How the encoder in a directory writes text by its own objective, in a language where it knows several."""
    codec: TextCodec = _family(ConfigFile(directory / "config.json")).asr_codec(directory, language)
    return codec


def _family(config: ConfigFile) -> ModuleType:
    return FAMILIES[config.kind(FAMILIES, "an encoder must have an objective of its own and known products")]
