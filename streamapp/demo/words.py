"""Small pieces of HTML: tables, figures and errors. Everything that comes from elsewhere is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from streamapp.errors import StreamappError
from streamapp.log import redact
from streamapp.results import Analyses, ImageResult, LivenessState
from streamapp.zoo.spec import Variant

_LIVENESS = {LivenessState.LIVE: "live", LivenessState.SPOOF: "spoof?", LivenessState.UNDECIDED: "undecided"}


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> str:
    """A table that can be scrolled sideways; `empty` instead of its rows where there are none."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines) or f'<tr><td colspan="{len(head)}">{escape(empty)}</td></tr>'
    return (
        f'<div class="demo-table" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def note(text: str) -> str:
    """A line about what goes on."""
    return f'<p class="demo-note" role="status">{escape(text)}</p>' if text else ""


def trouble(error: StreamappError) -> str:
    """What went wrong, as the error says it."""
    return warning(redact(str(error)))


def warning(text: str) -> str:
    """Something that people must not overlook."""
    return f'<p class="demo-trouble" role="alert">{escape(text[:1].upper() + text[1:])}</p>'


def faces(count: int) -> str:
    """So many faces."""
    return f"{count} {'face' if count == 1 else 'faces'}"


def progress(label: str, done: float | None) -> str:
    """A bar, `done` from 0 to 1; None where that is not known."""
    value = "" if done is None else f' value="{min(1.0, max(0.0, done)):.3f}"'
    return f'<p class="demo-note" role="status"><progress{value} aria-label="Progress"></progress>{escape(label)}</p>'


def faces_table(result: ImageResult) -> str:
    """The faces of a picture, numbered as they are drawn."""
    head = ("#", "score", "seen by", "identity", "liveness", "gender, age", "deepfake score")
    rows = (
        (str(number), f"{face.score:.2f}", ", ".join(face.seen_by), *_analysis_cells(face.analyses))
        for number, face in enumerate(result.faces, 1)
    )
    return table("Faces", head, rows, "No face was found")


def _analysis_cells(analyses: Analyses) -> tuple[str, str, str, str]:
    identity = analyses.get("identity")
    liveness = analyses.get("liveness")
    gender_age = analyses.get("gender_age")
    deepfake = analyses.get("deepfake")
    return (
        "–" if identity is None else f"{identity.name or 'undecided'} ({identity.because})",
        "–" if liveness is None else f"{_LIVENESS[liveness.state]} {liveness.score:.2f}",
        "–" if gender_age is None else f"{gender_age.gender}, about {gender_age.age_years:.0f}",
        "–" if deepfake is None else f"{deepfake.band} {deepfake.score:.2f}",
    )


def models_table(result: ImageResult) -> str:
    """What took part in a result, under which licence, and what did not and why."""
    used = table(
        "Models used",
        ("task", "model", "licence of the weights", "commercial use", "runs on"),
        ((m.task, m.model, m.licence or "not known", permission(m.commercial_use), m.provider) for m in result.models),
        "None",
    )
    if not result.skipped:
        return used
    return used + table(
        "Left out",
        ("task", "face", "why"),
        ((s.task, "all" if s.face is None else str(s.face + 1), s.reason) for s in result.skipped),
        "Nothing",
    )


def licences_table(variants: Iterable[Variant]) -> str:
    """The models that serve a stream."""
    rows = ((v.task, v.name, v.licence or "not known", permission(v.commercial_use)) for v in variants)
    return table("Models used", ("task", "model", "licence of the weights", "commercial use"), rows, "None")


def permission(allowed: bool | None) -> str:
    """Whether a licence allows commercial use."""
    return {True: "allowed", False: "not allowed", None: "not known"}[allowed]
