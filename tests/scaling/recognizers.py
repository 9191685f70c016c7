"""Recognisers of the shapes in `flop_reference`, with batches for them and gradients to compare."""

from dataclasses import replace

import numpy as np
import torch
from encoder_reference import asr_module
from flop_reference import MINI_LLM, Trains, llm_module, model_shape
from torch import Tensor

from scaling.asr.execution.precision import autocast
from scaling.asr.model.encoders.ctc import FreshHead
from scaling.asr.model.encoders.registry import FAMILIES
from scaling.asr.model.projector import Projector
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.base_models.encoders import EncoderDims
from scaling.base_models.tokenizers import TextCodec
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective, Part, Precision
from scaling.speech.lengths import Lengths

JOINT = Trains(Objective.LLM, frozenset({Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA}))


def recognizer(shape: ModelShape) -> Recognizer:
    projector = Projector(
        encoder_width=shape.encoder.width, stack=shape.stack, hidden=shape.hidden, llm_width=shape.llm.width, seed=0
    )
    asr = TextCodec(None, (), tuple(range(shape.asr_prompt_extra + 1)), 1)
    llm = TextCodec(None, (3, 4), (5,) * (shape.llm_prompt_tokens - 1), 1)
    encoder = asr_module(shape.encoder, "cpu")
    FAMILIES[encoder.config.model_type].prepare(encoder)
    own = shape.encoder.objective
    is_tower = FAMILIES[encoder.config.model_type].objective is None
    head = FreshHead(shape.encoder.width, own.vocabulary, seed=0) if is_tower and own else None
    return Recognizer(encoder, projector, llm_module(shape.llm, "cpu"), asr, llm, head)


def random_lengths(utterances: int, seed: int) -> Lengths:
    draw = np.random.default_rng(seed)
    return Lengths(
        samples=draw.integers(8_000, 48_000, utterances),
        asr_tokens=draw.integers(1, 12, utterances),
        llm_tokens=draw.integers(1, 12, utterances),
    )


def batch(shape: ModelShape, lengths: Lengths) -> Batch:
    frames = shape.encoder.input_frames(lengths.samples)
    return Batch(
        features_BMT=torch.zeros(len(lengths), shape.encoder.input_features, int(frames.max())),
        frames_B=torch.from_numpy(frames),
        asr_targets=[torch.full((int(count),), 2) for count in lengths.asr_tokens],
        llm_targets=[torch.full((int(count),), 2) for count in lengths.llm_tokens],
    )


def prepared(encoder: EncoderDims, training: Trains = JOINT) -> Recognizer:
    """The same weights each time, with adapters where they train."""
    torch.manual_seed(0)
    shape = model_shape(encoder, MINI_LLM)
    model = recognizer(shape)
    if Part.LLM_LORA in training.parts:
        model.add_adapters(Part.LLM_LORA, shape.llm_lora, seed=0)
    model.set_trainable(training.parts)
    return model


def noise(encoder: EncoderDims, utterances: int = 4, seed: int = 0) -> Batch:
    silence = batch(model_shape(encoder, MINI_LLM), random_lengths(utterances, seed=seed))
    torch.manual_seed(seed + 1)
    return replace(silence, features_BMT=torch.randn_like(silence.features_BMT))


def gradients(
    model: Recognizer, inputs: Batch, objective: Objective, precision: Precision = Precision.FP32
) -> dict[str, Tensor]:
    model.zero_grad()
    torch.manual_seed(2)
    with autocast(precision, torch.device("cpu")):
        loss, _ = model.loss(inputs, objective)
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
