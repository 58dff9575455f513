"""WebRTC against FastRTC and bare aiortc: latency from camera to display, results on the data channel, server CPU.

One browser, one client page, one numbered camera for all; the servers take turns, so that what disturbs the machine
disturbs them all. The median pair counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser
from playwright.sync_api import Error as BrowserError

from benchmarks.browser import camera_browser, visit
from benchmarks.camera import write_camera
from benchmarks.contestants import Entry, contestants, serving, ways_of_use
from benchmarks.detectors import measured_settings
from benchmarks.isolation import enter
from benchmarks.media import HD, VGA, Size
from benchmarks.outcomes import Outcome, figures, pair_tables, step_tables, summary_table
from benchmarks.peer_env import fastrtc_python
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Options, parser, progress, publish
from streamapp.capacity.processes import sample_cpu

PAIRS, SECONDS = 5, 8.0
QUICK_PAIRS, QUICK_SECONDS = 2, 4.0
ATTEMPTS = 2


def run_webrtc(options: Options, size: Size, pairs: int, seconds: float, address: str, only: Sequence[str]) -> None:
    settings = measured_settings()
    field = {name: one for name, one in contestants(settings, fastrtc_python()).items() if not only or name in only}
    entries = ways_of_use(field.values())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-camera-")))
        progress(f"writing a numbered camera, {size}")
        camera = write_camera(folder / "camera.y4m", size)
        servers = {}
        for contestant in field.values():
            progress(f"starting {contestant.name}")
            servers[contestant.name] = stack.enter_context(serving(contestant))
        browser = stack.enter_context(camera_browser(camera, address))
        idle = measure_idle(servers, browser)
        outcomes: dict[str, list[Outcome | None]] = {entry.name: [] for entry in entries}
        for pair in range(pairs):
            for entry in entries if pair % 2 == 0 else reversed(entries):
                outcomes[entry.name].append(measure(browser, entry, servers[entry.contestant.name], size, seconds))
                progress(f"pair {pair + 1}/{pairs}: {entry.name}: {_summary(outcomes[entry.name][-1])}")
    name = "webrtc" if size == VGA else f"webrtc_{size.height}p"
    tables = [summary_table(outcomes, idle, size, seconds), *step_tables(outcomes), *pair_tables(outcomes)]
    publish(name, options, figures(outcomes), tables)


def measure_idle(servers: Mapping[str, Server], browser: Browser) -> dict[str, float]:
    """What each server uses with no session, in percent of a core."""
    page = browser.new_page()
    page.wait_for_timeout(1000)
    before = {name: sample_cpu(server.pid) for name, server in servers.items()}
    page.wait_for_timeout(2000)
    page.close()
    return {name: sample_cpu(server.pid).percent_since(before[name]) for name, server in servers.items()}


def measure(browser: Browser, entry: Entry, server: Server, size: Size, seconds: float) -> Outcome | None:
    """None, after saying why, if no session could be had."""
    for _ in range(ATTEMPTS):
        try:
            seen = visit(browser, entry.contestant, server, size, receive_video=entry.receive_video, seconds=seconds)
        except (ServerFailed, BrowserError, TimeoutError) as error:
            progress(f"{entry.name} failed: {error}")
        else:
            return Outcome.of(seen)
    return None


def _summary(outcome: Outcome | None) -> str:
    if outcome is None:
        return "no session"
    display, messages = outcome.display, outcome.messages
    return (
        f"display p50 {display.percentile(50):.0f} p95 {display.percentile(95):.0f} ms ({display.kept:.0%} of "
        f"{display.total}), results p50 {messages.percentile(50):.1f} ms ({messages.kept:.0%} of {messages.total}), "
        f"CPU {outcome.cpu_percent:.1f} %, sent {outcome.visit.sent}, clock error {messages.clock_error_ms or 0:.1f} ms"
    )


def main() -> None:
    arguments = parser("benchmarks.webrtc", "Latency and CPU over WebRTC against FastRTC and aiortc.")
    arguments.add_argument("--pairs", type=int, help=f"rounds (default {PAIRS}, quick {QUICK_PAIRS})")
    arguments.add_argument("--seconds", type=float, help=f"per session (default {SECONDS:.0f}, quick {QUICK_SECONDS})")
    arguments.add_argument("--servers", nargs="+", help="only these of: streamapp FastRTC aiortc")
    arguments.add_argument("--hd", action="store_true", help="1280x720 instead of 640x480")
    chosen = arguments.parse_args()
    partial = any((chosen.pairs, chosen.seconds, chosen.servers))
    options = Options.of(chosen, partial=partial)
    fastrtc_python()  # needs the package index: before the network is left
    address = enter("benchmarks.webrtc")
    pairs = chosen.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    seconds = chosen.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    run_webrtc(options, HD if chosen.hd else VGA, pairs, seconds, address, chosen.servers or ())


if __name__ == "__main__":
    main()
