"""The fields of a YAML document, checked against a class of pydantic; errors name file, line and field."""

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from scaling.errors import InputError, nearest
from scaling.system.yaml_file import FieldPath, YamlDocument

Fields = TypeVar("Fields", bound=BaseModel)

KINDS = {
    "tuple_type": "a list, such as [first, second]",
    "list_type": "a list, such as [first, second]",
    "dict_type": "names with values, such as {name: value}",
    "model_type": "fields with values, such as {name: value}",
    "model_attributes_type": "fields with values, such as {name: value}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
"""Kinds of values in words, by pydantic's names of errors."""


def checked_fields(form: type[Fields], document: YamlDocument) -> Fields:
    """The document as a `form`. Raises InputError about the first wrong field: place, value, expected, nearest name."""
    if not isinstance(document.value, dict):
        found = "nothing" if document.value is None else f"{document.value!r:.60}"
        raise InputError(f"{document.source}: expected fields such as `name: ...`, each in its line; found {found}")
    try:
        return form.model_validate(document.value)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        first = min(errors, key=lambda error: error["type"] != "extra_forbidden")  # a misspelt name explains the rest
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        named = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()  # as it stands in the file
        around = first["loc"][: -len(named) or None]
        path = tuple(part for part in around if not str(part).startswith(("<", "["))) + named  # tags of forms, "[key]"
        raise InputError(f"{document.place(path)}: {_explain(form, first, path)}{more}") from None


def _explain(form: type[BaseModel], error: Any, path: FieldPath) -> str:
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown field{nearest(path[-1], _names_around(form, path))}"
    if kind == "missing":
        return "this field is required and missing"
    if kind in ("float_type", "int_type") and isinstance(given, str):
        way = "written without quotes" if _is_number(given) else "such as 3 or 1e18"
        return f"{given!r} is text; expected a number, {way}"
    if kind in KINDS:
        return f"{'empty' if given is None else repr(given)}; expected {KINDS[kind]}"
    expected = str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    if kind in ("enum", "literal_error"):
        valid = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{given!r} is not one of them{nearest(given, valid)}"
    return f"{given!r}; expected {expected}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names_around(form: type[BaseModel], path: FieldPath) -> list[str]:
    """The fields that exist where an unknown one was found: those of every form that the mapping there may have."""
    forms = [form]
    for part in path[:-1]:
        inside = [other for form in forms if part in form.model_fields for other in _forms(form, str(part))]
        forms = inside or forms
    return [name for form in forms for name in form.model_fields]


def _forms(form: type[BaseModel], field: str) -> list[type[BaseModel]]:
    return list(_forms_of(form.model_fields[field].annotation))


def _forms_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _forms_of(inner)
