"""What the trainer asks of a speech encoder with an objective of its own: a value of functions, one for each family.

To add a family, write a file beside this one, name the family in `scaling.asr.model.encoders.registry`, and add its
dimensions to `scaling.base_models.encoders`, whose docstring says the rest.

Shapes: B utterances, M features an input frame, T input frames, S encoder positions, D encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedModel

from scaling.base_models.tokenizers import TextCodec

FeatureExtractor = Callable[[np.ndarray], Tensor]
"""From the samples of one utterance (float32, 16 kHz, mono) to the features that its encoder reads, (M, T)."""

EncoderOutput = tuple[Tensor, Tensor]
"""Hidden states (B, S, D), which are zero at padded positions, and the number of positions of each utterance (B,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One family of encoders.

    * `model`: the class of transformers that holds encoder and decoder.
    * `features`: the features that the model in a directory was trained on.
    * `encoder`, `decoder`: the modules of the two parts; the decoder's by the prefix of their parameters' names.
    * `never_trained`: parameters of the encoder whose names begin with one of these keep their values.
    * `fresh`: weights whose names begin with one of these may be missing from a checkpoint and are then initialised.
    * `prepare(model)` changes in place what training needs otherwise than transformers has it.
    * `encode(model, features_BMT, frames_B)`: the features are zero beyond `frames_B`; an utterance's output must not
      depend on its padding.
    * `loss(model, codec, encoded, targets)`: the objective summed over target tokens, and their number.
    * `decode(model, codec, encoded, max_tokens)`: greedy decoding, one list of token ids an utterance without prefix
      and end token.
    """

    model: type[PreTrainedModel]
    features: Callable[[Path], FeatureExtractor]
    encoder: Callable[[PreTrainedModel], nn.Module]
    decoder: Callable[[PreTrainedModel], dict[str, nn.Module]]
    never_trained: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    prepare: Callable[[PreTrainedModel], None] = lambda model: None
    encode: Callable[[PreTrainedModel, Tensor, Tensor], EncoderOutput]
    loss: Callable[[PreTrainedModel, TextCodec, EncoderOutput, Sequence[Tensor]], tuple[Tensor, int]]
    decode: Callable[[PreTrainedModel, TextCodec, EncoderOutput, int], list[list[int]]]


def hidden_states(layer_output: Any) -> Tensor:
    """The hidden states that a layer of transformers returns, alone or as the first of a tuple."""
    hidden: Tensor = layer_output[0] if isinstance(layer_output, tuple) else layer_output
    return hidden
