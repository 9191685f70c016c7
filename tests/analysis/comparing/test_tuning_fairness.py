"""A comparison of strategies that were not tuned alike says so."""

import csv

import pytest

from analysis.comparing.compare import compare_all
from analysis.curves.curve_fitting import fit_curves
from analysis.tables.table import read_table


def notes(tmp_path, tuning: dict[str, object], batch_at_edge: dict[str, object]) -> list[str]:
    path = tmp_path / "runs.csv"
    rows = [
        {
            "strategy": name,
            "flops": flops,
            "cer": 0.02 + scale * (flops / 1e17) ** -0.3,
            "tuning_flops": tuning[name],
            "batch_at_grid_edge": batch_at_edge[name],
        }
        for name, scale in (("efin", 0.2), ("joint", 0.25))
        for flops in (1e16, 3e16, 1e17, 3e17, 1e18)
    ]
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    table = read_table(path)
    (comparison,) = compare_all(fit_curves(table), "joint", table=table)
    return [note.message for note in comparison.warnings if note.code == "unequal_tuning"]


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"efin": "", "joint": ""}, None),
        ({"efin": 1e17, "joint": 1e17}, None),
        ({"efin": 1e17, "joint": ""}, "efin was tuned with 1e+17 FLOPs, but joint was not tuned"),
        ({"efin": 1e17, "joint": 3e17}, "efin was tuned with 1e+17 FLOPs, but joint was tuned with 3e+17 FLOPs"),
    ],
)
def test_a_tuned_strategy_against_an_untuned_one_is_remarked(tmp_path, tuning, said) -> None:
    found = notes(tmp_path, tuning, {"efin": "", "joint": ""})
    assert found == ([] if said is None else [f"{said}."])


def test_a_search_for_the_batch_as_well_is_not_alike_one_for_rates_alone(tmp_path) -> None:
    same = {"efin": 1e17, "joint": 1e17}
    assert notes(tmp_path, same, {"efin": False, "joint": True}) == []
    (found,) = notes(tmp_path, same, {"efin": False, "joint": ""})
    assert found.startswith("efin was tuned with 1e+17 FLOPs, batch and all, but joint was tuned with 1e+17 FLOPs.")
