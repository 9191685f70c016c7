"""Speech encoders with an objective of their own: each family is one file here and one of that name in `scaling.asr`.

To add a family, write in `scaling/base_models/encoders/NAME.py` a frozen dataclass of its dimensions, with

* `width`, `encoder_params`, `frames_per_second` and `linears` (layers that adapters may target),
* of its own objective `asr_decoder_params`, `max_frames`, `max_audio_seconds`, `max_tokens`, `output_positions`: those
of CTC are `ctc.CtcDims`,
* `input_features` and `input_frames(samples)`: the features of a frame that the encoder reads, and how many it reads,
* `encoder_work(samples)`: the units of work of each kind for an utterance, `ENCODER_FRAMES` among them,
* `encode(tape, lora)` and `decode(tape, speech)`, which record its products (see `scaling.base_models.matmul_tape`;
layers of Conformers: `conformer`),

and two functions: `read_dims(config)` gives the dimensions from a config.json, and `asr_codec(directory, language)` the
codec of its own objective. Name the module in `FAMILIES`. The module with torch is a `Family` in
`scaling/asr/model/encoders/NAME.py` (see `scaling.asr.model.encoders.family`). The tests of FLOPs, batches and training
run over all families.
"""

from pathlib import Path
from types import ModuleType

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import parakeet, wav2vec2, wav2vec2_bert, whisper
from scaling.base_models.encoders.parakeet import ParakeetDims
from scaling.base_models.encoders.wav2vec2 import Wav2Vec2Dims
from scaling.base_models.encoders.wav2vec2_bert import Wav2Vec2BertDims
from scaling.base_models.encoders.whisper import WhisperDims
from scaling.base_models.tokenizers import TextCodec
from scaling.errors import InputError

EncoderDims = WhisperDims | Wav2Vec2Dims | ParakeetDims | Wav2Vec2BertDims

FAMILIES: dict[str, ModuleType] = {
    "whisper": whisper,
    "wav2vec2": wav2vec2,
    "hubert": wav2vec2,
    "wavlm": wav2vec2,
    "omniasr_ctc": wav2vec2,
    "parakeet_ctc": parakeet,
    "wav2vec2-bert": wav2vec2_bert,
}
"""The module of each family, by the model_type of a config."""

WITHOUT_OBJECTIVE = (
    "qwen2_audio",
    "qwen2_audio_encoder",
    "qwen2_5_omni",
    "qwen3_omni_moe",
    "qwen3_omni_moe_audio_encoder",
    "qwen3_asr",
    "qwen3_asr_encoder",
    "voxtral",
    "voxtral_encoder",
    "voxtral_realtime",
    "voxtral_realtime_encoder",
    "glmasr",
    "glmasr_encoder",
    "fun_asr_nano",
    "fun_asr_nano_encoder",
    "audioflamingo3",
    "audioflamingo3_encoder",
)
"""Model types whose audio encoder was trained behind an LLM, so that it has no text of its own to be tuned by."""

ROWS: tuple[EncoderDims, ...] = (*whisper.ROWS, *wav2vec2.ROWS, *parakeet.ROWS, *wav2vec2_bert.ROWS)

ENCODERS = {row.name: row for row in ROWS}
"""Published encoders by name; `source` is the address of the config that a row repeats."""


def encoder_dims(config_file: Path) -> EncoderDims:
    """Dimensions from a config.json, and from other files beside it that its family has.

    Raises InputError on models of no family here, and on missing or wrong settings.
    """
    config = ConfigFile(config_file)
    dims: EncoderDims = _family(config).read_dims(config)
    return dims


def asr_codec(directory: Path, language: str) -> TextCodec:
    """The codec of the encoder in a directory for its own objective; `language` matters where it knows several."""
    codec: TextCodec = _family(ConfigFile(directory / "config.json")).asr_codec(directory, language)
    return codec


def refuse_masks(encoder: EncoderDims, masks: int) -> None:
    """Raise InputError where SpecAugment is asked for and the encoder reads no frames of a log-mel spectrogram.

    It reads the wave then, or frames in stacks, and has no bands that could be hidden.
    """
    if masks and not isinstance(encoder, whisper.WhisperDims | parakeet.ParakeetDims):
        raise InputError(f"{masks}; expected 0 with {encoder.name}, which reads no log-mel frames")


def _family(config: ConfigFile) -> ModuleType:
    if (kind := config.values.get("model_type")) in WITHOUT_OBJECTIVE:
        raise InputError(
            f"{config.path}: model_type {kind!r} has an audio encoder without an objective of its own, no decoder and"
            " no CTC head by which a stage could tune it alone; expected an encoder with one, such as Whisper-large-v3"
        )
    return FAMILIES[config.kind(FAMILIES, "an encoder must have an objective of its own and known products")]
