"""Speech encoders: each family is one file here and one of that name in `scaling.asr`.

To add a family, write in `scaling/base_models/encoders/NAME.py` a frozen dataclass of its dimensions, with

* `width`, `encoder_params`, `frames_per_second` and `linears` (layers that adapters may target),
* `objective`, the decoder or head that writes text by itself (`objective.OwnObjectiveDims`): `ctc.CtcDims` has a CTC
head, `text_decoder.TextDecoder` has attention; an encoder without an objective is an `AudioTower`, with
`ctc.AudioTowerDims`,
* `max_frames`, where positions limit the audio (`objective.Encoder`: they do not),
* `input_features` and `input_frames(samples)`: the features of a frame that the encoder reads, and how many it reads
(`log_mel.LogMelFrames`),
* `encoder_work(samples)`: the units of work of each kind for an utterance, `ENCODER_FRAMES` among them,
* `encode(tape, lora)`, which records its products (see `scaling.base_models.matmul_tape`; layers of Conformers:
`conformer`),

and two functions: `read_dims(config)` gives the dimensions from a config.json, and `asr_codec(directory, language)` the
codec of its own objective. Name the module in `FAMILIES`. The module with torch is a `Family` in
`scaling/asr/model/encoders/NAME.py` (see `scaling.asr.model.encoders.family`). The tests of FLOPs, batches and training
run over all families.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import (
    omniasr,
    parakeet,
    qwen3_asr,
    qwen3_omni,
    voxtral,
    wav2vec2,
    wav2vec2_bert,
    whisper,
)
from scaling.base_models.encoders.log_mel import LogMelFrames
from scaling.base_models.encoders.parakeet import ParakeetDims
from scaling.base_models.encoders.qwen3_asr import Qwen3AsrDims
from scaling.base_models.encoders.voxtral import VoxtralDims
from scaling.base_models.encoders.wav2vec2 import Wav2Vec2Dims
from scaling.base_models.encoders.wav2vec2_bert import Wav2Vec2BertDims
from scaling.base_models.encoders.whisper import WhisperDims
from scaling.base_models.tokenizers import TextCodec
from scaling.errors import InputError

AudioTower = VoxtralDims | Qwen3AsrDims
"""Encoders that were trained behind an LLM and have no objective of their own, unless a study gives them a CTC head."""

EncoderDims = WhisperDims | Wav2Vec2Dims | ParakeetDims | Wav2Vec2BertDims | AudioTower

FAMILIES: dict[str, ModuleType] = {
    "whisper": whisper,
    "wav2vec2": wav2vec2,
    "hubert": wav2vec2,
    "wavlm": wav2vec2,
    "omniasr_ctc": omniasr,
    "parakeet_ctc": parakeet,
    "wav2vec2-bert": wav2vec2_bert,
    "voxtral": voxtral,
    "voxtral_encoder": voxtral,
    "qwen3_asr": qwen3_asr,
    "qwen3_asr_encoder": qwen3_asr,
    "qwen3_omni_moe": qwen3_omni,
    "qwen3_omni_moe_audio_encoder": qwen3_omni,
}
"""The module of each family, by the model_type of a config."""

UNPRICED_TOWERS = (
    "qwen2_audio", "qwen2_audio_encoder", "qwen2_5_omni", "voxtral_realtime", "voxtral_realtime_encoder", "glmasr",
    "glmasr_encoder", "fun_asr_nano", "fun_asr_nano_encoder", "audioflamingo3", "audioflamingo3_encoder",
)  # fmt: skip
"""Model types whose audio encoder was trained behind an LLM, and whose products are not known here."""

ROWS: tuple[EncoderDims, ...] = (
    *whisper.ROWS,
    *wav2vec2.ROWS,
    *omniasr.ROWS,
    *parakeet.ROWS,
    *wav2vec2_bert.ROWS,
    *voxtral.ROWS,
    *qwen3_asr.ROWS,
    *qwen3_omni.ROWS,
)

ENCODERS = {row.name: row for row in ROWS}
"""Published encoders by name; `source` is the address of the config that a row repeats."""


def encoder_dims(config_file: Path) -> EncoderDims:
    """Dimensions by a config.json and files beside it. Raises InputError on unknown families and wrong settings."""
    config = ConfigFile(config_file)
    dims: EncoderDims = _family(config).read_dims(config)
    return dims


def with_fresh_head(dims: EncoderDims, vocabulary: int) -> EncoderDims:
    """An audio tower with a fresh CTC head of so many tokens; any other encoder as it is."""
    return replace(dims, fresh_vocabulary=vocabulary) if isinstance(dims, AudioTower) else dims


def asr_codec(directory: Path, language: str) -> TextCodec | None:
    """The codec of an encoder's own objective, None without one; `language` matters where it knows several."""
    family = _family(ConfigFile(directory / "config.json"))
    codec: TextCodec | None = family.asr_codec(directory, language) if hasattr(family, "asr_codec") else None
    return codec


def refuse_masks(encoder: EncoderDims, masks: int) -> None:
    """Raise InputError where masks are asked of an encoder without log-mel frames, which has no bands to hide."""
    if masks and not isinstance(encoder, LogMelFrames):
        raise InputError(f"{masks}; expected 0 with {encoder.name}, which reads no log-mel frames")


def _family(config: ConfigFile) -> ModuleType:
    if (kind := config.values.get("model_type")) in UNPRICED_TOWERS:
        raise InputError(
            f"{config.path}: model_type {kind!r} has an audio encoder that was trained behind an LLM and has no"
            " objective of its own; of such encoders, those of Voxtral, Qwen3-ASR and Qwen3-Omni are known here"
        )
    return FAMILIES[config.kind(FAMILIES, "an encoder must be of a family whose products are known")]
