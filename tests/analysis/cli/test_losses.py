"""A table of losses is answered in losses, on stderr, in answers and in their warnings; and options name no-numbers."""

import json

import pytest

LOSSES = "flops,loss\n1e19,3.1\n3e19,2.9\n1e20,2.72\n3e20,2.6\n1e21,2.5\n"
SIZES = "\n".join(
    ["params,tokens,loss"]
    + [f"{n!r},{d!r},{1.8 + 480 * n**-0.35 + 2085 * d**-0.37!r}" for n in (1e8, 1e9) for d in (1e9, 1e10, 1e11)]
)


@pytest.fixture
def losses(tmp_path):
    file = tmp_path / "losses.csv"
    file.write_text(LOSSES)
    return file


@pytest.mark.parametrize(
    "verb", [("fit",), ("predict", "--flops", "1e21"), ("recommend", "--flops", "1e22"), ("recommend", "--cer", "0.5")]
)
def test_nothing_calls_a_loss_a_cer(losses, asr_scaling, verb):
    found = asr_scaling(verb[0], losses, *verb[1:])
    assert found.returncode == 0, found.stderr
    assert "CER" not in found.stdout.upper().replace("ASR-SCALING", "").replace("[", " [").replace("--CER", "")
    assert "loss: column 'loss'" in found.stderr
    assert "cer" not in found.stderr


def test_a_table_without_stages_says_nothing_of_stages(losses, asr_scaling):
    found = asr_scaling("recommend", losses, "--flops", "1e21")
    assert found.returncode == 0
    assert "stages" not in found.stdout


def test_rows_of_places_are_answered_by_the_law_in_their_columns(tmp_path, asr_scaling):
    (tmp_path / "sizes.csv").write_text(SIZES)
    (tmp_path / "places.csv").write_text("params,tokens\n7e9,4e12\n1e9,2e11\n")
    rows = json.loads(
        asr_scaling("predict", tmp_path / "sizes.csv", "--table", tmp_path / "places.csv", "--json").stdout
    )
    for row, place in zip(rows, ("N=7e9,D=4e12", "N=1e9,D=2e11"), strict=True):
        assert row == json.loads(asr_scaling("predict", tmp_path / "sizes.csv", "--at", place, "--json").stdout)


@pytest.mark.parametrize(
    "command",
    [("predict", "runs.csv", "--flops"), ("recommend", "runs.csv", "--lifetime-hours"), ("plan", "demo", "--max-usd"),
     ("flops", "--encoder", "mini-s", "--llm", "mini-s", "--strategy", "efin", "--budget"), ("init", "--usd")],
    ids=" ".join,
)  # fmt: skip
def test_what_is_no_number_is_named_with_its_option(asr_scaling, command):
    found = asr_scaling(*command, "1e20x")
    assert found.returncode == 2
    assert f"'{command[-1]}': '1e20x', expected a number" in found.stderr.replace("\n", " ")
