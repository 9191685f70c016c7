"""LLMs as rows of dimensions, from which parameters and FLOPs are counted without weights.

One class covers the decoders of today: attention with grouped keys, a gated feed-forward or a mixture of such, RMS
norms. `scaling.base_models.llm_families` says how families differ (biases, norms, fused layers, experts). A state space
layer, linear attention or a plain feed-forward has other matrix products and is refused.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from scaling.base_models.config_file import LARGEST, ConfigFile, published
from scaling.base_models.llm_families import LlmFamily, llm_family
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention
from scaling.errors import InputError
from scaling.keys import OMIT_DEFAULT
from scaling.spec import LoraSpec, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDims:
    """A decoder-only LLM: grouped-query attention, gated feed-forward, RMS norms.

    `norms` counts the norms of model width in a layer. Queries and keys may have norms over one head (`qk_norm`) or
    over all heads together (`wide_qk_norm`). Where `fused`, q, k and v are one linear layer, and gate and up another.
    `context` is the largest number of positions, where the config gives it. In a mixture, a position passes a router
    and `active_experts` of `experts` feed-forwards of `ffn` features each: those are charged, and all are parameters.
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
    experts: int = field(default=0, metadata=OMIT_DEFAULT)
    active_experts: int = field(default=0, metadata=OMIT_DEFAULT)

    @property
    def active_ffn(self) -> int:
        """Inner features of the feed-forwards that a position passes through in a layer."""
        return self.ffn * (self.active_experts or 1)

    @property
    def params(self) -> int:
        """Parameters with embeddings; a tied output head is counted once."""
        attention = 2 * self.width * self._queries + 2 * self.width * self._keys
        biases = self.qkv_bias * (self._queries + 2 * self._keys) + self.output_bias * self.width
        biases += self.mlp_bias * (2 * self.ffn + self.width)
        norms = self.norms * self.width + self.qk_norm * 2 * self.head_dim
        norms += self.wide_qk_norm * (self._queries + self._keys)
        feed_forward = (self.experts or 1) * 3 * self.width * self.ffn + self.experts * self.width
        layer = attention + feed_forward + biases + norms
        return (1 if self.tied else 2) * self.vocabulary * self.width + self.layers * layer + self.width

    @property
    def linears(self) -> tuple[str, ...]:
        """Names of the linear layers in a transformer layer, which adapters may target; experts have no adapters."""
        if self.experts:
            return ("q_proj", "k_proj", "v_proj", "o_proj")
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
        if self.experts:
            tape.linear(weights, "router", x, self.experts)
            both = tape.linear(weights, "experts.gate_up_proj", x, 2 * self.active_ffn)
            return replace(both, width=self.active_ffn)
        if self.fused:
            return replace(tape.linear(weights, "gate_up_proj", x, 2 * self.ffn), width=self.ffn)
        gate = tape.linear(weights, "gate_proj", x, self.ffn)
        return gate.plus(tape.linear(weights, "up_proj", x, self.ffn))

    @property
    def _ends_in_norm(self) -> bool:
        """Whether a layer's last product is read by its backward pass: by a norm, in Gemma 2 and 3, which have four,
        and in OLMo 2, known by its wide norms; or by the gradient of the router's weights.
        """
        return self.norms == 4 or self.wide_qk_norm or self.experts > 0

    @property
    def _queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def _keys(self) -> int:
        return self.kv_heads * self.head_dim


def llm_dims(config_file: Path) -> LlmDims:
    """Dimensions from a config.json, as transformers reads it: with its defaults for what the file leaves out.

    Raises InputError on families whose matrix products are not known here, and on sizes that transformers refuses.
    """
    config = ConfigFile(config_file)
    family = llm_family(config)
    defaults = family.sizes
    width = config.integer("hidden_size", default=defaults.hidden_size)
    heads = config.integer("num_attention_heads", default=defaults.num_attention_heads)
    attention_bias = family.may_bias and config.flag("attention_bias", False)
    experts, active, ffn = _feed_forwards(config, family)
    return LlmDims(
        **config.origin,
        width=width,
        layers=config.integer("num_hidden_layers", default=defaults.num_hidden_layers),
        heads=heads,
        kv_heads=_kv_heads(config, family, heads),
        head_dim=_head_dim(config, family, width, heads),
        ffn=ffn,
        vocabulary=config.integer("vocab_size", default=defaults.vocab_size),
        tied=config.flag("tie_word_embeddings", family.tied),
        qk_norm=family.qk_norm,
        wide_qk_norm=family.wide_qk_norm,
        qkv_bias=family.qkv_bias or attention_bias,
        output_bias=attention_bias,
        mlp_bias=family.may_bias_mlp and config.flag("mlp_bias", False),
        context=config.integer("max_position_embeddings", default=defaults.max_position_embeddings),
        norms=family.norms,
        fused=family.fused,
        experts=experts,
        active_experts=active,
    )


def _kv_heads(config: ConfigFile, family: LlmFamily, heads: int) -> int:
    name = "num_key_value_heads"
    default = family.sizes.num_key_value_heads or heads
    if name in config.values and config.values[name] is None and family.null_kv_heads:
        default = heads
    kv_heads = config.integer(name, default=default, null=family.null_kv_heads)
    if heads % kv_heads:
        given = "" if name in config.values else f" (transformers' default for {config.values['model_type']})"
        expected = f"expected a divisor of num_attention_heads, {heads}"
        raise InputError(f"{config.path}: {name} is {kv_heads}{given}; {expected}")
    return kv_heads


def _head_dim(config: ConfigFile, family: LlmFamily, width: int, heads: int) -> int:
    if width % heads and (family.whole_heads or (config.values.get("head_dim") is None and family.head_dim is None)):
        expected = f"expected a multiple of num_attention_heads, {heads}{'' if family.whole_heads else ', or head_dim'}"
        raise InputError(f"{config.path}: hidden_size is {width}; {expected}")
    head_dim = config.integer("head_dim", default=family.head_dim or width // heads, null=family.null_head_dim)
    if head_dim % 2:
        raise InputError(f"{config.path}: head_dim is {head_dim}; expected an even number, for rotary positions")
    return head_dim


def _feed_forwards(config: ConfigFile, family: LlmFamily) -> tuple[int, int, int]:
    """The experts of a layer, those active at a position (0 and 0 for one feed-forward), and their inner features."""
    defaults = family.experts
    if defaults is None:
        return 0, 0, config.integer("intermediate_size", default=family.sizes.intermediate_size)
    name = "num_local_experts" if "num_local_experts" in config.values else "num_experts"
    number = config.integer(name, default=defaults.number)
    active = config.integer("num_experts_per_tok", default=defaults.active)
    width = config.integer(defaults.width_name, default=defaults.width)
    if active > number:
        raise InputError(f"{config.path}: num_experts_per_tok is {active}; expected at most {number} experts")
    why = "layers without experts have other products"
    config.expect("decoder_sparse_step", 1, why)
    if config.values.get("mlp_only_layers"):
        config.expect("mlp_only_layers", [], why)
    return number, active, width


def _row(hub_id: str, *sizes: int, tied: bool = True, qk_norm: bool = False, qkv_bias: bool = False) -> LlmDims:
    """A published model; `sizes` are those of `ROW_SIZES`."""
    named = published(hub_id) | dict(zip(ROW_SIZES, sizes, strict=True))
    return LlmDims(**named, tied=tied, qk_norm=qk_norm, qkv_bias=qkv_bias)


ROW_SIZES = ("width", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocabulary", "context")

LLMS: dict[str, LlmDims] = {
    row.name: row
    for row in (
        _row("Qwen/Qwen2.5-0.5B", 896, 24, 14, 2, 64, 4864, 151_936, 32_768, qkv_bias=True),
        _row("Qwen/Qwen2.5-1.5B", 1536, 28, 12, 2, 128, 8960, 151_936, 131_072, qkv_bias=True),
        _row("Qwen/Qwen2.5-3B", 2048, 36, 16, 2, 128, 11_008, 151_936, 32_768, qkv_bias=True),
        _row("Qwen/Qwen2.5-7B", 3584, 28, 28, 4, 128, 18_944, 152_064, 131_072, qkv_bias=True, tied=False),
        _row("Qwen/Qwen3-0.6B", 1024, 28, 16, 8, 128, 3072, 151_936, 40_960, qk_norm=True),
        _row("Qwen/Qwen3-1.7B", 2048, 28, 16, 8, 128, 6144, 151_936, 40_960, qk_norm=True),
        _row("Qwen/Qwen3-4B", 2560, 36, 32, 8, 128, 9728, 151_936, 40_960, qk_norm=True),
        _row("meta-llama/Llama-3.2-1B", 2048, 16, 32, 8, 64, 8192, 128_256, 131_072),
        _row("meta-llama/Llama-3.2-3B", 3072, 28, 24, 8, 128, 8192, 128_256, 131_072),
        _row("HuggingFaceTB/SmolLM2-135M", 576, 30, 9, 3, 64, 1536, 49_152, 8192),
    )
}
"""Published LLMs by name; `source` is the address of the config that a row repeats. Contexts are its
`max_position_embeddings`, compared with public copies of these files."""
