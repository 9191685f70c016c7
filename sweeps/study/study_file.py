"""A study file is found and read here; what `--set` says replaces its fields before they are checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scaling.errors import InputError, nearest, nearest_file
from scaling.speech.spoken_language import check_code, spoken_language
from scaling.speech.synthetic.recipes import RECIPES
from scaling.system.yaml_fields import checked_fields
from scaling.system.yaml_file import YamlDocument, parse_yaml, read_yaml
from sweeps.study.schema.data_fields import AssumedFields, CorpusFields, ManifestFields
from sweeps.study.schema.study_fields import StudyFields

SHIPPED = Path(__file__).parents[1] / "studies"


@dataclass(frozen=True)
class StudyFile:
    """The fields of a study, and the document that says where each stands; `base` is where its relative paths start."""

    base: Path
    document: YamlDocument
    fields: StudyFields

    @cached_property
    def language(self) -> str:
        """The language of the study: as its file says, else as its training data says; there is no default.

        Raises InputError where neither names one, and for what is no code of a language.
        """
        if self.fields.language is not None:
            check_code(self.fields.language, str(self.document.source))
            return self.fields.language
        language = self._language_of_data()
        if language is None:
            raise InputError(
                f"{self.document.source}: language is missing, and the training data does not name one; expected"
                " Whisper's code of the language that is spoken, such as language: zh, or --set language=en"
            )
        return language

    def _language_of_data(self) -> str | None:
        data = self.fields.data
        if isinstance(data, CorpusFields):
            return RECIPES[data.corpus].language if data.corpus in RECIPES else None
        if isinstance(data.train, AssumedFields):
            return None
        path = self.corpus_path(data.train)
        with self.document.at(("data", "train")):
            return spoken_language(path)

    def corpus_path(self, source: str) -> Path:
        """Where the corpus lies that a field of the study's `data` names."""
        data = self.fields.data
        root = data.root if isinstance(data, ManifestFields) and data.root else ""
        return self.base / Path(root).expanduser() / Path(source).expanduser()


def read_study_file(argument: str, overrides: Sequence[str]) -> StudyFile:
    """The study in the file `argument`, or shipped under that name, after `key=value` overrides.

    Relative paths in a file start at its folder; those of a shipped study and of overrides at the current folder.
    """
    path, base = _find(argument)
    document = read_yaml(path)
    for text in overrides:
        names, value = _parse_override(text)
        document.replace(names, value, context=f"--set {text!r}")
    return StudyFile(base=base, document=document, fields=checked_fields(StudyFields, document))


def shipped_studies() -> dict[str, Path]:
    """The files of the studies that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.rglob("*.yaml"), key=lambda path: path.stem)}


def portable_fields(file: StudyFile) -> dict[str, Any]:
    """The fields as plain data that mean the same in any folder: overridden, the language named, paths absolute."""

    def absolute(text: str) -> str:
        return str((file.base / Path(text).expanduser()).absolute())

    def placed(model: str) -> str:
        return absolute(model) if Path(absolute(model)).exists() else model

    def spoken(corpus: Any) -> Any:
        assumed_or_below_root = not isinstance(corpus, str) or "root" in data
        return corpus if assumed_or_below_root else absolute(corpus)

    named = file.fields.model_copy(update={"language": file.language})
    fields = named.model_dump(mode="json", exclude_unset=True, warnings=False)  # tagged unions warn for nothing
    for model in fields["models"]:
        model |= {"encoder": placed(model["encoder"]), "llm": placed(model["llm"])}
    if "corpus" not in fields["data"]:
        data = fields["data"]
        data |= {"train": spoken(data["train"]), "dev": spoken(data["dev"])}
        data["test"] = {name: spoken(path) for name, path in data["test"].items()}
        data |= {"root": absolute(data["root"])} if "root" in data else {}
    return fields


def _find(argument: str) -> tuple[Path, Path]:
    path = Path(argument)
    if path.suffix in (".yaml", ".yml") and not path.exists():
        raise InputError(f"{path}: no such file{nearest_file(path)}")
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path, path.parent
    shipped = shipped_studies()
    if argument in shipped:
        return shipped[argument], Path()
    raise InputError(f"study {argument!r} is neither a YAML file nor shipped{nearest(argument, shipped)}")


def _parse_override(text: str) -> tuple[list[str], Any]:
    """The names that lead to the field, and its value."""
    name, equals, written = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {text!r}; expected KEY=VALUE, for example --set budgets_flops=[1e11,1e12]")
    names = name.split(".")
    return names, _from_here(names, parse_yaml(written, f"--set {text}").value)


def _from_here(names: Sequence[str], value: Any) -> Any:
    """Paths given on the command line start at the current folder, as in any other command."""
    if isinstance(value, dict):
        return {key: _from_here((*names, key), entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_from_here((*names, str(position)), entry) for position, entry in enumerate(value)]
    manifest = names[0] == "data" and tuple(names[1:2]) in (("root",), ("train",), ("dev",), ("test",))
    model = names[0] == "models" and names[-1] in ("encoder", "llm")
    if isinstance(value, str) and (manifest or (model and Path(value).exists())):
        return str(Path(value).expanduser().absolute())
    return value
