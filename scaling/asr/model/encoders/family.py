"""What the trainer asks of a speech encoder, and of an objective of its own: a value of functions, one for each family.

To add a family, write a file beside this one, name the family in `scaling.asr.model.encoders.registry`, and add its
dimensions to `scaling.base_models.encoders`, whose docstring says the rest.

Shapes: B utterances, M features an input frame, T input frames, S encoder positions, D encoder width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from scaling.asr.model.padding import real_positions
from scaling.base_models.tokenizers import TextCodec

FeatureExtractor = Callable[[np.ndarray], Tensor]
"""From the samples of one utterance (float32, 16 kHz, mono) to the features that its encoder reads, (M, T)."""

EncoderOutput = tuple[Tensor, Tensor]
"""Hidden states (B, S, D), which are zero at padded positions, and the number of positions of each utterance (B,)."""


class OwnObjective(Protocol):
    """The decoder or head by which an encoder writes text without an LLM."""

    @property
    def fresh(self) -> tuple[str, ...]:
        """Weights whose names begin with one of these may be missing from a checkpoint and are then initialised."""

    def modules(self, model: PreTrainedModel) -> dict[str, nn.Module]:
        """The modules of decoder or head by the prefix of their parameters' names."""

    def loss(
        self, model: PreTrainedModel, codec: TextCodec, encoded: EncoderOutput, targets: Sequence[Tensor]
    ) -> tuple[Tensor, int]:
        """The objective summed over target tokens, and their number."""

    def decode(
        self, model: PreTrainedModel, codec: TextCodec, encoded: EncoderOutput, max_tokens: int
    ) -> list[list[int]]:
        """Greedy decoding: one list of token ids an utterance, without prefix and end token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """One family of encoders.

    * `model`: the class of transformers that holds the encoder, and what belongs to its own objective.
    * `config_of`: where `model` is a part of what a checkpoint holds, its config from that of the whole;
      `checkpoint_names` are then the patterns of names of weights that it has otherwise, with what replaces them.
    * `features`: the features that the model in a directory was trained on.
    * `encoder`: the module of the encoder.
    * `objective`: the encoder's own; None for an audio tower, which was trained behind an LLM.
    * `never_trained`: parameters of the encoder whose names begin with one of these keep their values.
    * `prepare(model)` changes in place what training needs otherwise than transformers has it.
    * `encode(model, features_BMT, frames_B)`: the features are zero beyond `frames_B`; an utterance's output must not
      depend on its padding.
    """

    model: type[PreTrainedModel]
    config_of: Callable[[PreTrainedConfig], PreTrainedConfig] = lambda config: config
    checkpoint_names: Mapping[str, str] = field(default_factory=dict)
    features: Callable[[Path], FeatureExtractor]
    encoder: Callable[[PreTrainedModel], nn.Module]
    objective: OwnObjective | None
    never_trained: tuple[str, ...] = ()
    prepare: Callable[[PreTrainedModel], None] = lambda model: None
    encode: Callable[[PreTrainedModel, Tensor, Tensor], EncoderOutput]


def masked_encode(
    run: Callable[..., Any],
    features_BMT: Tensor,
    frames_B: Tensor,
    lengths: Callable[[Tensor], Tensor] = lambda frames: frames,
) -> EncoderOutput:
    """The output of `run`, a forward of transformers that is told which frames are real where not all are, and then
    encodes an utterance as it does alone. `lengths` gives the positions of so many frames.
    """
    real_BT = real_positions(frames_B, features_BMT.shape[2])
    mask_BT = None if bool(real_BT.all()) else real_BT
    hidden_BSD: Tensor = run(features_BMT.transpose(1, 2), attention_mask=mask_BT).last_hidden_state
    lengths_B = lengths(frames_B).to(torch.long)
    return hidden_BSD * real_positions(lengths_B, hidden_BSD.shape[1])[..., None], lengths_B


def hidden_states(layer_output: Any) -> Tensor:
    """The hidden states that a layer of transformers returns, alone or as the first of a tuple."""
    hidden: Tensor = layer_output[0] if isinstance(layer_output, tuple) else layer_output
    return hidden
