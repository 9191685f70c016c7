"""A study file is found, read, overridden and validated here; errors name file, line and field."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from scaling.errors import InputError, nearest, nearest_file
from scaling.system.yaml_file import FieldPath, parse_yaml, read_yaml, to_yaml
from sweeps.study.schema.data_fields import CorpusFields, ManifestFields
from sweeps.study.schema.field_types import NAME
from sweeps.study.schema.model_fields import LoraFields, ModelFields
from sweeps.study.schema.strategy_fields import PresetFields, StageFields
from sweeps.study.schema.study_fields import StudyFields
from sweeps.study.schema.worker_fields import CacheFields, RayFields, SlurmFields

SHIPPED = Path(__file__).parents[1] / "studies"
FIELDS_INSIDE: dict[str | int, tuple[type[BaseModel], ...]] = {
    "models": (ModelFields,),
    "strategies": (PresetFields,),
    "stages": (StageFields,),
    "data": (ManifestFields, CorpusFields),
    "llm_lora": (LoraFields,),
    "encoder_lora": (LoraFields,),
    "kept": (CacheFields,),
    "slurm": (SlurmFields,),
    "ray": (RayFields,),
}
"""The classes of the fields inside a field, so that an error can name the nearest valid field."""


@dataclass(frozen=True, slots=True)
class StudyFile:
    """The fields of a study; `base` is where its relative paths start."""

    source: str
    base: Path
    fields: StudyFields
    lines: Callable[[FieldPath], int | None]

    def replaced(self, **fields: object) -> "StudyFile":
        """The study with other values of these fields, which are as if they had been given."""
        return dataclasses.replace(self, fields=self.fields.model_copy(update=fields))

    def error(self, path: FieldPath, value: object, expected: str) -> InputError:
        """An error about the field at `path`: where it stands, its value, and what was expected."""
        return InputError(f"{self.place(path)}: {value!r}; expected {expected}")

    def place(self, path: FieldPath) -> str:
        """File, line where known, and the field's path."""
        return _place(self.source, path, self.lines)

    @contextmanager
    def at(self, path: FieldPath) -> Iterator[None]:
        """Names the field at `path` in every InputError (or ValueError) that is raised inside."""
        try:
            yield
        except ValueError as error:
            raise InputError(f"{self.place(path)}: {error}") from error


def read_study_file(argument: str, overrides: Sequence[str]) -> StudyFile:
    """The study in the file `argument`, or shipped under that name, after `key=value` overrides.

    Relative paths in a file start at its folder; those of a shipped study and of overrides at the current folder.
    """
    path, base = _find(argument)
    document = read_yaml(path)
    value, overridden = document.value, set[FieldPath]()
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a mapping of fields such as `name: ...`, found {type(value).__name__}")
    for text in overrides:
        overridden.add(_override(value, text))

    def line(field: FieldPath) -> int | None:
        given = any(field[: len(changed)] == changed for changed in overridden)
        return None if given else document.line(field)

    return StudyFile(source=str(path), base=base, fields=_validated(value, str(path), line), lines=line)


def corpus_path(file: StudyFile, source: str) -> Path:
    """Where the corpus lies that a field of the study's `data` names."""
    data = file.fields.data
    root = data.root if isinstance(data, ManifestFields) and data.root else ""
    return file.base / Path(root).expanduser() / Path(source).expanduser()


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def portable_text(file: StudyFile) -> str:
    """The study as YAML, overrides applied and paths absolute: it means the same in any folder."""

    def absolute(text: str) -> str:
        return str((file.base / Path(text).expanduser()).absolute())

    def placed(model: str) -> str:
        return absolute(model) if Path(absolute(model)).exists() else model

    def spoken(corpus: Any) -> Any:
        assumed_or_below_root = not isinstance(corpus, str) or "root" in data
        return corpus if assumed_or_below_root else absolute(corpus)

    fields = file.fields.model_dump(mode="json", exclude_unset=True, warnings=False)  # tagged unions warn for nothing
    for model in fields["models"]:
        model |= {"encoder": placed(model["encoder"]), "llm": placed(model["llm"])}
    if "corpus" not in fields["data"]:
        data = fields["data"]
        data |= {"train": spoken(data["train"]), "dev": spoken(data["dev"])}
        data["test"] = {name: spoken(path) for name, path in data["test"].items()}
        data |= {"root": absolute(data["root"])} if "root" in data else {}
    return to_yaml(fields)


def _find(argument: str) -> tuple[Path, Path]:
    path = Path(argument)
    if path.suffix in (".yaml", ".yml") and not path.exists():
        raise InputError(f"{path}: no such file{nearest_file(path)}")
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path, path.parent
    if argument in shipped_studies():
        return SHIPPED / f"{argument}.yaml", Path()
    raise InputError(f"study {argument!r} is neither a YAML file nor shipped{nearest(argument, shipped_studies())}")


def _override(value: Any, text: str) -> FieldPath:
    """Set one field in place; missing mappings on the way are made."""
    name, equals, written = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {text!r}; expected KEY=VALUE, for example --set budgets_flops=[1e11,1e12]")
    parts = name.split(".")
    path: FieldPath = ()
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        key = _step(value, part, text, path)
        path = (*path, key)
        if following is None:
            value[key] = _from_here(path, parse_yaml(written, f"--set {text}").value)
        elif isinstance(value, dict) and value.get(key) is None:
            value[key] = {}
        value = value[key]
    return path


def _step(value: Any, part: str, text: str, path: FieldPath) -> str | int:
    where = ".".join(map(str, path)) or "the study"
    if isinstance(value, dict):
        return part
    if not isinstance(value, list):
        raise InputError(f"--set {text!r}: {where} is {value!r}, which has no field {part!r}")
    if not part.isdigit() or int(part) >= len(value):
        raise InputError(f"--set {text!r}: {where} has {len(value)} entries; expected a position from 0, not {part!r}")
    return int(part)


def _from_here(path: FieldPath, value: Any) -> Any:
    """Paths given on the command line start at the current folder, as in any other command."""
    if isinstance(value, dict):
        return {key: _from_here((*path, key), entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_from_here((*path, position), entry) for position, entry in enumerate(value)]
    manifest = path[0] == "data" and path[1:2] in (("root",), ("train",), ("dev",), ("test",))
    model = path[0] == "models" and path[-1] in ("encoder", "llm")
    if isinstance(value, str) and (manifest or (model and Path(value).exists())):
        return str(Path(value).expanduser().absolute())
    return value


def _validated(value: dict[str, Any], source: str, lines: Callable[[FieldPath], int | None]) -> StudyFields:
    try:
        return StudyFields.model_validate(value)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        first = min(errors, key=lambda error: error["type"] != "extra_forbidden")  # a misspelt name explains the rest
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        named = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()  # as it stands in the file
        around = first["loc"][: -len(named) or None]
        path = tuple(part for part in around if not str(part).startswith(("<", "["))) + named  # tags of forms, "[key]"
        raise InputError(f"{_place(source, path, lines)}: {_explain(first, path)}{more}") from None


def _explain(error: Any, path: FieldPath) -> str:
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown field{nearest(path[-1], _names_around(path))}"
    if kind == "missing":
        return "this field is required and missing"
    if kind in ("float_type", "int_type") and isinstance(given, str):
        return f"{given!r} is text; expected a number, written without quotes"
    if kind == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        return f"{given!r}; expected a name without blanks, slashes and control characters"
    expected = str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    if kind in ("enum", "literal_error"):
        valid = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{given!r} is not one of them{nearest(given, valid)}"
    return f"{given!r}; expected {expected}"


def _names_around(path: FieldPath) -> list[str]:
    """The fields that exist where an unknown one was found."""
    around = [part for part in path[:-1] if part in FIELDS_INSIDE]
    return (
        [name for form in FIELDS_INSIDE[around[-1]] for name in form.model_fields]
        if around
        else list(StudyFields.model_fields)
    )


def _place(source: str, path: FieldPath, lines: Callable[[FieldPath], int | None]) -> str:
    line = lines(path)
    where = f"{source}:{line}" if line else source
    return f"{where}: {'.'.join(map(str, path))}" if path else where
