"""deploy/compose.yaml as Compose would read it, without Compose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


class RequiredVariable(Exception):
    """`${NAME:?why}` has no value."""


def read_compose(variables: Mapping[str, str]) -> Any:
    """The file with `${NAME}`, `${NAME:-default}` and `${NAME:?why}` filled in, and merge keys resolved. Raises
    RequiredVariable."""
    return _filled(yaml.safe_load(COMPOSE.read_text()), variables)


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, variables) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, variables) for value in node]
    return _VARIABLE.sub(lambda match: _value(match, variables), node) if isinstance(node, str) else node


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, text = match.groups()
    value = variables.get(name, "")
    if value or kind is None:
        return value
    if kind == "?":
        raise RequiredVariable(f"{name}: {text}")
    return str(text)


def prepare(folder: Path, *words: str) -> dict[str, str]:
    """Runs a copy of deploy/prepare in `folder`; what it wrote to .env, quotes taken off."""
    script = Path(shutil.copy(DEPLOY / "prepare", folder))
    subprocess.run([script, *words], check=True, capture_output=True, timeout=30, env={"PATH": os.environ["PATH"]})
    lines = (folder / ".env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip("'") for name, _, value in pairs}
