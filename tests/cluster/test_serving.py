"""A server whose streams and models are on three machines, and what becomes of them when one dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from streamapp.capacity.load import put_load
from streamapp.capacity.load_request import LoadRequest
from streamapp.faces import Mode
from tests.browser import open_browser, open_page, save_screenshot
from tests.cluster.machines import kill_machine, machines
from tests.server.picture_bytes import saved
from tests.server_process import ServerProcess, serving
from tests.sessions import picture
from tests.waiting import until_sync
from tests.weights import models_folder, need_full_mode

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(200)]
CONSENT = {"consent_by": "Ada", "consent_text": "v1", "consent_until": "2099-01-01"}
NAMES = ("one", "two", "three")
BUDGET_MB, RESERVE_MB = 1500, 100
PATIENCE_S = 40.0
"""Of these tests, on a busy machine; docs/scaling.md says how long it takes."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with machines(tmp_path_factory.getbasetemp(), 3) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def server(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    need_full_mode()
    folder = tmp_path_factory.mktemp("served")
    weights = folder / "weights"
    weights.mkdir()
    settings = {
        "MODELS__DIR": str(models_folder(weights)),
        "CLUSTER__ADDRESS": cluster.address,
        "CLUSTER__TOKEN_FILE": str(cluster.secret),
        "SCHEDULER__BUDGET_MB": str(BUDGET_MB),
        "SCHEDULER__RESERVE_MB": str(RESERVE_MB),
    }
    with serving(folder, settings=settings) as running:
        yield running


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def listed(http: httpx.Client) -> dict[str, dict[str, Any]]:
    return {stream["name"]: stream for stream in http.get("/streams").raise_for_status().json()}


def live(http: httpx.Client, name: str) -> bool:
    stream = listed(http)[name]
    return bool(stream["state"] == "live" and stream["frames"] >= 5)


def identified(http: httpx.Client, name: str) -> bool:
    tracks = http.get(f"/streams/{name}/tracks").json().get("tracks", [])
    return any({"liveness", "gender_age"} <= track["analyses"].keys() for track in tracks)


def owners() -> list[psutil.Process]:
    """Of streams: workers in Ray's processes."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "streamapp.workers.program" in (process.info["cmdline"] or []):
            found.append(process)
    return found


def test_streams_and_models_are_spread_over_the_machines(http: httpx.Client) -> None:
    for name in NAMES:
        added = http.post("/streams", json={"name": name, "source": "demo", "mode": "full"})
        assert added.status_code == 201, added.text
    for name in NAMES:
        until_sync(lambda name=name: live(http, name), 30)  # type: ignore[misc]
        until_sync(lambda name=name: identified(http, name), 30)  # type: ignore[misc]
    assert len({process.ppid() for process in owners()}) == 3, "each in a place of its own"
    memory = http.get("/status").json()["memory"]
    assert len(memory["devices"]) == 3
    assert all(device["committed_mb"] <= device["budget_mb"] for device in memory["devices"])
    assert len({variant["variant"] for device in memory["devices"] for variant in device["resident"]}) >= 4
    assert http.get("/streams/one/snapshot.jpg").content[:2] == b"\xff\xd8"
    with http.stream("GET", "/streams/two/events") as events:
        assert any(line == "event: result" for line in events.iter_lines())


def test_the_memory_page_shows_every_device(http: httpx.Client, server: ServerProcess) -> None:
    with open_browser() as browser, open_page(browser, f"{server.url}/memory.html") as page:
        rows = page.locator("#devices tbody tr")
        expect(rows).to_have_count(3)
        for row in rows.all():
            expect(row).to_contain_text("at work")
        expect(page.locator("#device")).to_contain_text(f"of {3 * (BUDGET_MB - RESERVE_MB)} MB")
        save_screenshot(page, "memory-cluster")


def test_the_page_of_the_machines_shows_all_of_them(server: ServerProcess) -> None:
    with open_browser() as browser, open_page(browser, f"{server.url}/machines.html") as page:
        rows = page.locator("#machines tbody tr")
        expect(rows).to_have_count(3)
        expect(page.locator("#sum")).to_have_text("3 machines, 3 streams.")
        for row in rows.all():
            expect(row).to_contain_text("/0")
            expect(row).to_contain_text("version")
            expect(row.locator("td").nth(5)).to_have_text(re.compile(r"\d\.\d"))
        for name in NAMES:
            expect(rows.filter(has_text=name)).to_have_count(1)
        expect(page.locator("#devices tbody tr")).to_have_count(3)
        save_screenshot(page, "machines-cluster")


async def test_what_crosses_between_machines_is_measured(server: ServerProcess) -> None:
    wanted = LoadRequest(server.url, 0, 0, None, 2, 3.0, Mode.FULL, elsewhere=False)
    report = await put_load(wanted)
    assert len(report.machines) == 3
    assert report.crossing_kb_per_s is not None
    assert 0 < report.crossing_kb_per_s < 5000, "streams that nobody watches tell the server how they are, at least"
    assert sum(machine.analyses_per_s for machine in report.machines) > 1
    assert len(report.tables()) == 3


def copies(http: httpx.Client) -> list[int]:
    """Versions of the copies on each machine; -1 while one is on its way."""
    machines = http.get("/status").raise_for_status().json()["machines"]
    return [
        -1 if machine["gallery_version"] is None else machine["gallery_version"]
        for machine in machines
        if machine["workers"]
    ]


def test_every_machine_has_a_copy_of_the_gallery_without_whom_is_erased(http: httpx.Client) -> None:
    until_sync(lambda: len(copies(http)) == 3 and min(copies(http)) >= 0, 10)
    before = copies(http)
    face = saved(picture("portraits/uniface_src_portrait1.jpg"), "JPEG")
    response = http.post(
        "/gallery/people", data={"name": "Ada", **CONSENT}, files={"image": ("a.jpg", face, "image/jpeg")}
    )
    assert response.status_code == 201, response.text
    until_sync(lambda: all(now > then for now, then in zip(copies(http), before, strict=True)), 10)
    enrolled = copies(http)
    assert len(set(enrolled)) == 1
    http.delete(f"/gallery/people/{response.json()['person']['id']}").raise_for_status()
    until_sync(lambda: all(now > then for now, then in zip(copies(http), enrolled, strict=True)), 10)


def test_pictures_are_examined_there(http: httpx.Client) -> None:
    answer = http.post("/analyze/full", files={"image": saved(picture("portraits/uniface_src_portrait1.jpg"), "JPEG")})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["faces"]) == 1


def test_a_machine_dies_and_its_streams_go_on_elsewhere(http: httpx.Client, cluster: Any) -> None:
    before = {name: listed(http)[name]["frames"] for name in NAMES}
    victim = next(node for node in cluster.list_all_nodes() if not node.head and owners_on(node))
    kill_machine(cluster, victim)
    until_sync(lambda: any(stream["code"] == "worker_lost" for stream in listed(http).values()), PATIENCE_S)
    lost = {name for name, stream in listed(http).items() if stream["code"] == "worker_lost"}
    until_sync(lambda: all(live(http, name) for name in lost), PATIENCE_S)
    assert listed(http).keys() == set(NAMES)
    for name in set(NAMES) - lost:
        assert listed(http)[name]["frames"] > before[name] + 30, "it went on all the time"
    until_sync(lambda: all(identified(http, name) for name in NAMES), 30)
    devices = http.get("/status").json()["memory"]["devices"]
    assert all(device["committed_mb"] <= device["budget_mb"] for device in devices)


def owners_on(node: Any) -> bool:
    raylet = node.all_processes["raylet"][0].process.pid
    below = {child.pid for child in psutil.Process(raylet).children(recursive=True)}
    return any(owner.pid in below for owner in owners())


def test_a_stopped_server_leaves_nothing_on_the_machines(server: ServerProcess, http: httpx.Client) -> None:
    http.close()
    server.stop()
    assert server.exit_code == 0, server.log
    until_sync(lambda: not owners(), 15)


def test_without_the_secret_there_is_no_way_in(cluster: Any, tmp_path: Path) -> None:
    settings = {
        "MODELS__DIR": str(tmp_path),
        "CLUSTER__ADDRESS": cluster.address,
        "CLUSTER__TOKEN_FILE": str(tmp_path / "none"),
    }
    refused = ServerProcess(tmp_path, settings=settings)
    with pytest.raises(AssertionError, match="streamapp cluster up"):
        refused.start()
