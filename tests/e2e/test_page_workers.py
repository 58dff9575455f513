"""The camera of a browser when the process that has its stream is killed."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Browser

from tests.browser import open_page, save_screenshot, until_state
from tests.server_process import ServerProcess, serving

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 15"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server"), settings={"SERVER__WORKERS": "2"}) as server:
        yield server


def names(server: ServerProcess) -> set[str]:
    return {stream["name"] for stream in server.get("/streams")}


def kill_workers(server: ServerProcess) -> None:
    for child in psutil.Process(server.pid).children():
        if "tests.loopback_worker" in child.cmdline():
            child.kill()


def test_a_killed_workers_camera_comes_back_under_its_name(camera_browser: Browser, server: ServerProcess) -> None:
    with open_page(camera_browser, server.url) as page:
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        before = names(server)
        assert len(before) == 1
        for _ in range(2):
            kill_workers(server)
            until_state(page, "state.phase !== 'live' && state.phase !== 'quiet'")
            until_state(page, LIVE, 30)
            assert names(server) == before
        save_screenshot(page, "worker-killed")
