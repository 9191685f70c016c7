"""Models by name: a shipped row, a mini of the project, or any Hugging Face directory or config.json.

Weights are only looked for on this machine, never fetched: a model without them can be planned and priced, not run.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from scaling.cache import file_digest
from scaling.dims import ENCODERS, LLMS, WHISPER_HOP_LENGTH, EncoderDims, LlmDims
from scaling.errors import InputError, nearest
from scaling.spec import digest

MINIS = Path(__file__).parent / "minis"
"""The small base models of the project: `encoders/NAME` and `llms/NAME`, ordinary Hugging Face directories."""

IDENTITY_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
)
"""What, beside the weights, changes the outcome of a run: shapes, start and end tokens, features, text tokens."""

WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")


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
    if Path(name_or_path).name == name_or_path and (minis / name_or_path / "config.json").is_file():
        return _found(
            replace(read(minis / name_or_path / "config.json"), name=name_or_path), minis / name_or_path, None
        )
    path = base / Path(name_or_path).expanduser()
    config_file = path if path.is_file() else path / "config.json"
    if config_file.is_file():
        return _found(read(config_file), config_file.parent, None)
    if path.is_dir():
        raise InputError(f"{kind} {name_or_path!r}: the directory {path} holds no config.json")
    snapshot = _hub_snapshot(name_or_path) if _is_hub_id(name_or_path) else None
    if snapshot is not None:
        return _found(replace(read(snapshot / "config.json"), name=short), snapshot, name_or_path)
    valid = [*rows, *sorted(directory.name for directory in minis.glob("*") if directory.is_dir())]
    fetch = f" (`hf download {name_or_path}` gets a hub model)" if _is_hub_id(name_or_path) else ""
    raise InputError(
        f"{kind} {name_or_path!r} is no shipped row, no file or directory from {base.resolve()},"
        f" and no model in the local Hugging Face cache{fetch}{nearest(short, valid)}"
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
    record = directory / "making.json"  # written beside the project's own minis
    flops = _Config(record).values.get("flops") if record.is_file() else None
    return float(flops) if isinstance(flops, int | float) else None


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


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
