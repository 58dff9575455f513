from __future__ import annotations

import pytest

from tests.fakes import ScriptedResidency


@pytest.fixture
def residency() -> ScriptedResidency:
    return ScriptedResidency()
