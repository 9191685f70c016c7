"""Parakeet's Fast Conformer on padded batches, which Hugging Face's own forward encodes as it encodes each utterance
alone: padded frames are zero for every convolution, and masked as keys of every attention.

Its batch norms keep the statistics of pretraining, in training too: those of a batch would let an utterance's output
depend on its neighbours and on padding. Their scales and shifts train.

Shapes: B utterances, M mel bins, T mel frames, S encoder positions, D width.
"""

from torch import Tensor, nn
from transformers import ParakeetForCTC, PreTrainedModel

from scaling.asr.model.encoders.ctc import Ctc
from scaling.asr.model.encoders.family import EncoderOutput, Family, masked_encode
from scaling.asr.model.encoders.filter_bank import FilterBank


class FixedBatchNorm(nn.BatchNorm1d):
    """A batch norm that stays in eval mode."""

    def train(self, mode: bool = True) -> "FixedBatchNorm":
        return super().train(False)


def encode(model: PreTrainedModel, mel_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    """Hidden states (B, S, D), zero at padded positions, and the number of positions of each utterance (B,)."""
    return masked_encode(model.encoder, mel_BMT, frames_B, model._get_subsampling_output_length)


def _fix_batch_norms(model: PreTrainedModel) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.__class__ = FixedBatchNorm
            module.eval()


PARAKEET = Family(
    model=ParakeetForCTC,
    features=FilterBank.from_directory,
    encoder=lambda model: model.encoder,
    encode=encode,
    prepare=_fix_batch_norms,
    objective=Ctc.of("ctc_head"),
)
