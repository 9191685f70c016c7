"""A column of text that tells rows at equal FLOPs apart makes curves, unless the user says otherwise."""

import json

import numpy as np
import pytest

FLOPS = np.geomspace(1e17, 1e20, 7).tolist()


def rows_of(**scales):
    return [(name, c, scale * (0.04 + 0.36 * (c / 1e17) ** -0.3)) for name, scale in scales.items() for c in FLOPS]


def written(tmp_path, header, lines):
    file = tmp_path / "runs.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


def curves(asr_scaling, file, *options):
    found = asr_scaling("fit", file, *options, "--json")
    assert found.returncode == 0, found.stderr
    return {entry["strategy"]: entry for entry in json.loads(found.stdout)["fits"]}, found.stderr


@pytest.mark.parametrize("column", ["model", "Recipe", "system"])
def test_a_column_of_models_recipes_or_systems_makes_curves(tmp_path, asr_scaling, column):
    lines = [f"{name},{c * 1.03 if name == 'b' else c!r},{y!r}" for name, c, y in rows_of(a=1.0, b=2.0)]
    found, said = curves(asr_scaling, written(tmp_path, f"{column},flops,cer", lines))
    assert set(found) == {"a", "b"}
    assert found["b"]["theta"]["E"] == pytest.approx(0.08, rel=0.05)
    assert f"curves: 2, by column {column!r}" in said


def test_sizes_that_grow_with_the_budget_are_one_curve(tmp_path, asr_scaling):
    lines = [f"size-{i // 2},{c!r},{y!r}" for i, (_, c, y) in enumerate(rows_of(a=1.0))]
    found, said = curves(asr_scaling, written(tmp_path, "model,flops,cer", lines))
    assert set(found) == {"all"}
    assert said == ""


def test_names_of_runs_make_no_curves(tmp_path, asr_scaling):
    lines = [f"run{i},alice,{c!r},{y!r}" for i, (_, c, y) in enumerate(rows_of(a=1.0) + rows_of(a=1.1))]
    found, _ = curves(asr_scaling, written(tmp_path, "label,user,flops,cer", lines))
    assert set(found) == {"all"}
    assert found["all"]["n"] == 7


def test_the_user_names_the_column_or_pools(tmp_path, asr_scaling):
    lines = [f"{name},{'xy'[i % 2]},{c!r},{y!r}" for name, c, y in rows_of(a=1.0, b=2.0) for i in range(2)]
    file = written(tmp_path, "model,corpus,flops,cer", lines)
    doubted = asr_scaling("fit", file)
    assert doubted.returncode == 2
    assert "rows with equal flops differ in 'model', 'corpus'" in doubted.stderr
    assert "--group none" in doubted.stderr
    assert set(curves(asr_scaling, file, "--group", "model")[0]) == {"a", "b"}
    assert set(curves(asr_scaling, file, "--group", "corpus,model")[0]) == {"x, a", "y, a", "x, b", "y, b"}
    pooled, _ = curves(asr_scaling, file, "--group", "none")
    assert set(pooled) == {"all"}
    wrong = asr_scaling("fit", file, "--group", "modle")
    assert wrong.returncode == 2
    assert "did you mean 'model'" in wrong.stderr


def test_an_unusual_column_that_tells_rows_apart_is_asked_about(tmp_path, asr_scaling):
    lines = [f"{name},{c!r},{y!r}" for name, c, y in rows_of(far=1.0, near=2.0)]
    found = asr_scaling("fit", written(tmp_path, "microphone,flops,cer", lines))
    assert found.returncode == 2
    assert "--group 'microphone'" in found.stderr


def test_columns_that_say_the_same_are_one_group(tmp_path, asr_scaling):
    lines = [f"{name},{name.upper()},{c!r},{y!r}" for name, c, y in rows_of(a=1.0, b=2.0)]
    found, _ = curves(asr_scaling, written(tmp_path, "abbreviation,model,flops,cer", lines))
    assert set(found) == {"A", "B"}


def test_rows_chosen_by_where_are_not_asked_about(tmp_path, asr_scaling):
    lines = [f"{name},{c!r},{y!r}" for name, c, y in rows_of(far=1.0, near=2.0)]
    found, _ = curves(asr_scaling, written(tmp_path, "microphone,flops,cer", lines), "--where", "microphone == 'far'")
    assert set(found) == {"all"}


def test_a_law_in_parameters_and_tokens_spans_models(tmp_path, asr_scaling):
    lines = []
    for name, n in (("s", 1e8), ("m", 3e8), ("l", 1e9), ("xl", 3e9)):
        lines += [
            f"{name},{n!r},{d!r},{1e19!r},{1.8 + 480 * n**-0.35 + 2085 * d**-0.37!r}"
            for d in np.geomspace(1e9, 1e12, 7).tolist()
        ]
    file = written(tmp_path, "model,params,tokens,flops,loss", lines)
    found, said = curves(asr_scaling, file, "--law", "chinchilla")
    assert set(found) == {"all"}
    assert found["all"]["n"] == 28
    assert "curves" not in said


def test_two_usual_columns_that_part_rows_differently_are_asked_about(tmp_path, asr_scaling):
    lines = [f"{name},{'xy'[(i + (name == 'b')) % 2]},{c!r},{y!r}" for i, c in enumerate(FLOPS)
             for name, y in (("a", 0.3 * (c / 1e17) ** -0.3), ("b", 0.6 * (c / 1e17) ** -0.3))]  # fmt: skip
    found = asr_scaling("fit", written(tmp_path, "recipe,model,flops,cer", lines))
    assert found.returncode == 2
    assert "rows with equal flops differ in 'recipe', 'model'" in found.stderr


def test_numbers_that_tell_rows_at_equal_flops_apart_are_named_and_can_part_them(tmp_path, asr_scaling):
    lines = [f"{name[1:]},{seed},{c!r},{y!r}" for name, c, y in rows_of(_12=1.0, _24=2.0) for seed in (0, 1)]
    file = written(tmp_path, "layers,seed,flops,cer", lines)
    one, said = curves(asr_scaling, file)
    assert set(one) == {"all"}
    assert "rows with equal flops differ in 'layers' and count as one curve; --group layers parts them" in said
    two, said = curves(asr_scaling, file, "--group", "layers")
    assert set(two) == {"12", "24"}
    assert "differ" not in said


def test_numbers_that_go_with_the_flops_are_not_named(tmp_path, asr_scaling):
    lines = [f"{i},{seed},{c!r},{y!r}" for i, (_, c, y) in enumerate(rows_of(a=1.0)) for seed in (0, 1)]
    _, said = curves(asr_scaling, written(tmp_path, "layers,seed,flops,cer", lines))
    assert said == ""


def test_a_strategy_of_a_table_of_one_curve_is_told_how_to_part_it(tmp_path, asr_scaling):
    lines = [f"a,{c!r},{y!r}" for _, c, y in rows_of(a=1.0)]
    found = asr_scaling("compare", written(tmp_path, "recipe,flops,cer", lines), "--baseline", "a")
    assert found.returncode == 2
    assert "the table names none; --group COLUMN parts its rows into curves" in found.stderr


def test_errors_that_repeat_are_no_columns_that_part_rows(tmp_path, asr_scaling):
    lines = [f"{c!r},{y!r},{k}" for _, c, y in rows_of(a=1.0) for k in (0.1, 0.2)]
    _, said = curves(asr_scaling, written(tmp_path, "flops,cer,dev_cer", lines))
    assert said == ""
