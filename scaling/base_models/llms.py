"""LLMs as rows of dimensions, from which parameters and FLOPs are counted without weights.

One class covers the dense decoders of today: attention with grouped keys, a gated feed-forward, RMS norms. A row of
`FAMILIES` says how families differ (biases, norms, fused layers). A mixture of experts, a state space layer or a plain
feed-forward has other matrix products and is refused.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from scaling.base_models.config_file import LARGEST, ConfigFile
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention
from scaling.errors import InputError, nearest
from scaling.keys import OMIT_DEFAULT
from scaling.spec import LoraSpec, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDims:
    """A dense decoder-only LLM: grouped-query attention, gated feed-forward, RMS norms.

    `norms` counts the norms of model width in a layer. Queries and keys may have norms over one head (`qk_norm`) or
    over all heads together (`wide_qk_norm`). Where `fused`, q, k and v are one linear layer, and gate and up another.
    `context` is the largest number of positions, where the config gives it.
    """

    name: str = field(compare=False)
    source: str = field(compare=False)
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    tied: bool
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    context: int = field(default=LARGEST, compare=False)
    norms: int = field(default=2, metadata=OMIT_DEFAULT)
    wide_qk_norm: bool = field(default=False, metadata=OMIT_DEFAULT)
    fused: bool = field(default=False, metadata=OMIT_DEFAULT)

    @property
    def params(self) -> int:
        """Parameters with embeddings; a tied output head is counted once."""
        attention = 2 * self.width * self._queries + 2 * self.width * self._keys
        biases = self.qkv_bias * (self._queries + 2 * self._keys) + self.output_bias * self.width
        biases += self.mlp_bias * (2 * self.ffn + self.width)
        norms = self.norms * self.width + self.qk_norm * 2 * self.head_dim
        norms += self.wide_qk_norm * (self._queries + self._keys)
        layer = attention + 3 * self.width * self.ffn + biases + norms
        return (1 if self.tied else 2) * self.vocabulary * self.width + self.layers * layer + self.width

    @property
    def linears(self) -> tuple[str, ...]:
        """The names of the linear layers in a transformer layer, which adapters may target."""
        if self.fused:
            return ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
        return ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    def decode(self, tape: Tape, lora: LoraSpec, speech: Flow) -> None:
        """Record the LLM on prompt, speech and text, with logits at target positions."""
        weights = Weights(Part.LLM, Part.LLM_LORA, lora)

        def layer(x: Flow) -> Flow:
            x = x.plus(self._attention(tape, weights, x))
            return x.plus(tape.linear(weights, "down_proj", self._gated(tape, weights, x), self.width))

        # Text embeddings train with the LLM. They and the speech are one sequence, which needs a gradient if either
        # does.
        sequence = Flow(Work.LLM, self.width, speech.needs_grad or Part.LLM in tape.trained)
        hidden = tape.layers(self.layers, sequence, layer, ends_in_norm=self._ends_in_norm)
        tape.linear(weights, "lm_head", replace(hidden, work=Work.LLM_TARGETS), self.vocabulary)

    def _attention(self, tape: Tape, weights: Weights, x: Flow) -> Flow:
        if not self.fused:
            return attention(tape, weights, x, x, Work.LLM_PAIRS, self._queries, self._keys, "o_proj")
        qkv = tape.linear(weights, "qkv_proj", x, self._queries + 2 * self._keys)
        query, key = replace(qkv, width=self._queries), replace(qkv, width=self._keys)
        mixed = tape.attention(weights.part, Work.LLM_PAIRS, query, key, key)
        return tape.linear(weights, "o_proj", mixed, x.width)

    def _gated(self, tape: Tape, weights: Weights, x: Flow) -> Flow:
        if self.fused:
            return replace(tape.linear(weights, "gate_up_proj", x, 2 * self.ffn), width=self.ffn)
        gate = tape.linear(weights, "gate_proj", x, self.ffn)
        return gate.plus(tape.linear(weights, "up_proj", x, self.ffn))

    @property
    def _ends_in_norm(self) -> bool:
        """Whether a layer ends in a norm: in Gemma 2 and 3, which have four, and in OLMo 2, known by its wide norms."""
        return self.norms == 4 or self.wide_qk_norm

    @property
    def _queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def _keys(self) -> int:
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What follows from a model_type alone: fixed properties, and defaults of settings that a config may leave out."""

    qkv_bias: bool = False  # in every model; in other families the setting `attention_bias` gives q, k, v and o a bias
    may_bias: bool = False
    may_bias_mlp: bool = False
    qk_norm: bool = False
    wide_qk_norm: bool = False
    norms: int = 2
    fused: bool = False
    head_dim: int | None = None  # None: the width divided by the heads
    tied: bool = False


FAMILIES = {
    "qwen2": _Family(qkv_bias=True),
    "qwen3": _Family(may_bias=True, qk_norm=True, head_dim=128),
    "llama": _Family(may_bias=True, may_bias_mlp=True),
    "mistral": _Family(),
    "smollm3": _Family(may_bias=True, may_bias_mlp=True, tied=True),
    "granite": _Family(may_bias=True, may_bias_mlp=True),
    "olmo2": _Family(may_bias=True, wide_qk_norm=True),
    "phi3": _Family(fused=True),
    "gemma": _Family(may_bias=True, head_dim=256, tied=True),
    "gemma2": _Family(may_bias=True, norms=4, head_dim=256, tied=True),
    "gemma3_text": _Family(may_bias=True, norms=4, qk_norm=True, head_dim=256, tied=True),
}
"""LLM families by model_type, as the modelling code of transformers computes them."""

UNPRICED = {
    "num_experts": "a mixture of experts",
    "num_local_experts": "a mixture of experts",
    "n_routed_experts": "a mixture of experts",
    "state_size": "state space layers",
    "ssm_state_size": "state space layers",
    "mamba_d_state": "state space layers",
    "linear_num_key_heads": "linear attention",
    "text_config": "several modalities; give the directory of its language model",
}
"""Settings of models with other matrix products, and what such models are called."""


def llm_dims(config_file: Path) -> LlmDims:
    """Dimensions from a config.json. Raises InputError on families whose matrix products are not known here."""
    config = ConfigFile(config_file)
    kind = config.values.get("model_type")
    family = FAMILIES.get(str(kind))
    if family is None:
        other_kind = next((kind for key, kind in UNPRICED.items() if config.values.get(key)), None)
        why = f"it has {other_kind}" if other_kind else "its matrix products are not known here"
        raise InputError(f"{config.path}: model_type {kind!r} is not supported, {why}{nearest(kind, FAMILIES)}")
    width, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    attention_bias = family.may_bias and bool(config.values.get("attention_bias", False))
    return LlmDims(
        name=config.path.parent.name,
        source=str(config.path),
        width=width,
        layers=config.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", default=heads),
        head_dim=config.integer("head_dim", default=family.head_dim or width // heads),
        ffn=config.integer("intermediate_size"),
        vocabulary=config.integer("vocab_size"),
        tied=bool(config.values.get("tie_word_embeddings", family.tied)),
        qk_norm=family.qk_norm,
        wide_qk_norm=family.wide_qk_norm,
        qkv_bias=family.qkv_bias or attention_bias,
        output_bias=attention_bias,
        mlp_bias=family.may_bias_mlp and bool(config.values.get("mlp_bias", False)),
        context=config.integer("max_position_embeddings", default=LARGEST),
        norms=family.norms,
        fused=family.fused,
    )


def _row(
    hub_id: str,
    width: int,
    layers: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    ffn: int,
    vocabulary: int,
    *,
    tied: bool = True,
    qk_norm: bool = False,
    qkv_bias: bool = False,
) -> LlmDims:
    return LlmDims(
        name=hub_id.split("/")[1],
        source=f"https://huggingface.co/{hub_id}/blob/main/config.json",
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=ffn,
        vocabulary=vocabulary,
        tied=tied,
        qk_norm=qk_norm,
        qkv_bias=qkv_bias,
    )


LLMS: dict[str, LlmDims] = {
    row.name: row
    for row in (
        _row("Qwen/Qwen2.5-0.5B", 896, 24, 14, 2, 64, 4864, 151_936, qkv_bias=True),
        _row("Qwen/Qwen2.5-1.5B", 1536, 28, 12, 2, 128, 8960, 151_936, qkv_bias=True),
        _row("Qwen/Qwen2.5-3B", 2048, 36, 16, 2, 128, 11_008, 151_936, qkv_bias=True),
        _row("Qwen/Qwen2.5-7B", 3584, 28, 28, 4, 128, 18_944, 152_064, qkv_bias=True, tied=False),
        _row("Qwen/Qwen3-0.6B", 1024, 28, 16, 8, 128, 3072, 151_936, qk_norm=True),
        _row("Qwen/Qwen3-1.7B", 2048, 28, 16, 8, 128, 6144, 151_936, qk_norm=True),
        _row("Qwen/Qwen3-4B", 2560, 36, 32, 8, 128, 9728, 151_936, qk_norm=True),
        _row("meta-llama/Llama-3.2-1B", 2048, 16, 32, 8, 64, 8192, 128_256),
        _row("meta-llama/Llama-3.2-3B", 3072, 28, 24, 8, 128, 8192, 128_256),
        _row("HuggingFaceTB/SmolLM2-135M", 576, 30, 9, 3, 64, 1536, 49_152),
    )
}
"""Published LLMs by name; `source` is the address of the config that a row repeats."""
