"""Encoders and LLMs as rows of dimensions: enough to count their parameters and price their steps, without weights.

A row is shipped here with its source, or read from the `config.json` of a Hugging Face directory. Weights are only
looked for on this machine: a row without them can be planned and priced, not run.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from scaling.cache import file_digest
from scaling.errors import InputError, nearest
from scaling.spec import digest

MINIS = Path(__file__).parent / "minis"
"""The small base models of the project: `encoders/NAME` and `llms/NAME`, ordinary Hugging Face directories."""

WHISPER_HOP_LENGTH = 160
"""Samples between two mel frames of every published Whisper (10 ms at 16 kHz; their preprocessor_config.json)."""

IDENTITY_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
)
"""What, beside the weights, changes the outcome of a run: shapes, start and end tokens, features, text tokens."""

WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")


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


Dims = TypeVar("Dims", EncoderDims, LlmDims)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel(Generic[Dims]):
    """A model by name, and where its weights lie.

    `directory` is None where this machine has no weights. `digest` covers config, tokenizer and weights, or the
    dimensions alone where there are no weights. `pretrain_flops` is what making the base cost, where recorded.
    """

    name: str
    dims: Dims
    directory: Path | None
    hub_id: str | None
    digest: str
    pretrain_flops: float | None


def find_encoder(name_or_path: str, base: Path = Path()) -> FoundModel[EncoderDims]:
    """The encoder-decoder of that name: a shipped row, a mini, a hub id, a directory or a config.json.

    Relative paths start at `base`. Raises InputError where nothing is found (naming the nearest name), or where a
    config is not one of a Whisper-type model.
    """
    return _find(name_or_path, base, "encoder", ENCODERS, MINIS / "encoders", encoder_dims)


def find_llm(name_or_path: str, base: Path = Path()) -> FoundModel[LlmDims]:
    """The LLM of that name; as `find_encoder`."""
    return _find(name_or_path, base, "LLM", LLMS, MINIS / "llms", llm_dims)


def encoder_dims(config_file: Path) -> EncoderDims:
    """Dimensions from the config.json of a Whisper-type model, hop length from the feature extractor's beside it."""
    config = _Config(config_file)
    config.must_be(("whisper",), "an encoder must be a Whisper-type encoder-decoder")
    return EncoderDims(
        name=config_file.parent.name,
        source=str(config_file),
        mel_bins=config.integer("num_mel_bins"),
        hop_length=_hop_length(config_file.parent),
        width=config.integer("d_model"),
        layers=config.integer("encoder_layers"),
        heads=config.integer("encoder_attention_heads"),
        ffn=config.integer("encoder_ffn_dim"),
        decoder_layers=config.integer("decoder_layers"),
        decoder_heads=config.integer("decoder_attention_heads"),
        decoder_ffn=config.integer("decoder_ffn_dim"),
        vocabulary=config.integer("vocab_size"),
        max_positions=config.integer("max_source_positions"),
        max_decoder_positions=config.integer("max_target_positions"),
    )


def llm_dims(config_file: Path) -> LlmDims:
    """Dimensions from the config.json of a Qwen2, Qwen3, Llama or Mistral model (the same matrix products)."""
    config = _Config(config_file)
    config.must_be(("qwen2", "qwen3", "llama", "mistral"), "its matrix products are not known here")
    kind = config.values["model_type"]
    width, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    own_bias = bool(config.values.get("attention_bias", False))
    return LlmDims(
        name=config_file.parent.name,
        source=str(config_file),
        width=width,
        layers=config.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", default=heads),
        head_dim=config.integer("head_dim", default=128 if kind == "qwen3" else width // heads),
        ffn=config.integer("intermediate_size"),
        vocabulary=config.integer("vocab_size"),
        tied=bool(config.values.get("tie_word_embeddings", False)),
        qk_norm=kind == "qwen3",
        qkv_bias=kind == "qwen2" or (kind in ("llama", "qwen3") and own_bias),
        output_bias=kind in ("llama", "qwen3") and own_bias,
        mlp_bias=kind == "llama" and bool(config.values.get("mlp_bias", False)),
    )


def _find(
    name_or_path: str,
    base: Path,
    kind: str,
    rows: Mapping[str, Dims],
    minis: Path,
    read: Callable[[Path], Dims],
) -> FoundModel[Dims]:
    short = name_or_path.rsplit("/", 1)[-1] if name_or_path.count("/") == 1 else name_or_path
    row = rows.get(short)
    if row is not None and name_or_path in (row.name, _hub_id(row)):
        snapshot = _hub_snapshot(_hub_id(row))
        return _found(row, snapshot, _hub_id(row))
    if (minis / name_or_path / "config.json").is_file():
        return _found(
            replace(read(minis / name_or_path / "config.json"), name=name_or_path), minis / name_or_path, None
        )
    path = base / Path(name_or_path).expanduser()
    config_file = path if path.is_file() else path / "config.json"
    if config_file.is_file():
        return _found(read(config_file), config_file.parent, None)
    if path.is_dir():
        raise InputError(f"{kind} {name_or_path!r}: the directory {path} holds no config.json")
    snapshot = _hub_snapshot(name_or_path) if name_or_path.count("/") == 1 else None
    if snapshot is not None:
        return _found(replace(read(snapshot / "config.json"), name=short), snapshot, name_or_path)
    valid = [*rows, *sorted(directory.name for directory in minis.glob("*") if directory.is_dir())]
    raise InputError(
        f"{kind} {name_or_path!r} is no shipped row, no file or directory from {base.resolve()},"
        f" and no model in the local Hugging Face cache{nearest(short, valid)}"
    )


def _found(dims: Dims, directory: Path | None, hub_id: str | None) -> FoundModel[Dims]:
    weights = _weights(directory) if directory is not None else []
    described = asdict(dims)
    del described["name"], described["source"]
    return FoundModel(
        name=dims.name,
        dims=dims,
        directory=directory.resolve() if directory is not None and weights else None,
        hub_id=hub_id,
        digest=_content_digest(directory, weights) if directory is not None and weights else digest(described),
        pretrain_flops=_pretrain_flops(directory) if directory is not None else None,
    )


def _weights(directory: Path) -> list[Path]:
    for pattern in WEIGHT_FILES:  # safetensors win: what is loaded is what is digested
        if files := sorted(directory.glob(pattern)):
            return files
    return []


def _content_digest(directory: Path, weights: Iterable[Path]) -> str:
    identity = [directory / name for name in IDENTITY_FILES if (directory / name).is_file()]
    return digest({path.name: file_digest(path) for path in (*identity, *weights)})


def _pretrain_flops(directory: Path) -> float | None:
    record = directory / "making.json"
    return float(json.loads(record.read_text())["flops"]) if record.is_file() else None


def _hub_id(row: EncoderDims | LlmDims) -> str:
    return row.source.removeprefix("https://huggingface.co/").split("/blob/")[0]


def _hub_snapshot(hub_id: str) -> Path | None:
    """The directory of `hub_id` in the local Hugging Face cache (its main revision), if it holds a config.json."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    folder = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{hub_id.replace('/', '--')}"
    revision = folder / "refs" / "main"
    if not revision.is_file():
        return None
    snapshot = folder / "snapshots" / revision.read_text().strip()
    return snapshot if (snapshot / "config.json").is_file() else None


def _hop_length(directory: Path) -> int:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (directory / name).is_file():
            config = _Config(directory / name)
            extractor = config.values.get("feature_extractor", config.values)
            if isinstance(extractor, dict) and "hop_length" in extractor:
                return int(extractor["hop_length"])
    return WHISPER_HOP_LENGTH


class _Config:
    """A JSON file of settings, with errors that name it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable JSON file ({error})") from error
        if not isinstance(self.values, dict):
            raise InputError(f"{path}: expected a JSON object, found {type(self.values).__name__}")

    def must_be(self, supported: tuple[str, ...], why: str) -> None:
        kind = self.values.get("model_type")
        if kind not in supported:
            raise InputError(f"{self.path}: model_type {kind!r} is not supported, {why}{nearest(kind, supported)}")

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{self.path}: {key} must be a whole number above 0, not {value!r}")
        return value


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
