"""Writes docs/api.md: `python -m streamapp.api_reference > docs/api.md`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from streamapp.access.keyring import Keyring
from streamapp.access.token_file import TokenFile
from streamapp.choices import DeviceChoice
from streamapp.event_settings import EventSettings
from streamapp.gallery_settings import GallerySettings
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings, SchedulerSettings, ServerSettings, WebRtcSettings
from streamapp.server.app import MAX_CONNECTIONS, MAX_JSON_BYTES, create_app
from streamapp.server.description import COMMON_PROBLEMS
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.routes.gallery import MAX_PICTURES
from streamapp.server.routes.webrtc import BODY_TIMEOUT_S as SDP_TIMEOUT_S
from streamapp.server.sdp import MAX_FRAGMENT_BYTES
from streamapp.server.security import BODY_TIMEOUT_S
from streamapp.server.signalling import Signalling
from streamapp.server.uploads import RECEIPT_TIMEOUT_S
from streamapp.settings import Settings

Schema = Mapping[str, Any]
_REF = "#/components/schemas/"
_PLAIN = {"integer": "whole number", "number": "number", "boolean": "true or false", "null": "null", "object": "object"}
_FORMATS = {"uuid": "UUID", "date-time": "time, ISO 8601", "binary": "file", "password": "text, never shown"}
_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_COUNTS = (("minLength", "maxLength", "characters"), ("minItems", "maxItems", "of them"))

INTRODUCTION = f"""\
# HTTP API

This page is generated from the API's own description, `/openapi.json`, by `python -m streamapp.api_reference`.

A server listens on <http://127.0.0.1:8000> unless it is told otherwise. Where it has [tokens](security.md), every
request needs one with the scope that is named at each route: `Authorization: Bearer TOKEN`, or the cookie that
`POST /login` sets. Without tokens everybody may do everything, and only this machine reaches the server.

Whatever is refused is answered with `{MEDIA_TYPE}` (RFC 9457): `type`, `title`, `status`, `code`, `detail`. `code` is
stable, and what programs should go by; `detail` is for people, and says what to do.
[Troubleshooting](guides/troubleshooting.md) explains every code. What is answered with `Retry-After` may be asked again
after so many seconds.

Times are Unix times in seconds, unless another form is said. Boxes are `[left, top, right, bottom]` in pixels."""


def reference() -> str:
    """The whole API as Markdown."""
    return "\n".join(_lines(description())) + "\n"


def description() -> dict[str, Any]:
    """The OpenAPI document of a server as it is without settings. Nothing of this machine is in it."""
    return asyncio.run(_description())


async def _description() -> dict[str, Any]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            models=ModelSettings(dir=folder),
            scheduler=SchedulerSettings(device=DeviceChoice.CPU),
            events=EventSettings(file=folder / "events.db"),
            gallery=GallerySettings(file=folder / "gallery.db", key_file=folder / "gallery.key"),
        )
        async with Runtime.start(settings, with_events=True) as runtime, Signalling.start(runtime) as signalling:
            return create_app(runtime, signalling, Keyring(TokenFile(folder / "tokens.json"))).openapi()


def _lines(described: Schema) -> Iterator[str]:
    yield INTRODUCTION
    yield from _limits()
    yield from ("", "## What every route may answer", "", *_problem_table(COMMON_PROBLEMS))
    operations: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            operations.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    for tag, routes in operations.items():
        yield from ("", f"## Routes: {tag}")
        for method, path, operation in routes:
            yield from _operation(method, path, operation)
    yield from ("", "## Types")
    for name, schema in sorted(described["components"]["schemas"].items()):
        yield from _type(name, schema)


def _limits() -> Iterator[str]:
    server, webrtc = ServerSettings(), WebRtcSettings()
    rows = [
        ("a JSON body", f"{MAX_JSON_BYTES} bytes", ""),
        ("any other body", f"{server.max_body_bytes} bytes", "`server.max_body_bytes`"),
        ("an SDP offer", f"{webrtc.max_sdp_bytes} bytes", "`webrtc.max_sdp_bytes`"),
        ("a trickled fragment of SDP", f"{MAX_FRAGMENT_BYTES} bytes", ""),
        ("a picture", f"{server.max_image_pixels} pixels", "`server.max_image_pixels`"),
        ("pictures of an enrolment", str(MAX_PICTURES), ""),
        ("pictures in hand at once", str(server.max_image_requests), "`server.max_image_requests`"),
        ("time for SDP to come", f"{SDP_TIMEOUT_S:g} s", ""),
        ("time for pictures to come", f"{RECEIPT_TIMEOUT_S:g} s", ""),
        ("time for any other body to come", f"{BODY_TIMEOUT_S:g} s", ""),
        ("streams that are added", str(server.max_streams), "`server.max_streams`"),
        ("browsers that publish", str(webrtc.max_sessions), "`webrtc.max_sessions`"),
        ("browsers that play", str(webrtc.max_viewers), "`webrtc.max_viewers`"),
        ("connections", str(MAX_CONNECTIONS), ""),
    ]
    yield from ("", "## Limits", "", *_table(["of", "at most", "setting"], rows))


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield from ("", f"### `{method} {path}`", "")
    yield operation.get("description") or operation["summary"]
    yield from ("", _scopes(operation["security"]))
    parameters = operation.get("parameters", ())
    if parameters:
        rows = [
            (f"`{one['name']}`", one["in"], _value(one["schema"]), _default(one), one.get("description", ""))
            for one in parameters
        ]
        yield from ("", *_table(["parameter", "in", "value", "default", "what it is"], rows))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "properties" in schema:
            yield from ("", f"Body, `{media_type}`:", "", *_fields(schema))
        else:
            yield from ("", f"Body, `{media_type}`: {_value(schema)}")
    responses = sorted(operation["responses"].items())
    yield ""
    for status, response in responses:
        content = response.get("content", {})
        if MEDIA_TYPE not in content:
            kinds = [f"`{kind}`{_of_schema(form.get('schema', {}))}" for kind, form in content.items()]
            yield f"- **{status}** {', '.join(kinds) or 'without a body'}"
    problems = {
        status: {code: one["value"]["detail"] for code, one in response["content"][MEDIA_TYPE]["examples"].items()}
        for status, response in responses
        if MEDIA_TYPE in response.get("content", {})
    }
    if problems:
        yield from ("", *_problem_table(problems))


def _scopes(security: Sequence[Mapping[str, Sequence[str]]]) -> str:
    if not security:
        return "Needs no token."
    scopes = " and ".join(f"`{scope}`" for scope in security[-1]["token" if "token" in security[-1] else "cookie"])
    return f"Says less without the scope {scopes}." if {} in security else f"Scope {scopes}."


def _problem_table(problems: Mapping[Any, Mapping[str, str]]) -> Iterator[str]:
    rows = ((str(status), f"`{code}`", text) for status, codes in problems.items() for code, text in codes.items())
    return _table(["status", "code", "when"], rows)


def _type(name: str, schema: Schema) -> Iterator[str]:
    yield from ("", f"### {name}", "")
    about = str(schema.get("description", "")).split("\n\n")[0].replace("\n", " ")
    if "enum" in schema:
        if about:
            yield from (about, "")
        yield f"One of {', '.join(f'`{value}`' for value in schema['enum'])}."
        return
    if about:
        yield from (about, "")
    yield from _fields(schema)


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _value(field), "required" if name in required else _default(field), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    if all(row[2] == "required" for row in rows):
        rows = [(name, value, "", about) for name, value, _, about in rows]
    return _table(["field", "value", "default", "what it is"], rows)


def _default(described: Schema) -> str:
    """Of a parameter or a field."""
    if described.get("required") is True:
        return "required"
    default = described.get("default", described.get("schema", {}).get("default"))
    return "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _of_schema(schema: Schema) -> str:
    return f": {_value(schema)}" if schema else ""


def _value(schema: Schema) -> str:
    """What may stand in a place, in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_value(one) for one in schema[key])
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(_value(one) for one in schema['prefixItems'])}]"
        case "array":
            return f"list of {_value(schema.get('items', {}))}{_limit(schema)}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            keys = f" by {_value(schema['propertyNames'])}" if "propertyNames" in schema else " by name"
            return f"{_value(schema['additionalProperties'])}{keys}"
        case "string":
            return _FORMATS.get(schema.get("format", ""), "text") + _limit(schema)
        case str(kind):
            return _PLAIN[kind] + _limit(schema)
    return "anything"


def _limit(schema: Schema) -> str:
    parts = [f"{sign} {schema[key]:g}" for key, sign in _LIMITS.items() if key in schema]
    for low, high, what in _COUNTS:
        if low in schema and high in schema:
            parts.append(f"{schema[low]} to {schema[high]} {what}")
        elif high in schema:
            parts.append(f"at most {schema[high]} {what}")
    if "pattern" in schema:
        parts.append(f"`{schema['pattern']}`")
    return f", {', '.join(parts)}" if parts else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns in which nothing stands are left out."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    used = [number for number in range(len(head)) if any(row[number] for row in cells)]
    yield f"| {' | '.join(head[number] for number in used)} |"
    yield f"|{'---|' * len(used)}"
    for row in cells:
        yield f"| {' | '.join(row[number] for number in used)} |"


if __name__ == "__main__":
    print(reference(), end="")
