"""CTC over the frames of an encoder: its loss, and its greedy text.

Shapes: B utterances, S encoder positions, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from scaling.asr.model.encoders.family import EncoderOutput
from scaling.asr.model.padding import without_padding
from scaling.base_models.letters import BLANK
from scaling.base_models.tokenizers import TextCodec


class FreshHead(nn.Linear):
    """A new head for an encoder that has none (B, S, D) to (B, S, V); its initial weights depend on `seed` alone."""

    def __init__(self, encoder_width: int, vocabulary: int, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(encoder_width, vocabulary)

    @property
    def objective(self) -> "Ctc":
        """The objective that it computes, whatever the encoder."""
        return Ctc(lambda model: self, lambda model: BLANK)


@dataclass(frozen=True, slots=True)
class Ctc:
    """The objective by the head of a model, and the token that it takes as the blank. Its weights may be `fresh`."""

    head: Callable[[PreTrainedModel], nn.Module]
    blank: Callable[[PreTrainedModel], int]
    fresh: tuple[str, ...] = ()

    @classmethod
    def of(cls, head: str = "lm_head", blank: str = "pad_token_id") -> "Ctc":
        """The objective by `head` and the setting `blank`. A checkpoint of pretraining alone has no head."""
        return cls(attrgetter(head), attrgetter(f"config.{blank}"), (f"{head}.",))

    def modules(self, model: PreTrainedModel) -> dict[str, nn.Module]:
        """The head, which has no prefix of its own."""
        return {"": self.head(model)}

    def loss(
        self, model: PreTrainedModel, codec: TextCodec, encoded: EncoderOutput, targets: Sequence[Tensor]
    ) -> tuple[Tensor, int]:
        """The CTC loss summed, and the number of target tokens; utterances too short for their text add nothing."""
        hidden_BSD, lengths_B = encoded
        log_probs_SBV = self.head(model)(hidden_BSD).float().log_softmax(-1).transpose(0, 1)
        counts = [len(target) for target in targets]
        loss = functional.ctc_loss(
            log_probs_SBV,
            torch.cat(list(targets)),
            lengths_B,
            torch.tensor(counts, device=lengths_B.device),
            blank=self.blank(model),
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
        best_BS = self.head(model)(hidden_BSD).argmax(-1)
        rows: list[Tensor] = [torch.unique_consecutive(best_S) for best_S in without_padding(best_BS, lengths_B)]
        return [row[row != self.blank(model)].tolist()[:max_tokens] for row in rows]
