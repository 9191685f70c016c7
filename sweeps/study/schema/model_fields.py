"""Fields of pairs of an encoder and an LLM."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr

from scaling.spec import Part
from sweeps.study.schema.field_types import Count, Fields, Positive, Rate


class LoraFields(Fields):
    """Low-rank adapters. Rank 8 and alpha 16 on every linear layer learnt well on the minis (LOG.md)."""

    rank: Count = 8
    """Width of the two matrices of an adapter."""
    alpha: Positive = 16.0
    """An adapter's output is multiplied by alpha / rank."""
    targets: tuple[StrictStr, ...] | None = Field(default=None, min_length=1)
    """Names of the layers that get an adapter, such as q_proj; default: every linear layer."""


class TunedFields(Fields):
    """What `asr-scaling tune` found for a strategy on a model: `scaling.strategies.tuned_settings.TunedSettings`."""

    rates: dict[StrictStr, dict[Part, Rate]]
    """Peak rates of the parts, by stage."""
    batch_audio_seconds: Positive | None = None
    """Batch that replaces the study's."""
    at_flops: Positive
    """Budget that the settings were found at."""
    searched_flops: tuple[Positive, Positive] | None = None
    """Smallest and largest budget of the search, beyond which nothing drifts; default: drift has no end."""
    drift: dict[Part | Literal["batch_audio_seconds"], Annotated[float, Field(strict=True, allow_inf_nan=False)]] = (
        Field(default={})
    )
    """Powers of budget / at_flops by which rates and batch change with the budget."""
    tuning_flops: Positive
    """What the search cost."""
    at_edge: tuple[StrictStr, ...] = ()
    """Settings that were found at the edge of what was searched."""


class ModelFields(Fields):
    """An encoder and an LLM: shipped rows, hub names, or Hugging Face directories."""

    encoder: StrictStr
    """Such as whisper-small, openai/whisper-small@REVISION, or a folder; paths start at the study's folder."""
    llm: StrictStr
    """Such as Qwen2.5-0.5B, Qwen/Qwen2.5-0.5B-Instruct, or a folder."""
    fresh_ctc_head: StrictBool = False
    """Gives an encoder without an objective of its own, trained behind an LLM, a new CTC head for the characters of
    the training texts, so that stages with the objective asr can train it. Without it such stages are refused."""
    lr_scale: Positive = 1.0
    """Multiplies every peak rate of this model."""
    stack: Count | None = None
    """Encoder frames that the projector joins into a speech token; default: 12.5 tokens a second."""
    hidden: Count | None = None
    """Width inside the projector; default: the LLM's."""
    llm_lora: LoraFields = LoraFields()
    """Adapters of the LLM, in stages that train llm_lora."""
    encoder_lora: LoraFields = LoraFields()
    """Adapters of the encoder, in stages that train encoder_lora."""
    tuned: dict[StrictStr, TunedFields] = Field(default={})
    """By strategy: rates that replace those of the rule and of `rates`, and are not multiplied by `lr_scale`, and a
    batch that replaces the study's."""
