"""The published answers, a planted reference study, and what is answered of it. Tests only read them."""

import json
from pathlib import Path

import pytest
from reference_study.answers import answers
from reference_study.planted_study import BUDGETS, planted, planted_row, write
from reference_study.tables import RESULTS


@pytest.fixture(scope="session")
def published() -> dict:
    return json.loads((RESULTS / "answers.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Tables of the main axis in two blocks, and none of the others."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "parts").mkdir()
    for seed in (0, 1):
        rows = [planted_row(strategy, budget, seed, planted(strategy, budget, seed))
                for strategy in ("efin", "joint", "frozen_encoder") for budget in BUDGETS]  # fmt: skip
        write(folder / "parts" / f"reference-seed{seed}.jsonl", rows)
    prices = {"reference": {"mini-s + mini-s": {"llm": 2e8, "asr": 1e8}}}
    (folder / "six_nd.json").write_text(json.dumps(prices))
    return folder


@pytest.fixture(scope="session")
def found(folder: Path) -> dict:
    return answers(folder)
