"""w2v-BERT 2.0 on padded batches, which Hugging Face's own forward encodes as it encodes each utterance alone: its
convolutions read no later frame, and padded frames are masked as keys of every attention.

Shapes: B utterances, M features, T input frames, which are the encoder positions, D width.
"""

from torch import Tensor
from transformers import PreTrainedModel, Wav2Vec2BertForCTC

from scaling.asr.model.encoders.ctc import Ctc
from scaling.asr.model.encoders.family import EncoderOutput, Family, masked_encode
from scaling.asr.model.encoders.filter_bank import FilterBank


def encode(model: PreTrainedModel, features_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    """Hidden states (B, T, D), zero at padded positions, and the number of positions of each utterance (B,)."""
    return masked_encode(model.base_model, features_BMT, frames_B)


WAV2VEC2_BERT = Family(
    model=Wav2Vec2BertForCTC,
    features=FilterBank.from_directory,
    encoder=lambda model: model.base_model,
    encode=encode,
    objective=Ctc.of(),
)
