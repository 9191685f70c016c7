"""LLM families by model_type: what the modelling code of transformers computes, and what its configs leave out.

Whoever adds a family adds a row of `FAMILIES`; whoever meets a model that cannot be priced, one of `UNPRICED`.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from scaling.base_models.config_file import ConfigFile
from scaling.errors import InputError, nearest


class LlmSizes(NamedTuple):
    """What transformers fills in for a size that a config does not name; `kv_heads` None: as many as heads."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int | None
    vocab_size: int
    max_position_embeddings: int


class Experts(NamedTuple):
    """What transformers fills in for the number of experts, for those active, and for their width, whose setting has
    the name `width_name`. The number is `num_experts` or `num_local_experts`, which transformers reads alike.
    """

    number: int
    active: int
    width: int
    width_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmFamily:
    """What follows from a model_type alone: fixed properties, and defaults of settings that a config may leave out."""

    sizes: LlmSizes
    qkv_bias: bool = False  # in every model; in other families the setting `attention_bias` gives q, k, v and o a bias
    may_bias: bool = False
    may_bias_mlp: bool = False
    qk_norm: bool = False
    wide_qk_norm: bool = False
    norms: int = 2
    fused: bool = False
    head_dim: int | None = None  # None: the width divided by the heads
    tied: bool = False
    null_head_dim: bool = False  # whether null stands for the width divided by the heads
    null_kv_heads: bool = True  # whether null stands for as many as heads
    whole_heads: bool = False  # whether the width must be a multiple of the heads, whatever head_dim says
    experts: Experts | None = None


_LLAMA = partial(LlmFamily, may_bias=True, may_bias_mlp=True)
_GEMMA = partial(LlmFamily, may_bias=True, head_dim=256, tied=True, null_kv_heads=False)

FAMILIES = {
    "qwen2": LlmFamily(sizes=LlmSizes(4096, 22_016, 32, 32, 32, 151_936, 32_768), qkv_bias=True),
    "qwen3": LlmFamily(
        sizes=LlmSizes(4096, 22_016, 32, 32, 32, 151_936, 32_768), may_bias=True, qk_norm=True, head_dim=128
    ),
    "qwen3_moe": LlmFamily(
        sizes=LlmSizes(2048, 6144, 24, 32, 4, 151_936, 32_768),
        may_bias=True,
        qk_norm=True,
        null_kv_heads=False,
        experts=Experts(128, 8, 768, "moe_intermediate_size"),
    ),
    "llama": _LLAMA(sizes=LlmSizes(4096, 11_008, 32, 32, None, 32_000, 2048), null_head_dim=True, whole_heads=True),
    "mistral": LlmFamily(
        sizes=LlmSizes(4096, 14_336, 32, 32, 8, 32_000, 131_072), null_head_dim=True, null_kv_heads=False
    ),
    "smollm3": _LLAMA(sizes=LlmSizes(2048, 11_008, 36, 16, 4, 128_256, 32_768), tied=True),
    "granite": _LLAMA(sizes=LlmSizes(4096, 11_008, 32, 32, None, 32_000, 2048)),
    "granitemoe": LlmFamily(
        sizes=LlmSizes(4096, 11_008, 32, 32, None, 32_000, 2048),
        may_bias=True,
        experts=Experts(8, 2, 11_008, "intermediate_size"),
    ),
    "olmo2": LlmFamily(sizes=LlmSizes(4096, 11_008, 32, 32, None, 50_304, 2048), may_bias=True, wide_qk_norm=True),
    "phi3": LlmFamily(sizes=LlmSizes(3072, 8192, 32, 32, None, 32_064, 4096), fused=True),
    "gemma": _GEMMA(sizes=LlmSizes(3072, 24_576, 28, 16, 16, 256_000, 8192)),
    "gemma2": _GEMMA(sizes=LlmSizes(2304, 9216, 26, 8, 4, 256_000, 8192), norms=4, whole_heads=True),
    "gemma3_text": _GEMMA(
        sizes=LlmSizes(2304, 9216, 26, 8, 4, 262_208, 131_072), norms=4, qk_norm=True, whole_heads=True
    ),
}
"""LLM families by model_type; sizes are those of transformers 5.24."""

UNPRICED = {
    "shared_expert_intermediate_size": "a mixture of experts with shared experts",
    "shared_intermediate_size": "a mixture of experts with shared experts",
    "linear_num_key_heads": "linear attention",
    "linear_attn_config": "linear attention",
    "num_experts": "a mixture of experts",
    "num_local_experts": "a mixture of experts",
    "n_routed_experts": "a mixture of experts",
    "state_size": "state space layers",
    "ssm_state_size": "state space layers",
    "mamba_d_state": "state space layers",
    "lru_width": "recurrent layers",
}
"""Settings of models with other matrix products, and what such models are called."""

RECURRENT = ("linear attention", "state space layers", "recurrent layers")
"""Layers whose FLOPs no formula here knows, and that no shipped recogniser decodes with."""

DENSE_ALTERNATIVE = (
    "expected a decoder with full attention in every layer, such as Qwen/Qwen3-1.7B or Qwen/Qwen2.5-1.5B"
)
"""What helps whoever came with a recurrent model."""


def llm_family(config: ConfigFile) -> LlmFamily:
    """The family of a config. Raises InputError, with what the model has and what would do, where it is none."""
    kind = config.values.get("model_type")
    if (family := FAMILIES.get(str(kind))) is not None:
        return family
    inner = config.values.get("text_config")
    values = inner if isinstance(inner, dict) else config.values
    inner_kind = values.get("model_type")
    has = next((name for setting, name in UNPRICED.items() if values.get(setting)), None)
    if "linear_attention" in (values.get("layer_types") or ()):
        has = "linear attention"
    if has in RECURRENT:
        raise InputError(f"{config.path}: model_type {kind!r} is not supported, it has {has}; {DENSE_ALTERNATIVE}")
    if inner is not None and inner_kind in FAMILIES:
        why = f"it has several modalities; expected its language model alone, a directory of model_type {inner_kind!r}"
        raise InputError(f"{config.path}: model_type {kind!r} is not supported, {why}")
    why = f"it has {has}" if has else "its matrix products are not known here"
    raise InputError(f"{config.path}: model_type {kind!r} is not supported, {why}{nearest(kind, FAMILIES)}")
