"""Records: what a program wrote is read as it was, and what is none is refused by its place, field and value."""

import json
from pathlib import Path

import pytest
from node_results import node_result

from scaling.errors import InputError
from scaling.ledger.records import Event, NodeResult, RunRow
from scaling.system.json_files import parse_record, read_record_lines

RESULTS = Path(__file__).parents[3] / "results"


def test_fields_of_another_trainer_are_kept() -> None:
    result = parse_record(NodeResult, json.dumps({**node_result().as_json(), "gpu_hours": 3}).encode(), "result.json")
    assert result.as_json()["gpu_hours"] == 3


def test_flops_beyond_the_integers_of_a_float_are_exact() -> None:
    flops = 2**53 + 1
    written = json.dumps(node_result(flops=flops).as_json())
    assert parse_record(NodeResult, written.encode(), "result.json").flops == flops


def test_half_a_surrogate_pair_which_other_programs_write_is_read() -> None:
    written = json.dumps(node_result().as_json()).replace('"ok"', '"ok\\ud800"')
    assert parse_record(NodeResult, written.encode(), "result.json").status == "ok\ud800"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flops": -1}, "result.json: flops is -1; expected a number, 0 or more"),
        ({"flops": "1"}, "result.json: flops is '1'; expected a number"),
        ({"steps": 1.5}, "result.json: steps is 1.5; expected a whole number"),
        ({"steps": True}, "result.json: steps is True; expected a whole number"),
        (
            {"checkpoint": "../other"},
            "result.json: checkpoint is '../other'; expected a relative path below its folder",
        ),
        ({"test": {"clean": {"cer": 0.1}}}, "result.json: test.clean.errors is missing"),
        ({"spent": []}, r"result.json: spent is \[\]; expected an object"),
        ({"loss": "low"}, "result.json: loss is 'low'; expected a number"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_was_expected(fields: dict[str, object], message: str) -> None:
    written = json.dumps({**node_result().as_json(), **fields}).encode()
    with pytest.raises(InputError, match=message):
        parse_record(NodeResult, written, "result.json")


def test_a_result_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="steps"):
        node_result(steps=-1)


@pytest.mark.parametrize("table", sorted(RESULTS.rglob("runs.jsonl")), ids=lambda path: path.parent.name)
def test_published_tables_are_read_and_written_again_as_they_are(table: Path) -> None:
    lines = [json.loads(line) for line in table.read_text("utf-8").splitlines()]
    assert [row.as_json() for row in read_record_lines(RunRow, table)] == lines


def test_only_fields_that_were_given_are_written() -> None:
    assert Event(event="start", flops=0).as_json() == {"event": "start", "flops": 0}
