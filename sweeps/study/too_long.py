"""Utterances that a model has no positions for: found in the training speech, and refused in dev and test sets."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from scaling.arrays import IntArray
from scaling.cost.model_shape import ModelShape
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.lengths import Lengths, count, index
from scaling.speech.string_column import StringColumn

if TYPE_CHECKING:
    from sweeps.study.study import Study, StudyModel

MOST_EXTRA_TOKENS = 2
"""No tokenizer here writes more tokens than a text has bytes, but for the end token and a blank before the text."""


def unwritable(
    models: Sequence["StudyModel"], language: str, speeds: Sequence[float], texts: StringColumn, samples: IntArray
) -> IntArray:
    """Places of utterances whose text is too long for one of the models, at one of the speeds.

    Only texts with that many bytes are tokenized, so that it costs nothing where none is too long.
    """
    found = np.zeros(len(samples), dtype=np.bool_)
    most = texts.sizes() + MOST_EXTRA_TOKENS
    for model in models:
        model_shape = model.model_shape(language)
        for speed in {min(speeds), max(speeds)}:
            heard = np.rint(samples / speed).astype(np.int64)
            rows = model_shape.too_long(Lengths(samples=heard, asr_tokens=most, llm_tokens=most)).nonzero()[0]
            directories = {"encoder": model.encoder.directory, "llm": model.llm.directory}
            found[rows] |= model_shape.too_long(count(heard[rows], texts.take(rows), **directories))
    return found.nonzero()[0]


def refuse_too_long(study: "Study") -> None:
    """Raise InputError, naming the first, where utterances are longer than a model of the study has positions for."""
    speech = study.speech
    for model in study.models:
        model_shape = model.model_shape(speech.spec.language)
        for manifest in (speech.train, speech.dev, *(test for _, test in speech.tests)):
            lengths = index(manifest, encoder=model.encoder.directory, llm=model.llm.directory)
            rows = model_shape.too_long(lengths).nonzero()[0]
            if len(rows):
                first = lengths[rows[:1]]
                raise InputError(
                    f"{manifest.path}: {len(rows)} of {len(manifest)} utterances are too long for {model.encoder.name}"
                    f" or {model.llm.name}, the first is {manifest.ids[int(rows[0])]!r}"
                    f" ({first.samples[0] / SAMPLE_RATE:.4g} s, {first.asr_tokens[0]} text tokens);"
                    f" expected at most {_limits(model_shape, first)}"
                )


def _limits(model_shape: ModelShape, first: Lengths) -> str:
    context, longest = model_shape.llm.context, model_shape.encoder.max_audio_seconds
    window = f"{longest:g} s and " if isfinite(longest) else ""
    whole = model_shape.llm_positions(first)[0]
    most = f"{context} of the LLM's positions, not {whole}" if whole > context else ""
    return most or f"{window}{model_shape.most_text_tokens(first)[0]} text tokens"
