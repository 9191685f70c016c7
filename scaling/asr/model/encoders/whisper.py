"""The Whisper encoder at any input length, where Hugging Face's own forward accepts one length alone.

Padding never changes an utterance's output: padded encoder positions are masked as keys of every attention.

Shapes: B utterances, M mel bins, T mel frames, S encoder positions, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from scaling.asr.model.encoders.family import EncoderOutput, Family, hidden_states
from scaling.asr.model.encoders.text_decoder import NextToken
from scaling.asr.model.log_mel import LogMel
from scaling.asr.model.padding import key_mask, real_positions

SINUSOIDS = ("embed_positions.",)
"""Parameters of the encoder that never train."""


def encode(encoder: WhisperEncoder, mel_BMT: Tensor, frames_B: Tensor) -> EncoderOutput:
    """Hidden states (B, S, D), zero at padded positions, and the number of positions of each utterance (B,).

    `mel_BMT` is zero beyond each utterance's `frames_B`. At the encoder's own input length the output equals Hugging
    Face's to the last bit; at other lengths the first S position embeddings are used. Raises ValueError on more frames
    than the encoder has positions for.
    """
    lengths_B, length = (frames_B + 1) // 2, (mel_BMT.shape[-1] + 1) // 2  # the second convolution halves them
    if length > encoder.config.max_source_positions:
        raise ValueError(f"{length} encoder positions exceed the model's {encoder.config.max_source_positions}")
    x = functional.gelu(encoder.conv1(mel_BMT))
    # The first convolution writes into the first padded frame, which the second would read: it is set to zero again.
    x = x * (torch.arange(x.shape[-1], device=x.device) < frames_B[:, None])[:, None]
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[:length]
    mask = key_mask(lengths_B, length, x.dtype)
    for layer in encoder.layers:
        x = hidden_states(layer(x, mask))
    hidden: Tensor = encoder.layer_norm(x)
    return hidden * real_positions(lengths_B, length)[..., None], lengths_B


WHISPER = Family(
    model=WhisperForConditionalGeneration,
    features=LogMel.from_directory,
    encoder=lambda model: model.model.encoder,
    objective=NextToken(),
    never_trained=SINUSOIDS,
    encode=lambda model, mel_BMT, frames_B: encode(model.model.encoder, mel_BMT, frames_B),
)
