"""With a stage that takes 50 ms per frame, longer than frames come apart, the page stays close behind the camera."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Browser

from tests.browser import open_page, state, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
SLOW_MS = 50
WATCHED_S = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server"), slow_ms=SLOW_MS) as server:
        yield server


def test_the_delay_stays_bounded_and_does_not_grow(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, "state.phase === 'live' && state.figures.latencySamples > 10")
        seconds = []
        for _ in range(WATCHED_S):
            page.wait_for_timeout(1000)
            seconds.append(state(page)["figures"])
        assert max(figures["latencyP95Ms"] for figures in seconds) < 400
        trend_ms = median(f["latencyP50Ms"] for f in seconds[-3:]) - median(f["latencyP50Ms"] for f in seconds[:3])
        assert trend_ms < 60
        last = seconds[-1]
        assert last["fpsOut"] < 1000 / SLOW_MS + 2  # the stage really is slow
        assert last["dropped"]["stale"] > 30  # and what it had no time for was dropped, and counted
        assert last["matchedShare"] > 0.8
