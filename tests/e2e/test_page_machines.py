"""The page of the machines, where there is one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser import DESKTOP, PHONE, open_browser, open_page, save_screenshot
from tests.server_process import ServerProcess, serving

pytestmark = [pytest.mark.e2e, pytest.mark.weights]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server"), settings={"SERVER__WORKERS": "2"}) as server:
        for name in ("door", "hall"):
            added = {"name": name, "source": "demo", "mode": "fast"}
            httpx.post(f"{server.url}/streams", json=added, timeout=10).raise_for_status()
        yield server


@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_one_machine_with_its_workers_is_shown_and_how_to_have_more(
    server: ServerProcess, window: dict[str, int]
) -> None:
    with open_browser() as browser, open_page(browser, f"{server.url}/machines.html", viewport=window) as page:
        row = page.locator("#machines tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("door")
        expect(row).to_contain_text("hall")
        expect(row).to_contain_text("asks the server")
        expect(page.locator("#sum")).to_have_text("1 machine, 2 streams.")
        expect(page.locator("#hint")).to_contain_text("cluster up")
        expect(page.locator("#devices tbody tr")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "only tables may scroll sideways"
        (machine,) = server.get("/status")["machines"]
        assert machine["workers"] == 2
        assert 0 < machine["busy_cores"] <= machine["cores"]
        save_screenshot(page, f"machines-{window['width']}")
