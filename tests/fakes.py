"""All fakes, in one place."""

from __future__ import annotations
