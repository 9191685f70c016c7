"""A recommendation as the next study: a file that `run` takes, so that analysis never calls sweeps."""

from pathlib import Path
from typing import Any

from analysis.recommending.recommendation import Recommendation
from scaling.errors import InputError
from scaling.system.atomic_files import write_text_atomically
from scaling.system.yaml_file import read_yaml, to_yaml


def write_next_study(folder: Path, recommendation: Recommendation, out: Path) -> None:
    """Write a study with the recommended budget, strategy and pair of models at `out`; all else is as in the old study.

    `folder`/study.yaml is the study that was run, with absolute paths. Raises InputError where it is missing, or where
    nothing is recommended.
    """
    source = folder / "study.yaml"
    if not source.is_file():
        raise InputError(f"{source}: no such file; a next study is written from the folder of a study that was run")
    if recommendation.prediction is None or recommendation.flops is None:
        raise InputError(f"{folder}: nothing is recommended ({recommendation.status}), so there is no next study")
    curve = recommendation.prediction.curve
    study: dict[str, Any] = read_yaml(source).value
    study |= {
        "name": f"{study['name']}-next",
        "budgets_flops": [float(recommendation.flops)],
        "strategies": [entry for entry in study["strategies"] if _name(entry) == curve.strategy],
        "models": [
            entry
            for entry in study["models"]
            if (Path(entry["encoder"]).name, Path(entry["llm"]).name)
            == (Path(str(curve.encoder)).name, Path(str(curve.llm)).name)
        ],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out, to_yaml(study))


def _name(strategy: Any) -> str:
    return str(strategy) if isinstance(strategy, str) else str(strategy.get("name") or strategy["preset"])
