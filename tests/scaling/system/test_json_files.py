import json

import pytest

from scaling.system.json_files import parse_json


@pytest.mark.parametrize(
    "text",
    [
        "1" * 40,
        "-9223372036854775809",
        "0.1",
        "2.2250738585072011e-308",
        "5e-324",
        "1e999",
        "-0.0",
        "[NaN, Infinity]",
        '{"a": 1, "a": 2}',
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        "[" * 500 + "]" * 500,
    ],
)
def test_every_value_is_the_one_that_python_reads(text: str) -> None:
    assert repr(parse_json(text.encode(), "here")) == repr(json.loads(text))


def test_a_byte_order_mark_is_no_part_of_the_value() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', "here") == {"a": 1}
