"""CTC over the frames of an encoder: its loss, and its greedy text.

Shapes: B utterances, S encoder positions, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from scaling.asr.model.encoders.family import EncoderOutput
from scaling.asr.model.padding import without_padding
from scaling.base_models.tokenizers import TextCodec


@dataclass(frozen=True, slots=True)
class Ctc:
    """The objective of a family whose model has its head in `head`, and its blank token in the setting `blank`."""

    head: str = "lm_head"
    blank: str = "pad_token_id"

    def family_fields(self) -> dict[str, Any]:
        """The fields of a `Family` that the objective decides. A checkpoint of pretraining alone has no head."""
        return {"decoder": self.decoder, "fresh": (f"{self.head}.",), "loss": self.loss, "decode": self.decode}

    def decoder(self, model: PreTrainedModel) -> dict[str, nn.Module]:
        """The head, which has no prefix of its own."""
        return {"": getattr(model, self.head)}

    def loss(
        self, model: PreTrainedModel, codec: TextCodec, encoded: EncoderOutput, targets: Sequence[Tensor]
    ) -> tuple[Tensor, int]:
        """The CTC loss summed over the batch, and the number of target tokens.

        An utterance with fewer frames than its text needs adds nothing to the loss.
        """
        hidden_BSD, lengths_B = encoded
        log_probs_SBV = getattr(model, self.head)(hidden_BSD).float().log_softmax(-1).transpose(0, 1)
        counts = [len(target) for target in targets]
        loss = functional.ctc_loss(
            log_probs_SBV,
            torch.cat(list(targets)),
            lengths_B,
            torch.tensor(counts, device=lengths_B.device),
            blank=getattr(model.config, self.blank),
            reduction="sum",
            zero_infinity=True,
        )
        return loss, sum(counts)

    @torch.no_grad()
    def decode(
        self, model: PreTrainedModel, codec: TextCodec, encoded: EncoderOutput, max_tokens: int
    ) -> list[list[int]]:
        """The most likely token of each frame, without repetitions and blanks."""
        hidden_BSD, lengths_B = encoded
        best_BS = getattr(model, self.head)(hidden_BSD).argmax(-1)
        rows: list[Tensor] = [torch.unique_consecutive(best_S) for best_S in without_padding(best_BS, lengths_B)]
        return [row[row != getattr(model.config, self.blank)].tolist()[:max_tokens] for row in rows]
