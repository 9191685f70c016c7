"""What a trained recogniser costs in use: FLOPs to recognise an hour of audio, which a lifetime multiplies.

Priced by `scaling.cost.flops.generation` from names alone: encoder, projector, prompt and text with a key-value cache, one
beam, adapters merged. The utterance is an assumption: ten seconds with three text tokens a second (about 140 English
words or 180 Mandarin characters a minute).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from analysis.tables.points import SECONDS_AN_HOUR
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.flops import generation
from scaling.cost.model_shape import default_shape
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, Objective
from scaling.speech.lengths import Lengths
from scaling.system.yaml_file import read_yaml

UTTERANCE_SECONDS = 10.0
TOKENS_A_SECOND = 3.0


STUDY_FILE = "study.yaml"


@cache
def flops_an_hour(encoder: str | None, llm: str | None, folder: Path = Path()) -> float:
    """FLOPs to recognise one hour of audio. Models that are no shipped rows are looked up in `folder`/study.yaml.

    Raises InputError where a model is not known.
    """
    if encoder is None or llm is None:
        raise InputError("recognition: the runs do not name their encoder and LLM, so its FLOPs cannot be counted")
    places = _places(folder / STUDY_FILE)
    heard = find_encoder(places.get(encoder, encoder), folder).dims
    written = find_llm(places.get(llm, llm), folder).dims
    model_shape = default_shape(heard, written)
    seconds = min(UTTERANCE_SECONDS, heard.max_audio_seconds)
    tokens = round(TOKENS_A_SECOND * seconds)
    one = np.array([tokens], dtype=np.int64)
    lengths = Lengths(samples=np.array([int(seconds * SAMPLE_RATE)], dtype=np.int64), asr_tokens=one, llm_tokens=one)
    flops = sum(generation(model_shape, Objective.LLM, lengths, new_tokens=tokens).values())
    return flops * SECONDS_AN_HOUR / seconds


def _places(study: Path) -> Mapping[str, str]:
    """Where a study's models lie, by the names that its runs give them; empty without a study."""
    if not study.is_file():
        return {}
    models = read_yaml(study).value["models"]
    return {Path(entry[part]).name: entry[part] for entry in models for part in ("encoder", "llm")}
