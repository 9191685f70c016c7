"""Utterances that a model has no positions for: left out of the training speech, refused in dev and test sets."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Protocol

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.encoders import EncoderDims
from scaling.base_models.letters import TokenSource
from scaling.base_models.llms import LlmDims
from scaling.base_models.lookup import ResolvedModel
from scaling.cost.model_shape import ModelShape
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE
from scaling.speech.lengths import Lengths, text_lengths
from scaling.speech.manifest import Manifest

MOST_EXTRA_TOKENS = 2
"""No tokenizer here writes more tokens than a text has bytes, but for the end token and a blank before the text."""


class FoundModel(Protocol):
    """A pair of an encoder and an LLM, the shape of their recogniser, and how their texts are written."""

    @property
    def encoder(self) -> ResolvedModel[EncoderDims]: ...
    @property
    def llm(self) -> ResolvedModel[LlmDims]: ...
    @property
    def shape(self) -> ModelShape: ...
    @property
    def asr_tokens(self) -> TokenSource: ...
    def lengths(self, manifest: Manifest) -> Lengths: ...


def places_of_long_texts(models: Sequence[FoundModel], speeds: Sequence[float], manifest: Manifest) -> IntArray:
    """Places of texts too long for a model at one of the speeds; only texts of that many bytes are tokenized."""
    too_long = np.zeros(len(manifest), dtype=np.bool_)
    most_tokens = manifest.texts.sizes() + MOST_EXTRA_TOKENS
    for model in models:
        for speed in {min(speeds), max(speeds)}:
            samples = np.rint(manifest.samples / speed).astype(np.int64)
            longest = Lengths(samples=samples, asr_tokens=most_tokens, llm_tokens=most_tokens)
            rows = model.shape.too_long(longest).nonzero()[0]
            too_long[rows] |= model.shape.too_long(
                text_lengths(
                    samples[rows], manifest.texts.take(rows), encoder=model.asr_tokens, llm=model.llm.directory
                )
            )
    return too_long.nonzero()[0]


def refuse_too_long(models: Iterable[FoundModel], manifests: Sequence[Manifest]) -> None:
    """Raise InputError, naming the first, where utterances are longer than one of the models has positions for."""
    for model in models:
        for manifest in manifests:
            lengths = model.lengths(manifest)
            rows = model.shape.too_long(lengths).nonzero()[0]
            if len(rows):
                first = lengths[rows[:1]]
                raise InputError(
                    f"{manifest.path}: {len(rows)} of {len(manifest)} utterances are too long for {model.encoder.name}"
                    f" or {model.llm.name}, the first is {manifest.ids[int(rows[0])]!r}"
                    f" ({first.samples[0] / SAMPLE_RATE:.4g} s, {first.asr_tokens[0]} text tokens);"
                    f" expected at most {_limits(model.shape, first)}"
                )


def _limits(model_shape: ModelShape, first: Lengths) -> str:
    context, max_seconds = model_shape.llm.context, model_shape.encoder.max_audio_seconds
    positions = model_shape.llm_positions(first)[0]
    if positions > context:
        return f"{context} of the LLM's positions, not {positions}"
    audio = f"{max_seconds:g} s and " if isfinite(max_seconds) else ""
    return f"{audio}{model_shape.most_text_tokens(first)[0]} text tokens"
