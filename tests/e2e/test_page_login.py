"""A server that asks for tokens, as people meet it: over TLS, in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import open_page, save_screenshot, until_state
from tests.server_process import ROOT, ServerProcess, serving
from tests.waiting import until_sync

pytestmark = pytest.mark.e2e
LIVE = "state.phase === 'live' && state.figures.latencySamples > 5"


class TokenServer:
    """A server over TLS and the command that makes its tokens."""

    def __init__(self, folder: Path, process: ServerProcess) -> None:
        self._folder = folder
        self.process = process

    @property
    def url(self) -> str:
        return self.process.url

    def make(self, name: str, scope: str = "view,operate") -> str:
        return token(self._folder, "create", "--name", name, "--scope", scope).strip()

    def revoke(self, name: str) -> None:
        token(self._folder, "revoke", name)


def token(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "streamapp", "token", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMAPP_")}
    ran = subprocess.run(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    return ran.stdout


def sign_in(page: Page, secret: str) -> None:
    """Returns once the page behind the login page has started."""
    page.get_by_label("Token").fill(secret)
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.streamapp")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    folder = tmp_path_factory.mktemp("server")
    token(folder, "create", "--name", "first")
    with serving(folder, settings={"SERVER__HTTPS": "auto"}) as process:
        yield TokenServer(folder, process)


def test_the_camera_works_over_tls_once_one_has_signed_in(camera_browser: Browser, server: TokenServer) -> None:
    assert server.url.startswith("https://")
    until_sync(lambda: "SHA-256" in server.process.log)
    secret = server.make("phone")
    with open_page(camera_browser, server.url, ignore_https_errors=True) as page:
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_label("Token")).to_be_focused()
        save_screenshot(page, "login")
        sign_in(page, secret)
        page.get_by_role("button", name="Start camera").click()
        until_state(page, LIVE)
        assert "sapp_" not in page.evaluate("document.cookie")
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-streamapp", True, True)
        server.revoke("phone")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=10_000)
    assert secret not in server.process.log


def test_a_wrong_token_is_said_so_and_the_right_one_still_works(camera_browser: Browser, server: TokenServer) -> None:
    secret = server.make("tablet", "view")
    with open_page(camera_browser, server.url, ignore_https_errors=True) as page:
        page.get_by_label("Token").fill("sapp_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not known")
        sign_in(page, secret)
        page.goto(f"{server.url}/login.html")
        expect(page.get_by_text("With the token tablet, which is for: view.")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto(server.url)
        expect(page.get_by_label("Token")).to_be_visible()


def test_what_a_token_is_not_for_is_said_in_the_page(camera_browser: Browser, server: TokenServer) -> None:
    secret = server.make("viewer", "view")
    with open_page(camera_browser, server.url, ignore_https_errors=True) as page:
        sign_in(page, secret)
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator("#notice-advice")).to_contain_text("lacks the scope operate")


def test_event_streams_in_the_page_end_with_the_token(camera_browser: Browser, server: TokenServer) -> None:
    secret = server.make("watcher")
    with open_page(camera_browser, server.url, ignore_https_errors=True) as page:
        sign_in(page, secret)
        page.get_by_role("button", name="Watch the demo clip").click()
        until_state(page, LIVE)
        page.evaluate(
            """() => { window.ended = new Promise((resolve) => {
                 const events = new EventSource("/streams/demo/events");
                 events.addEventListener("result", () => { window.heard = true; });
                 events.addEventListener("error", () => resolve(events.readyState)); }); }"""
        )
        page.wait_for_function("() => window.heard")
        server.revoke("watcher")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=10_000)
