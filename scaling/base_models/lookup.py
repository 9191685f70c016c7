"""Base models by name: a shipped row of dimensions, a mini of the project, a Hugging Face directory or a config.json.

Weights are looked for on this machine only and are never downloaded. A model without weights can be planned and priced,
but not trained.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders import ENCODERS, EncoderDims, encoder_dims
from scaling.base_models.llms import LLMS, LlmDims, llm_dims
from scaling.base_models.tokenizers import find_tokenizer
from scaling.errors import InputError, nearest
from scaling.keys import digest
from scaling.system.cache import file_digest

MINIS = Path(__file__).parents[1] / "minis"
"""The small base models of the project: `encoders/NAME` and `llms/NAME`, ordinary Hugging Face directories."""

IDENTITY_FILES = ("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json")
"""Files that change the outcome of a run, beside weights and tokenizer: dimensions, start and end tokens, features."""

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""`OWNER/NAME`, as in `Qwen/Qwen2.5-0.5B`."""

HUB_REVISION = re.compile(r"(?P<name>(\w[\w.-]*/)?\w[\w.-]*)@(?P<revision>\w[\w.-]*)")
"""A shipped row or a hub id at a branch, tag or commit: `Qwen/Qwen2.5-0.5B@060db64`."""

TUNED_RELEASES = ("-Instruct", "-Chat", "-it", "-Base")
"""Endings of releases that have the dimensions of the row before them."""

TUNED_CONTEXT = 32_768
"""The most positions that a release is given whose config.json is not here: rows may have more than the releases beside
them (Qwen2.5-1.5B and Qwen3-0.6B 131,072 and 40,960; Qwen2.5-1.5B-Instruct and Qwen3-0.6B-Base 32,768)."""

WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")
"""Patterns of weight files. The first pattern that matches a file is used: what is loaded is what is digested."""

Dims = TypeVar("Dims", EncoderDims, LlmDims)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel(Generic[Dims]):
    """A base model, and where its weights lie.

    `directory` is None where this machine has no weights. `digest` covers config, tokenizer and weights; without
    weights it covers the dimensions alone. `pretrain_flops` are the FLOPs that pretraining took, where recorded.
    """

    name: str
    dims: Dims
    directory: Path | None
    hub_id: str | None
    digest: str
    pretrain_flops: float | None


def find_encoder(name_or_path: str, base: Path = Path()) -> ResolvedModel[EncoderDims]:
    """The encoder of that name: a shipped row, a mini, a hub id, a directory or a config.json.

    A row or a hub id may be pinned: `name@revision`. Case does not matter where nothing has the name as written, and a
    release such as `Qwen/Qwen2.5-0.5B-Instruct` has the dimensions of its row. Relative paths start at `base`. Raises
    InputError where the name leads to no model (with the nearest name), or where the config is of no family of
    `scaling.base_models.encoders`.
    """
    return _find(name_or_path, base, "encoder", ENCODERS, MINIS / "encoders", encoder_dims)


def find_llm(name_or_path: str, base: Path = Path()) -> ResolvedModel[LlmDims]:
    """The LLM of that name; as `find_encoder`."""
    return _find(name_or_path, base, "LLM", LLMS, MINIS / "llms", llm_dims)


def _find(
    name_or_path: str, base: Path, kind: str, rows: Mapping[str, Dims], minis: Path, read_dims: Callable[[Path], Dims]
) -> ResolvedModel[Dims]:
    path = base / Path(name_or_path).expanduser()
    if (pinned := HUB_REVISION.fullmatch(name_or_path)) and not path.exists():
        return _find_revision(kind, pinned["name"], pinned["revision"], rows, read_dims)
    short_name = _short_name(name_or_path)
    row = rows.get(short_name)
    if row is not None and name_or_path in (row.name, _hub_id(row)):
        return _resolved(row, _hub_snapshot(_hub_id(row)), _hub_id(row))
    mini = minis / name_or_path
    if Path(name_or_path).name == name_or_path and (mini / "config.json").is_file():
        return _resolved(replace(read_dims(mini / "config.json"), name=name_or_path), mini, None)
    config_file = path if path.is_file() else path / "config.json"
    if config_file.is_file():
        return _resolved(read_dims(config_file), config_file.parent, None)
    if path.is_dir():
        raise InputError(f"{kind} {name_or_path!r}: the directory {path} holds no config.json")
    snapshot = _hub_snapshot(name_or_path)
    if snapshot is not None:
        return _resolved(replace(read_dims(snapshot / "config.json"), name=short_name), snapshot, name_or_path)
    names = [*(_hub_id(row) for row in rows.values()), *(folder.name for folder in minis.glob("*") if folder.is_dir())]
    if (meant := meant_name(name_or_path, names)) is not None:
        return _find(meant, base, kind, rows, minis, read_dims)
    if (tuned := _tuned_release(name_or_path, rows)) is not None:
        return tuned
    valid = [*rows, *sorted(directory.name for directory in minis.glob("*") if directory.is_dir())]
    fetch = f" (`hf download {name_or_path}` gets a hub model)" if HUB_ID.fullmatch(name_or_path) else ""
    raise InputError(
        f"{kind} {name_or_path!r} is no shipped row, no file or directory from {base.resolve()},"
        f" and no model in the local Hugging Face cache{fetch}{nearest(short_name, valid)}"
    )


def _tuned_release(name: str, rows: Mapping[str, Dims]) -> ResolvedModel[Dims] | None:
    """A row's own release for chats or instructions, which has its dimensions, other weights, and a name of its own."""
    for ending in TUNED_RELEASES:
        if not _spelt(name).endswith(_spelt(ending)):
            continue
        hub_ids = [_hub_id(row) for row in rows.values()]
        if (base_id := meant_name(name[: -len(ending)], hub_ids)) is not None:
            row = rows[_short_name(base_id)]
            dims = replace(row, name=row.name + ending)
            if isinstance(dims, LlmDims):
                dims = replace(dims, context=min(dims.context, TUNED_CONTEXT))
            release = _resolved(dims, _hub_snapshot(base_id + ending), base_id + ending)
            return release if release.directory else replace(release, digest=digest([release.digest, ending]))
    return None


def meant_name(name: str, names: Iterable[str]) -> str | None:
    """The entry of `names` that `name` means: case does not matter, nor _ or a blank in the place of -, and an owner
    may be left out. None where there is none.

    >>> meant_name("Whisper_Small", ["openai/whisper-small"]), meant_name("whisper-smal", ["openai/whisper-small"])
    ('openai/whisper-small', None)
    """
    for known in names:
        if _spelt(name) in (_spelt(known), _spelt(_short_name(known))):
            return known
    return None


def _spelt(name: str) -> str:
    return re.sub("[_ ]", "-", name.strip().lower())


def _find_revision(
    kind: str, name: str, revision: str, rows: Mapping[str, Dims], read_dims: Callable[[Path], Dims]
) -> ResolvedModel[Dims]:
    """A revision stands for its files: without them in the local cache there is nothing to price."""
    hub_id = _hub_id(rows[name]) if name in rows else name
    snapshot = _hub_snapshot(hub_id, revision)
    if snapshot is None:
        raise InputError(
            f"{kind} '{name}@{revision}': no such revision in the local Hugging Face cache"
            f" (`hf download {hub_id} --revision {revision}` gets it)"
        )
    dims = replace(read_dims(snapshot / "config.json"), name=f"{_short_name(name)}@{revision}")
    return _resolved(dims, snapshot, f"{hub_id}@{revision}")


def _resolved(dims: Dims, directory: Path | None, hub_id: str | None) -> ResolvedModel[Dims]:
    weights = _weights(directory) if directory is not None else []
    return ResolvedModel(
        name=dims.name,
        dims=dims,
        directory=directory.resolve() if directory is not None and weights else None,
        hub_id=hub_id,
        digest=_content_digest(directory, weights) if directory is not None and weights else digest(dims),
        pretrain_flops=_pretrain_flops(directory) if directory is not None else None,
    )


def _weights(directory: Path) -> list[Path]:
    matches = (sorted(directory.glob(pattern)) for pattern in WEIGHT_FILES)
    return next(filter(None, matches), [])


def _content_digest(directory: Path, weights: Iterable[Path]) -> str:
    identity = [directory / name for name in IDENTITY_FILES if (directory / name).is_file()]
    tokenizer = find_tokenizer(directory)
    files = [*identity, *weights] if tokenizer is None else [*identity, tokenizer, *weights]
    return digest({path.name: file_digest(path) for path in files})


def _pretrain_flops(directory: Path) -> float | None:
    record = directory / "making.json"  # written beside the minis of the project
    flops = ConfigFile(record).values.get("flops") if record.is_file() else None
    return float(flops) if isinstance(flops, int | float) else None


def _hub_id(row: EncoderDims | LlmDims) -> str:
    return row.source.removeprefix("https://huggingface.co/").split("/blob/")[0]


def _short_name(name: str) -> str:
    """A hub id without its owner."""
    return name.rsplit("/", 1)[-1] if name.count("/") == 1 else name


def _hub_snapshot(hub_id: str, revision: str = "main") -> Path | None:
    """The folder of a hub model in the local Hugging Face cache at a branch, tag or commit, if it has a config.json."""
    from huggingface_hub import constants  # the cache is looked at where a name may be a hub model, and nowhere else

    if not HUB_ID.fullmatch(hub_id) or not Path(constants.HF_HUB_CACHE).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache  # .15 s, for its web client: only where there is a cache
    from huggingface_hub.errors import HFValidationError

    try:
        config_file = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    except HFValidationError:  # a name that no model on the hub can have
        return None
    return Path(config_file).parent if isinstance(config_file, str) else None
