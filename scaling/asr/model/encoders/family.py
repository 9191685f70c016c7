"""What the trainer asks of a speech encoder with an objective of its own: a value of functions, one for each family.

To add a family, write one in `scaling/asr/NAME.py`, name it in `scaling.asr.model.encoders.registry`, and its dimensions in
`scaling.base_models.encoders`, which says the rest.

Shapes: B utterances, M features an input frame, T input frames, S encoder positions, D encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedModel

from scaling.base_models.tokenizers import TextCodec

Features = Callable[[np.ndarray], Tensor]
"""From the samples of one utterance (float32, 16 kHz, mono) to what its encoder reads: (M, T)."""

EncoderOutput = tuple[Tensor, Tensor]
"""Hidden states (B, S, D), zero at padding, and the real number of positions of each utterance (B,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One family of encoders.

    `model` is the class of transformers that holds encoder and decoder; `features` the features that the model in a
    directory was trained on. `encoder` and `decoder` give the modules of the two parts, the decoder's with the
    beginning of their parameters' names. Parameters of the encoder whose names begin with one of `never_trained` stay
    as they are; weights of `fresh` may be missing from a checkpoint and are then drawn anew.

    `encode(model, features_BMT, frames_B)` must not let padding, zero beyond `frames_B`, change what is real.
    `loss(model, codec, heard, targets)` is the objective summed over target tokens, and their number.
    `decode(model, codec, heard, max_tokens)` decodes greedily: token ids without prefix and end, one list an utterance.
    """

    model: type[PreTrainedModel]
    features: Callable[[Path], Features]
    encoder: Callable[[PreTrainedModel], nn.Module]
    decoder: Callable[[PreTrainedModel], dict[str, nn.Module]]
    never_trained: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    encode: Callable[[PreTrainedModel, Tensor, Tensor], EncoderOutput]
    loss: Callable[[PreTrainedModel, TextCodec, EncoderOutput, Sequence[Tensor]], tuple[Tensor, int]]
    decode: Callable[[PreTrainedModel, TextCodec, EncoderOutput, int], list[list[int]]]
