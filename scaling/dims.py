"""Encoders and LLMs as rows of dimensions: enough to count their parameters and price their steps, without weights."""

from dataclasses import dataclass, field

WHISPER_HOP_LENGTH = 160
"""Samples between two mel frames of every published Whisper (10 ms at 16 kHz; their preprocessor_config.json)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderDims:
    """A Whisper-type encoder-decoder. Widths in features, `hop_length` in samples at 16 kHz."""

    name: str = field(compare=False)
    source: str = field(compare=False)
    mel_bins: int
    hop_length: int
    width: int
    layers: int
    heads: int
    ffn: int
    decoder_layers: int
    decoder_heads: int
    decoder_ffn: int
    vocabulary: int
    max_positions: int
    max_decoder_positions: int

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, its (frozen, sinusoidal) positions among them."""
        convolutions = 3 * self.mel_bins * self.width + 3 * self.width**2 + 2 * self.width
        layer = _whisper_attention(self.width) + _ffn(self.width, self.ffn) + 2 * _layer_norm(self.width)
        return convolutions + self.max_positions * self.width + self.layers * layer + _layer_norm(self.width)

    @property
    def asr_decoder_params(self) -> int:
        """Parameters of the decoder with embeddings, counted once: the output projection is tied to them."""
        layer = 2 * _whisper_attention(self.width) + _ffn(self.width, self.decoder_ffn) + 3 * _layer_norm(self.width)
        embeddings = (self.vocabulary + self.max_decoder_positions) * self.width
        return embeddings + self.decoder_layers * layer + _layer_norm(self.width)

    @property
    def max_audio_seconds(self) -> float:
        """The longest audio the encoder has positions for."""
        return self.max_positions * 2 * self.hop_length / 16_000

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return 16_000 / self.hop_length / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmDims:
    """A decoder-only LLM of the Llama family: grouped-query attention, gated feed-forward, RMS norms."""

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

    @property
    def params(self) -> int:
        """Parameters with embeddings; a tied output head is counted once."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = 2 * self.width * queries + 2 * self.width * keys
        biases = self.qkv_bias * (queries + 2 * keys) + self.output_bias * self.width
        biases += self.mlp_bias * (2 * self.ffn + self.width)
        norms = 2 * self.width + self.qk_norm * 2 * self.head_dim
        layer = attention + 3 * self.width * self.ffn + biases + norms
        return (1 if self.tied else 2) * self.vocabulary * self.width + self.layers * layer + self.width


def _whisper_attention(width: int) -> int:
    return 4 * width**2 + 3 * width  # q, v and output have a bias, k has none


def _ffn(width: int, inner: int) -> int:
    return 2 * width * inner + inner + width


def _layer_norm(width: int) -> int:
    return 2 * width


def _whisper(
    name: str,
    width: int,
    layers: int,
    *,
    vocabulary: int = 51_865,
    mel_bins: int = 80,
    decoder_layers: int | None = None,
) -> EncoderDims:
    """Every Whisper has heads of 64 features, feed-forwards of 4 widths, 1500 encoder and 448 decoder positions."""
    return EncoderDims(
        name=name,
        source=f"https://huggingface.co/openai/{name}/blob/main/config.json",
        mel_bins=mel_bins,
        hop_length=WHISPER_HOP_LENGTH,
        width=width,
        layers=layers,
        heads=width // 64,
        ffn=4 * width,
        decoder_layers=layers if decoder_layers is None else decoder_layers,
        decoder_heads=width // 64,
        decoder_ffn=4 * width,
        vocabulary=vocabulary,
        max_positions=1500,
        max_decoder_positions=448,
    )


def _llm(
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


ENCODERS: dict[str, EncoderDims] = {
    row.name: row
    for row in (
        _whisper("whisper-tiny", 384, 4),
        _whisper("whisper-tiny.en", 384, 4, vocabulary=51_864),
        _whisper("whisper-base", 512, 6),
        _whisper("whisper-base.en", 512, 6, vocabulary=51_864),
        _whisper("whisper-small", 768, 12),
        _whisper("whisper-small.en", 768, 12, vocabulary=51_864),
        _whisper("whisper-medium", 1024, 24),
        _whisper("whisper-medium.en", 1024, 24, vocabulary=51_864),
        _whisper("whisper-large-v2", 1280, 32),
        _whisper("whisper-large-v3", 1280, 32, vocabulary=51_866, mel_bins=128),
        _whisper("whisper-large-v3-turbo", 1280, 32, vocabulary=51_866, mel_bins=128, decoder_layers=4),
    )
}
"""Published encoders; each row's `source` is the config it repeats."""

LLMS: dict[str, LlmDims] = {
    row.name: row
    for row in (
        _llm("Qwen/Qwen2.5-0.5B", 896, 24, 14, 2, 64, 4864, 151_936, qkv_bias=True),
        _llm("Qwen/Qwen2.5-1.5B", 1536, 28, 12, 2, 128, 8960, 151_936, qkv_bias=True),
        _llm("Qwen/Qwen2.5-3B", 2048, 36, 16, 2, 128, 11_008, 151_936, qkv_bias=True),
        _llm("Qwen/Qwen2.5-7B", 3584, 28, 28, 4, 128, 18_944, 152_064, qkv_bias=True, tied=False),
        _llm("Qwen/Qwen3-0.6B", 1024, 28, 16, 8, 128, 3072, 151_936, qk_norm=True),
        _llm("Qwen/Qwen3-1.7B", 2048, 28, 16, 8, 128, 6144, 151_936, qk_norm=True),
        _llm("Qwen/Qwen3-4B", 2560, 36, 32, 8, 128, 9728, 151_936, qk_norm=True),
        _llm("meta-llama/Llama-3.2-1B", 2048, 16, 32, 8, 64, 8192, 128_256),
        _llm("meta-llama/Llama-3.2-3B", 3072, 28, 24, 8, 128, 8192, 128_256),
        _llm("HuggingFaceTB/SmolLM2-135M", 576, 30, 9, 3, 64, 1536, 49_152),
    )
}
"""Published LLMs; each row's `source` is the config it repeats."""
