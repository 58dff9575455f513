"""docs/models.md says what the manifest says."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp import models_reference
from streamapp.choices import Profile
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.profiles import slots
from streamapp.zoo.session import Device

PAGE = Path(__file__).parent.parent / "docs" / "models.md"


def test_the_page_is_current() -> None:
    told = "run `python -m streamapp.models_reference > docs/models.md`"
    assert PAGE.read_text("utf-8") == models_reference.reference(), told


@pytest.mark.parametrize("profile", [Profile.LIGHT, Profile.FULL])
def test_what_may_not_be_used_commercially_is_marked_where_a_profile_takes_it(profile: Profile) -> None:
    heading = f"## Profile {profile}:"
    section = PAGE.read_text("utf-8").split(heading)[1].split("\n## ")[0]
    taken = [line.split(" | ") for line in section.splitlines() if line.startswith("| ") and "`" in line]
    manifest = load_manifest()
    said = {cells[1].strip("`"): cells[3] for cells in taken}
    assert len(taken) == len(slots(profile, manifest, Device.CPU, lambda _: False))
    forbidden = {name for name in said if manifest.named(name).commercial_use is False}
    assert forbidden == {name for name, text in said.items() if text == "**no**"}
    assert forbidden
