"""Writes docs/models.md: `python -m streamapp.models_reference > docs/models.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from streamapp.choices import Profile
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.profiles import candidates, slots
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task, UrlSource, Variant, WheelSource

_TASKS = {
    Task.SCREEN: ("Screening", "Finds faces in every frame. All modes need one."),
    Task.DETECT: ("Far faces", "Finds small and far faces on keyframes, from mode `standard` on."),
    Task.PROPOSE: ("MTCNN, first net", "Windows of a picture that may hold a face."),
    Task.REFINE: ("MTCNN, second net", "Which windows hold one; from mode `precision` on."),
    Task.LANDMARK: ("MTCNN, third net", "The final box and the 5 points; from mode `precision` on."),
    Task.RECOGNISE: ("Recognition", "Makes the numbers by which faces are compared; mode `full`."),
    Task.ANTISPOOF: ("Liveness", "A living person, or a print or a screen; mode `full`."),
    Task.GENDER_AGE: ("Gender and age", "Estimates; mode `full`."),
    Task.DEEPFAKE: ("Deepfake", "A score, never a verdict; mode `full`."),
    Task.DEEPFAKE_LABELS: ("Labels of the deepfake net", "What its outputs mean."),
}
_COMMERCIAL = {True: "yes", False: "**no**", None: "unclear"}
_PROFILES = {
    Profile.LIGHT: "what a laptop runs",
    Profile.FULL: "the full set; a GPU helps",
}

INTRODUCTION = """\
# Models and their licences

This page is generated from `models/manifest.toml` by `python -m streamapp.models_reference`.

streamapp itself is Apache-2.0 and comes without weights. `streamapp models pull` fetches them from where their
authors, or others, offer them, and each file keeps the licence it has there. Whoever runs the app has to keep to it.

- **Commercial use** says what the licence of the weights allows: *yes*, *no*, or *unclear* where it is stated nowhere,
  or differently in different places. It is read from what comes with the files, and is no legal advice.
- *Yes* with GPL-3.0 or AGPL-3.0 comes with duties: whoever passes such a model on, or under the AGPL lets others use a
  changed one over a network, has to offer the source code under the same licence.
- Many face models were trained on pictures collected from the web. A licence of the weights says nothing about the
  rights of the people in those pictures.
- Where no checksum is known, the first download's is noted in `pins.json` and holds from then on.
- *Built: see below* means that nobody offers the file; the list below each table says how it is made.

`streamapp models list` shows the same for this machine, with the state of each file; `streamapp doctor` and `/health`
name the licences of what is in use. [models/README.md](../models/README.md) explains the manifest."""


def reference() -> str:
    """All models as Markdown."""
    return "\n".join(_lines(load_manifest())) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    yield INTRODUCTION
    for profile, about in _PROFILES.items():
        yield from _profile(manifest, profile, about)
    for task in manifest.tasks:
        title, about = _TASKS[task]
        yield from ("", f"## {title}", "", f"Task `{task}`. {about}", "")
        variants = manifest.for_task(task)
        yield from _table(
            ["variant", "licence of the weights", "commercial use", "size", "how to get it"],
            (
                [_linked(v), v.licence or "not known", _COMMERCIAL[v.commercial_use], _size(v), _how(v)]
                for v in variants
            ),
        )
        yield ""
        yield from (_details(variant) for variant in variants)


def _profile(manifest: Manifest, profile: Profile, about: str) -> Iterator[str]:
    """Which variants a profile takes. The same on every machine, unlike profile auto."""
    yield from ("", f"## Profile {profile}: {about}", "", f"`streamapp models pull --profile {profile}`", "")
    places = slots(profile, manifest, Device.CPU, lambda _: False)
    rows = []
    for place in places:
        first, *others = candidates(place, manifest)
        instead = ", ".join(f"`{variant.name}`" for variant in others) or "nothing"
        needed = "may be left out" if place.optional else "needed"
        rows.append([place.task, f"`{first.name}`", first.licence or "not known", _COMMERCIAL[first.commercial_use]])
        rows[-1] += [instead, needed]
    yield from _table(
        ["task", "variant", "licence of the weights", "commercial use", "does instead", "in this profile"], rows
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _linked(variant: Variant) -> str:
    return f"[`{variant.name}`]({variant.reference})" if variant.reference else f"`{variant.name}`"


def _size(variant: Variant) -> str:
    if variant.size_bytes is None:
        return "not known"
    return f"{variant.size_bytes / 1e6:.1f} MB" if variant.size_bytes >= 1e5 else f"{variant.size_bytes / 1e3:.0f} kB"


def _how(variant: Variant) -> str:
    return f"`streamapp models pull {variant.name}`" if variant.sources else "built: see below"


def _details(variant: Variant) -> str:
    """Everything else of one variant, on one line of a list."""
    parts = [f"file `{variant.file}`", f"in: {variant.input}", f"out: {variant.output}"]
    for source in variant.sources:
        match source:
            case UrlSource(url):
                parts.append(f"from <{url}>")
            case WheelSource():
                parts.append(f"from `{source.member}` of the {source}, on your package index")
    if variant.recipe:
        parts.append(f"made by: {variant.recipe}")
    if variant.sha256:
        parts.append(f"SHA-256 `{variant.sha256}`")
    if variant.sha384:
        parts.append(f"SHA-384 `{variant.sha384}`")
    if not variant.has_checksum:
        parts.append("no checksum is known")
    return f"- `{variant.name}`: {'; '.join(parts)}."


if __name__ == "__main__":
    print(reference(), end="")
