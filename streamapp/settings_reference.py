"""Writes docs/settings.md: `python -m streamapp.settings_reference > docs/settings.md`."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import annotated_types
from pydantic import BaseModel, IPvAnyAddress, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from streamapp.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, Settings

_PREFIX = "STREAMAPP"
_TYPE_NAMES: dict[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "text, never shown",
    Path: "path",
    IPvAnyAddress: "address: 192.168.1.5",
    IPvAnyNetwork: "network: 10.0.0.0/8",
}
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def reference() -> str:
    """All settings as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "This page is generated from `streamapp/sections.py` by `python -m streamapp.settings_reference`."
    yield ""
    yield f"Settings come from `{DEFAULT_CONFIG}` in the working directory (or the file that the environment variable"
    yield f"`{CONFIG_VARIABLE}` names) and, stronger, from the environment, where lists and tables are written as JSON."
    yield "An unknown name is an error."
    nested: dict[str, type[BaseModel]] = {}
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        yield from ("", f"## [{section}]", "")
        yield from _table(model, f"{_PREFIX}_{section.upper()}__", nested)
    for name, model in nested.items():
        yield from ("", f"## An entry of `{name}`", "")
        yield from _table(model, None, nested)


def _table(model: type[BaseModel], variables: str | None, nested: dict[str, type[BaseModel]]) -> Iterator[str]:
    """One row per field; `variables` is what the environment variables of this section begin with."""
    head = ["name", "what it is", "default", *(["environment variable"] if variables else []), "value"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for name, field in model.model_fields.items():
        cells = [f"`{name}`", _cell(field.description or ""), _default(field)]
        if variables:
            cells.append(f"`{variables}{name.upper()}`")
        cells.append(_cell(type_text(field.annotation, name, nested) + limits_text(field)))
        yield f"| {' | '.join(cells)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "unset"
    plain = json.loads(json.dumps(field.default, default=str))
    return f"`{json.dumps(plain)}`"


def limits_text(field: FieldInfo) -> str:
    """The least and the greatest value of a number, after a comma; empty for none."""
    found = [
        f"{sign} {getattr(limit, key)}"
        for limit in field.metadata
        for key, sign in _SIGNS.items()
        if isinstance(limit, annotated_types.Gt | annotated_types.Ge | annotated_types.Lt | annotated_types.Le)
        and hasattr(limit, key)
    ]
    return f", {' and '.join(found)}" if found else ""


def type_text(annotation: object, name: str, nested: dict[str, type[BaseModel]]) -> str:
    """What may be written for a field. A model of its own gets a table of its own, noted in `nested`."""
    if annotation in _TYPE_NAMES:
        return _TYPE_NAMES[annotation]
    arguments = [part for part in typing.get_args(annotation) if part not in (type(None), ...)]
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return f"list of: {type_text(arguments[0], name, nested)}"
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_text(part, name, nested) for part in arguments)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        nested[name] = annotation
        return f'table, see "An entry of `{name}`"'
    raise TypeError(f"the setting {name} has a type this page cannot explain: {annotation!r}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
