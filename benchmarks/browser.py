"""A real headless Chromium with a numbered fake camera, on the benchmark's own page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

from benchmarks.camera import FPS
from benchmarks.contestants import Contestant
from benchmarks.glass import Message, Seen
from benchmarks.isolation import LOOPBACK
from benchmarks.media import HD, VGA, Size
from benchmarks.processes import Server
from streamapp.capacity.processes import sample_cpu

_PAGE = Path(__file__).parent / "page"
_ORIGIN = "http://localhost:9"
"""Trusted by the browser; every request to it is answered from the folder, none leaves the browser."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_ON_LOOPBACK = ("--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns")
SETTLE_S = {VGA: 3.0, HD: 10.0}
"""Between connecting and measuring: Chromium's bandwidth estimate starts low."""
CONNECT_TIMEOUT_MS = 20_000


@dataclass(frozen=True, slots=True)
class Visit:
    """What one session of one browser saw. Times in milliseconds of the page's clock."""

    camera: tuple[Seen, ...]
    shown: tuple[Seen, ...]
    messages: tuple[Message, ...]
    unread: int
    """Pictures whose number could not be read."""
    sent: str
    """What the browser was sending at the end."""
    jitter_buffer_ms: float | None
    """Mean time that returned pictures waited in the browser's jitter buffer."""
    returned_mbit_s: float
    """Bit rate of the returned video."""
    round_trip_ms: float
    """Mean of the ICE checks, which go the way that media goes."""
    server_cpu_percent: float
    seconds: float


def chromium_path() -> str:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("no chromium here (Debian: apt-get install chromium)")
    return found


@contextmanager
def camera_browser(camera: Path, address: str) -> Iterator[Browser]:
    flags = [*_FLAGS, f"--use-file-for-fake-video-capture={camera}", *(_ON_LOOPBACK if address == LOOPBACK else ())]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


def visit(
    browser: Browser, contestant: Contestant, server: Server, size: Size, *, receive_video: bool, seconds: float
) -> Visit:
    """One session: connect, settle, measure. Raises ServerFailed, or Playwright's errors."""
    context = browser.new_context(viewport={"width": 720, "height": 320})
    try:
        context.route(f"{_ORIGIN}/**", _serve)
        page = context.new_page()
        page.set_default_timeout(CONNECT_TIMEOUT_MS)
        page.goto(f"{_ORIGIN}/client.html")
        wishes = {"width": size.width, "height": size.height, "fps": FPS}
        offer = page.evaluate(
            "wishes => offer(wishes)", {**wishes, "label": contestant.label, "receiveVideo": receive_video}
        )
        answer = contestant.answer(server.url, offer)
        _evaluate_within(page, "answer => connect(answer)", answer)
        contestant.start(server.url)
        page.wait_for_timeout(SETTLE_S[size] * 1000)
        page.evaluate("begin()")
        before = sample_cpu(server.pid)
        page.wait_for_timeout(seconds * 1000)
        after = sample_cpu(server.pid)
        log = page.evaluate("end()")
        page.evaluate("pc.close()")
        server.check()
    finally:
        context.close()
    origin = log["timeOrigin"]
    messages = (contestant.message(arrived, data, origin) for arrived, data in log["messages"])
    return Visit(
        camera=tuple(Seen(number, at) for number, at in log["camera"] if at is not None),
        shown=tuple(Seen(number, at) for number, at in log["shown"]),
        messages=tuple(message for message in messages if message is not None),
        unread=log["unread"],
        sent="x".join(str(side) for side in log["sent"][:2]) + f"@{log['sent'][2]:.0f}" if log["sent"] else "-",
        jitter_buffer_ms=log["jitterBufferMs"],
        returned_mbit_s=log["returnedBytes"] * 8e-6 / (after.at_s - before.at_s),
        round_trip_ms=log["roundTripMs"] or 0.0,
        server_cpu_percent=after.percent_since(before),
        seconds=after.at_s - before.at_s,
    )


def _evaluate_within(page: Page, expression: str, argument: str) -> None:
    """As `evaluate`, which knows no timeout of its own."""
    page.evaluate(f"argument => {{ window.done = ({expression})(argument).then(() => true); }}", argument)
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_MS / 1000
    while not page.evaluate("Promise.race([window.done, new Promise(r => setTimeout(r, 200))])"):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"no WebRTC connection within {CONNECT_TIMEOUT_MS / 1000:.0f} s")


def _serve(route: Route) -> None:
    file = _PAGE / Path(route.request.url).name
    if file.is_file():
        route.fulfill(path=file)
    else:
        route.fulfill(status=404, body="")
