"""A Dockerfile as stages and steps, for whoever wants to look at it or go through it by hand.

As much of the language as ours uses: ARG before FROM, stages, line continuations, comments, variables in FROM and COPY.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = Path(__file__).parent / "Dockerfile"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its name in capitals, and the rest in one line."""

    instruction: str
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(shlex.split(self.text))

    @property
    def options(self) -> dict[str, str]:
        """Those of `--name=value` in front."""
        found = (word[2:].partition("=") for word in self.words if word.startswith("--"))
        return {name: value for name, _, value in found}

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(word for word in self.words if not word.startswith("--"))


@dataclass(frozen=True, slots=True)
class Stage:
    """`base`: another stage's name, or an image's."""

    name: str
    base: str
    steps: tuple[Step, ...]


def read_stages(path: Path = DOCKERFILE, arguments: Mapping[str, str] | None = None) -> dict[str, Stage]:
    """The stages by name, in their order. `arguments`: in place of the defaults of ARG before the first FROM."""
    known: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    name = ""
    for step in _steps(path.read_text()):
        if step.instruction == "FROM":
            base, _, name = (expanded(word, known) for word in step.words)
            stages[name] = Stage(name, base, ())
        elif not name:
            variable, _, default = step.text.partition("=")
            known[variable] = (arguments or {}).get(variable, default)
        else:
            stage = stages[name]
            stages[name] = Stage(name, stage.base, (*stage.steps, step))
    return stages


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """With the values of `$NAME` and `${NAME}`; what is not known is left empty, as Docker does."""
    return _VARIABLE.sub(lambda match: variables.get(match[1], ""), text)


def _steps(text: str) -> list[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [Step(instruction.upper(), rest.strip()) for instruction, _, rest in found]
