"""A few cases of every target, so that targets and readers do not drift apart; `make fuzz` has the rest."""

import pytest
from fuzz import run_case
from targets import TARGETS, World

CASES = 6
NEEDS_TORCH = ("checkpoint", "export")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_SCALING_CACHE", "restored afterwards")
        yield World(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.filterwarnings("default")  # damaged numbers overflow; what counts is that nothing is raised
@pytest.mark.parametrize("name", [name for name in TARGETS if name != "results"])
def test_damaged_input_is_answered_or_refused_in_one_line(world: World, name: str) -> None:
    if name in NEEDS_TORCH:
        pytest.importorskip("torch")
    TARGETS[name].begin(world)
    assert [failure for case in range(CASES) if (failure := run_case(TARGETS[name], world, case))] == []
