"""What joins an encoder to an LLM where a study or a command does not say: one rule for both."""

from scaling.base_models.encoders import EncoderDims
from scaling.base_models.llms import LlmDims
from scaling.spec import LoraSpec

SPEECH_TOKENS_PER_SECOND = 12.5
"""Assumption: about the rate of syllables and subwords. Whisper's 50 frames a second are stacked by 4, the minis' 25
by 2, which is the stack that learns best on them (see LOG.md); wider stacks cost accuracy there."""

LORA_RANK, LORA_SCALE = 8, 2.0
"""A rank of the original LoRA, and what the minis were tried with; at full scale an assumption."""


def default_lora(model: EncoderDims | LlmDims) -> LoraSpec:
    """Adapters on every linear layer of the model."""
    return LoraSpec(rank=LORA_RANK, alpha=LORA_SCALE * LORA_RANK, targets=model.linears)


def default_stack(encoder: EncoderDims) -> int:
    """Encoder frames joined into one speech token."""
    return max(1, round(encoder.frames_per_second / SPEECH_TOKENS_PER_SECOND))


def default_hidden(llm: LlmDims) -> int:
    """Width of the projector's hidden layer: the LLM's (as in the projectors of LLaVA-type models; assumption)."""
    return llm.width
