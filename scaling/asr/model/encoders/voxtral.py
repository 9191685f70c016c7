"""Voxtral's audio tower, which is a Whisper encoder, at any input length; no objective of its own."""

from dataclasses import replace
from operator import attrgetter

from transformers import VoxtralEncoder

from scaling.asr.model.encoders.family import Family
from scaling.asr.model.encoders.whisper import SINUSOIDS, encode
from scaling.asr.model.log_mel import LogMel

VOXTRAL_TOWER = Family(
    model=VoxtralEncoder,
    features=LogMel.from_directory,
    encoder=lambda model: model,
    objective=None,
    never_trained=SINUSOIDS,
    encode=encode,
)
VOXTRAL = replace(
    VOXTRAL_TOWER, config_of=attrgetter("audio_config"), checkpoint_names={r"^(model\.)?audio_tower\.": ""}
)
"""The tower of a whole Voxtral, of which nothing else is read."""
