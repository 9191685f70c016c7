"""The families of encoders that can be trained, by the `model_type` of their config.json."""

from pathlib import Path

from scaling.asr.model.encoders.family import Family
from scaling.asr.model.encoders.omniasr import OMNIASR
from scaling.asr.model.encoders.parakeet import PARAKEET
from scaling.asr.model.encoders.qwen3_asr import QWEN3_ASR, QWEN3_ASR_TOWER
from scaling.asr.model.encoders.qwen3_omni import QWEN3_OMNI, QWEN3_OMNI_TOWER
from scaling.asr.model.encoders.voxtral import VOXTRAL, VOXTRAL_TOWER
from scaling.asr.model.encoders.wav2vec2 import HUBERT, WAV2VEC2
from scaling.asr.model.encoders.wav2vec2_bert import WAV2VEC2_BERT
from scaling.asr.model.encoders.wavlm import WAVLM
from scaling.asr.model.encoders.whisper import WHISPER
from scaling.base_models.config_file import ConfigFile

FAMILIES = {
    "whisper": WHISPER,
    "wav2vec2": WAV2VEC2,
    "hubert": HUBERT,
    "wavlm": WAVLM,
    "omniasr_ctc": OMNIASR,
    "parakeet_ctc": PARAKEET,
    "wav2vec2-bert": WAV2VEC2_BERT,
    "voxtral": VOXTRAL,
    "voxtral_encoder": VOXTRAL_TOWER,
    "qwen3_asr": QWEN3_ASR,
    "qwen3_asr_encoder": QWEN3_ASR_TOWER,
    "qwen3_omni_moe": QWEN3_OMNI,
    "qwen3_omni_moe_audio_encoder": QWEN3_OMNI_TOWER,
}


def family_of(directory: Path) -> Family:
    """The family of the encoder in a Hugging Face directory. Raises InputError where no family has its model type."""
    return FAMILIES[ConfigFile(directory / "config.json").kind(FAMILIES, "no family of encoders here")]
