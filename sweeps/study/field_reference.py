"""The reference of a study's fields, made from the docstrings of `schema/`: a JSON schema for editors, and a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from scaling.strategies.presets import PRESETS
from sweeps.study.schema.data_fields import AugmentationFields, CorpusFields, LengthFields, ManifestFields
from sweeps.study.schema.model_fields import LoraFields, ModelFields, TunedFields
from sweeps.study.schema.strategy_fields import PresetFields, StageFields, StagesFields
from sweeps.study.schema.study_fields import StudyFields
from sweeps.study.schema.worker_fields import CacheFields, RayFields, SlurmFields

SECTIONS: Mapping[str, type[BaseModel]] = {
    "A study": StudyFields,
    "`models`": ModelFields,
    "`models.llm_lora`, `models.encoder_lora`": LoraFields,
    "`models.tuned`": TunedFields,
    "`strategies`: a preset, changed": PresetFields,
    "`strategies`: written out": StagesFields,
    "`strategies.stages`": StageFields,
    "`data`: corpora of your own": ManifestFields,
    "`data`: a corpus that is made": CorpusFields,
    "`data.train.assumed`, of dev and test too": LengthFields,
    "`augmentation`": AugmentationFields,
    "`kept`": CacheFields,
    "`slurm`": SlurmFields,
    "`ray`": RayFields,
}
"""The parts of the page, in its order."""

HEAD = """\
# Fields of a study

A study is a YAML file. This page is made from the program by `asr-scaling schema --markdown`; for completion and checks
while you type, `asr-scaling schema > study.schema.json` and, at the top of the study, in editors with the YAML language
server:

```yaml
# yaml-language-server: $schema=study.schema.json
```

`--set KEY=VALUE` replaces any field for one command: `--set models.0.lr_scale=0.5`. Paths start at the folder of the
study, those of `--set` at the current folder. YAML's anchors and merge keys (`<<`) may be used.
"""

STRATEGIES = """\
## Strategies as stages

A preset is a list of stages. Written out, with default rates, the presets are:

```yaml
strategies:
{presets}
```

Rates may be given in place of the list of parts (`trains: {{projector: 1e-3, llm_lora: 5e-4}}`), and FLOPs in place of
a share (`flops: 1e17`), which budgets then share: such a stage is trained once.
"""


def json_schema() -> dict[str, object]:
    """The JSON schema of a study file (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **StudyFields.model_json_schema(),
        "title": "A study of asr-scaling",
    }


def reference_page() -> str:
    """The reference as a Markdown page."""
    definitions = StudyFields.model_json_schema()
    parts = [HEAD]
    for title, fields in SECTIONS.items():
        described = definitions if fields is StudyFields else definitions["$defs"][fields.__name__]
        parts.append("\n".join(_section(title, fields, described)) + "\n")
        if fields is StageFields:
            parts.append(STRATEGIES.format(presets="\n".join(_preset_lines())))
    return "\n".join(parts)


def _section(title: str, fields: type[BaseModel], described: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield " ".join((fields.__doc__ or "").split())
    yield ""
    yield "| field | value | default | meaning |"
    yield "|---|---|---|---|"
    required = described.get("required", ())
    for name, field in described["properties"].items():
        default = "required" if name in required else _default(field.get("default"))
        yield f"| `{name}` | {_kind(field)} | {default} | {' '.join(field['description'].split())} |"


def _kind(field: Mapping[str, Any]) -> str:
    """What a field holds, in words."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return _named(field["$ref"])
    if options := field.get("anyOf", field.get("oneOf")):
        return " or ".join(dict.fromkeys(_kind(option) for option in options if option.get("type") != "null"))
    if field.get("type") == "array":
        inside = field.get("items", {}) if "prefixItems" not in field else field["prefixItems"][0]
        return f"list: {_kind(inside)}"
    if field.get("type") == "object":
        inside = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), {})
        return f"by name: {_kind(inside)}" if inside else "fields"
    words = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}
    return words.get(str(field.get("type")), "value") + _bounds(field)


def _bounds(field: Mapping[str, Any]) -> str:
    ends = {"minimum": "from", "exclusiveMinimum": "above", "exclusiveMaximum": "below", "maximum": "to"}
    return "".join(f" {word} {field[bound]:g}" for bound, word in ends.items() if bound in field)


def _named(reference: str) -> str:
    """A class of fields by the title of its section; an enumeration by its values."""
    name = reference.rpartition("/")[2]
    section = next((title for title, fields in SECTIONS.items() if fields.__name__ == name), None)
    if section is not None:
        return f"see {section}"
    values = StudyFields.model_json_schema()["$defs"][name].get("enum", ())
    return ", ".join(f"`{value}`" for value in values) or "`{assumed: ...}`"


def _default(value: Any) -> str:
    if value is None:
        return "-"
    return "off" if value in ({}, []) else "as there" if isinstance(value, dict) else f"`{str(value).lower()}`"


def _preset_lines() -> Iterator[str]:
    """Every preset as a study would write it out."""
    for preset in PRESETS.values():
        yield f"  - name: {preset.name}"
        yield "    stages:"
        for stage in preset.stages:
            what = f"objective: {stage.objective}, trains: [{', '.join(stage.parts)}]"
            yield f"      - {{name: {stage.name}, {what}, share: {stage.share}}}"
