"""What joins an encoder to an LLM where a study or a command does not say: one rule for both."""

from scaling.dims import EncoderDims, LlmDims
from scaling.spec import LoraSpec

SPEECH_TOKENS_PER_SECOND = 12.5
"""Assumption: about the rate of syllables and subwords. Whisper's 50 frames a second are stacked by 4, the minis' 25
by 2, which is the stack that learns best on them (see LOG.md); wider stacks cost accuracy there."""

LLM_LORA = LoraSpec(
    rank=8, alpha=16.0, targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
)
"""Rank 8 on every linear layer of the LLM, scaled by 2: a rank of the original LoRA, and what the minis were tried
with; at full scale an assumption."""

ENCODER_LORA = LoraSpec(rank=8, alpha=16.0, targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"))
"""The same on every linear layer of the encoder (assumption)."""


def default_stack(encoder: EncoderDims) -> int:
    """Encoder frames joined into one speech token."""
    return max(1, round(encoder.frames_per_second / SPEECH_TOKENS_PER_SECOND))


def default_hidden(llm: LlmDims) -> int:
    """Width of the projector's hidden layer: the LLM's (as in the projectors of LLaVA-type models; assumption)."""
    return llm.width
