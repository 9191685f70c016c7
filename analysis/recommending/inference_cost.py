"""What a trained recogniser costs in use: FLOPs to recognise an hour of audio, which a lifetime multiplies.

`scaling.cost.flops.generation` counts them from the names of the models alone: encoder, projector, prompt and text with
a key-value cache, one beam, adapters merged.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.amounts import SECONDS_AN_HOUR
from scaling.cost.decoding import generation_flops
from scaling.cost.model_shape import default_shape
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, Objective
from scaling.speech.lengths import Lengths
from scaling.system.yaml_file import read_yaml

UTTERANCE_SECONDS = 10.0
"""Length of the utterances to recognise (assumption)."""
TOKENS_A_SECOND = 3.0
"""Text tokens in a second of speech: about 140 English words or 180 Mandarin characters a minute (assumption)."""
STUDY_FILE = "study.yaml"


@cache
def flops_an_hour(encoder: str | None, llm: str | None, folder: Path = Path()) -> float:
    """FLOPs to recognise an hour, by models listed or in `folder`/study.yaml. Raises InputError for unknown ones."""
    if encoder is None or llm is None:
        raise InputError("recognition: the runs do not name their encoder and LLM, so its FLOPs cannot be counted")
    places = _places(folder / STUDY_FILE)
    encoder_dims = find_encoder(places.get(encoder, encoder), folder).dims
    model_shape = default_shape(encoder_dims, find_llm(places.get(llm, llm), folder).dims)
    seconds = min(UTTERANCE_SECONDS, encoder_dims.max_audio_seconds)
    tokens = round(TOKENS_A_SECOND * seconds)
    samples, text = np.array([int(seconds * SAMPLE_RATE)], dtype=np.int64), np.array([tokens], dtype=np.int64)
    lengths = Lengths(samples=samples, asr_tokens=text, llm_tokens=text)
    flops = sum(generation_flops(model_shape, Objective.LLM, lengths, new_tokens=tokens).values())
    return flops * SECONDS_AN_HOUR / seconds


def _places(study: Path) -> Mapping[str, str]:
    """Paths of the models of a study, by the names that its runs give them; empty without a study."""
    if not study.is_file():
        return {}
    models = read_yaml(study).value["models"]
    return {Path(entry[part]).name: entry[part] for entry in models for part in ("encoder", "llm")}
