"""The reference of fields is complete, current and true: what it writes out is what a study means."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_study import StudyWriter

from scaling.strategies.presets import PRESETS
from scaling.system.yaml_file import parse_yaml
from sweeps.study.field_reference import SECTIONS, json_schema, reference_page
from sweeps.study.schema.field_types import Fields
from sweeps.study.study import load_study
from sweeps.study.study_file import shipped_studies

PAGE = Path(__file__).parents[3] / "docs" / "study-fields.md"


def test_every_field_says_what_it_means() -> None:
    silent = [
        f"{fields.__name__}.{field}"
        for fields in Fields.__subclasses__()
        for field, information in fields.model_fields.items()
        if not information.description
    ]
    assert silent == []


def test_the_page_in_docs_is_what_the_program_says() -> None:
    assert PAGE.read_text("utf-8") == reference_page(), "asr-scaling schema --markdown > docs/study-fields.md"


def test_every_field_is_on_the_page() -> None:
    described = {fields.__name__ for fields in SECTIONS.values()} | {"AssumedFields"}
    assert described == json_schema()["$defs"].keys() - {"Part", "Objective", "Precision", "Scoring"} | {"StudyFields"}
    for fields in SECTIONS.values():
        assert all(f"| `{field}` |" in PAGE.read_text("utf-8") for field in fields.model_fields)


def test_presets_written_out_as_on_the_page_are_the_presets(write_study: StudyWriter) -> None:
    (written,) = (block for block in re.findall(r"```yaml\n(.*?)```", reference_page(), re.DOTALL) if "stages" in block)
    as_stages = load_study(str(write_study(**parse_yaml(written, "page").value))).models[0].strategies
    by_name = load_study(str(write_study(strategies=list(PRESETS)))).models[0].strategies
    assert as_stages == by_name


def test_the_schema_knows_the_fields_of_every_shipped_study() -> None:
    fields = json_schema()["properties"]
    for file in shipped_studies().values():
        assert set(parse_yaml(file.read_text("utf-8"), file.name).value) <= fields.keys()


def test_the_verb_prints_the_schema(asr_scaling: Any) -> None:
    document = json.loads(asr_scaling("schema").stdout)
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document["properties"]["budgets_flops"]["description"].startswith("FLOPs charged to each run")
    assert document["additionalProperties"] is False


def test_merge_keys_of_yaml_work_in_a_study(surroundings: Path, tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        f"""
name: merged
budgets_flops: [4e9, 8e9, 1.6e10]
language: zh
models:
  - &small {{encoder: {surroundings}/encoder, llm: {surroundings}/llm, lr_scale: 0.5}}
  - {{<<: *small, llm: {surroundings}/wide-llm}}
strategies: [joint]
data:
  train: {surroundings}/train.jsonl
  dev: {surroundings}/dev.jsonl
  test: {{clean: {surroundings}/test.jsonl}}
"""
    )
    first, second = load_study(str(path)).models
    assert first.spec.encoder == second.spec.encoder
    assert first.spec.llm != second.spec.llm
    rates = [dict(model.strategies[0].stages[0].trains) for model in (first, second)]
    assert rates[0].keys() == rates[1].keys()
    from scaling.errors import InputError

    path.write_text(path.read_text().replace("lr_scale: 0.5", "lr_scal: 0.5"))
    with pytest.raises(InputError, match=r"merged.yaml:\d+: models.0.lr_scal: unknown field; did you mean 'lr_scale'"):
        load_study(str(path))
