import pytest

from scaling.errors import InputError
from scaling.system.yaml_file import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e12", 1e12),
        ("1E12", 1e12),
        ("1.0e+18", 1e18),
        (".5", 0.5),
        ("-3", -3),
        ("0x10", 16),
        ("0o17", 15),
        ("017", 17),
        ("true", True),
        ("no", "no"),
        ("off", "off"),
        ("2026-11-22", "2026-11-22"),
        ("1:30", "1:30"),
        ("~", None),
        ("null", None),
        ("'1e12'", "1e12"),
        ("1e", "1e"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"field: {text}", "x").value["field"]
    assert found == value
    assert type(found) is type(value)


def test_every_field_has_the_line_it_stands_in() -> None:
    document = parse_yaml("name: x\nmodels:\n- {encoder: a,\n   llm: b}\n", "x")
    assert document.line(("models", 0, "llm")) == 4
    assert document.line(("models", 0, "hidden")) == 3  # absent: the nearest field around it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"x\.yaml:2: found duplicate key \"a\""),
        ("a: [1, 2\nb: 3\n", r"x\.yaml:2: not valid YAML"),
        ("a: !!python/object:os.system 1\n", r"x\.yaml:1: not valid YAML: could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "x.yaml")
