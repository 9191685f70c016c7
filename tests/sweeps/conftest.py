import json
from pathlib import Path
from typing import Any

import pytest
from small_study import ENCODER, LLM, StudyWriter, study_fields, write_manifest, write_model


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train, dev and test manifests, and the models `encoder`, `llm` and `wide-llm`."""
    folder = tmp_path_factory.mktemp("surroundings")
    for seed, (name, utterances) in enumerate({"train": 80, "dev": 6, "test": 8}.items()):
        write_manifest(folder, name, utterances, seed)
    write_model(folder / "encoder", ENCODER)
    write_model(folder / "llm", LLM)
    write_model(folder / "wide-llm", {**LLM, "hidden_size": 64, "intermediate_size": 192})
    return folder


@pytest.fixture
def write_study(surroundings: Path, tmp_path: Path) -> StudyWriter:
    """Writes a study file beside the manifests' folder; its fields replace those of a small valid study."""

    def write(**fields: Any) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(json.dumps({**study_fields(surroundings), **fields}, indent=1))
        return path

    return write
