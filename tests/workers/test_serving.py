"""A server with two workers, as somebody uses it: the same API, and what becomes of it when a worker is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import Scope, new_token
from tests.server.picture_bytes import saved
from tests.server_process import ServerProcess, serving
from tests.sessions import picture
from tests.waiting import until, until_sync
from tests.webrtc_peers import NumberedTrack, WebPeer, use_loopback
from tests.weights import models_folder, need_full_mode

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(200)]
SETTINGS = {
    "SERVER__WORKERS": "2",
    "SERVER__MAX_STREAMS": "5",
    "WEBRTC__MAX_SESSIONS": "2",
    "RECORDING__MIN_FREE_BYTES": "0",
    "EVENTS__APPEAR_S": "0.3",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("served")
    weights = folder / "weights"
    weights.mkdir()
    with serving(folder, settings=SETTINGS | {"MODELS__DIR": str(models_folder(weights))}) as running:
        yield running


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    """Takes away every stream in the end."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
        for stream in client.get("/streams").json():
            client.delete(f"/streams/{stream['name']}")


def processes(server: ServerProcess, module: str) -> list[psutil.Process]:
    """Children of the server that run a module."""
    found = []
    for child in psutil.Process(server.pid).children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if module in child.cmdline():
                found.append(child)
    return found


def workers(server: ServerProcess) -> list[psutil.Process]:
    return processes(server, "tests.loopback_worker")


def add(http: httpx.Client, name: str, **wanted: object) -> dict[str, Any]:
    response = http.post("/streams", json={"name": name, "source": "demo", **wanted})
    assert response.status_code == 201, response.text
    added: dict[str, Any] = response.json()
    return added


def shown(http: httpx.Client, name: str) -> dict[str, Any]:
    stream: dict[str, Any] = http.get(f"/streams/{name}").raise_for_status().json()
    return stream


def listed(http: httpx.Client) -> dict[str, dict[str, Any]]:
    return {stream["name"]: stream for stream in http.get("/streams").raise_for_status().json()}


def live(http: httpx.Client, name: str, *, frames: int = 5) -> None:
    until_sync(lambda: (s := listed(http)[name])["state"] == "live" and s["frames"] >= frames, 30)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_streams_are_asked_about_as_in_one_process(http: httpx.Client, server: ServerProcess) -> None:
    assert len(workers(server)) == 2
    assert len(processes(server, "streamapp.hosting.program")) == 1
    add(http, "one")
    add(http, "two")
    for name in ("one", "two"):
        live(http, name)
        assert http.get(f"/streams/{name}/tracks").json()["stream"] == name
        until_sync(lambda name=name: http.get(f"/streams/{name}/tracks").json()["tracks"], 20)  # type: ignore[misc]
        jpeg = http.get(f"/streams/{name}/snapshot.jpg", params={"width": 160})
        assert (jpeg.status_code, jpeg.headers["content-type"], jpeg.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
        again = http.get(f"/streams/{name}/snapshot.jpg", headers={"If-None-Match": jpeg.headers["etag"]})
        assert again.status_code in (200, 304)
        with http.stream("GET", f"/streams/{name}/events") as events:
            lines = events.iter_lines()
            assert {next(line for line in lines if line.startswith("event")) for _ in range(3)} <= {
                "event: status",
                "event: result",
            }
        with http.stream("GET", f"/streams/{name}/mjpeg") as motion:
            assert next(motion.iter_bytes()).startswith(b"--frame")
    status = http.get("/status").json()
    assert {stream["name"] for stream in status["streams"]} == {"one", "two"}
    assert status["memory"]["budget_mb"] > 0
    metrics = http.get("/metrics").text
    assert 'streamapp_streams{state="live"} 2.0' in metrics
    assert http.get("/health").json()["services"]["mediapipe"]["model_loaded"]


def test_what_cannot_be_is_refused_as_in_one_process(http: httpx.Client) -> None:
    add(http, "one")
    add(http, "two")
    assert code(http.post("/streams", json={"name": "one", "source": "demo"})) == (409, "conflict")
    assert code(http.patch("/streams/two", json={"name": "one"})) == (409, "conflict")
    assert code(http.get("/streams/three")) == (404, "not_found")
    assert code(http.delete("/whip/nobody")) == (404, "not_found")
    assert code(http.post("/streams", json={"name": "bad", "source": "gopher://x"})) == (400, "source_url_invalid")
    assert code(http.post("/streams", content=b"{", headers={"Content-Type": "application/json"}))[0] == 422
    assert http.put("/streams/one").status_code == 405
    for number in range(3):
        add(http, f"more-{number}")
    assert code(http.post("/streams", json={"name": "last", "source": "demo"})) == (503, "overloaded")
    assert http.patch("/streams/two", json={"name": "renamed"}).json()["name"] == "renamed"
    assert http.delete("/streams/renamed").status_code == 204
    assert "renamed" not in listed(http)


def test_a_killed_worker_comes_back_with_its_streams(http: httpx.Client, server: ServerProcess) -> None:
    for name in ("one", "two"):
        add(http, name, privacy=name == "two")
        live(http, name)
    results = _results_total(http)
    victim = workers(server)[0]
    victim.kill()
    until_sync(lambda: any(s["code"] == "worker_lost" for s in listed(http).values()), 5)
    (lost,) = (name for name, stream in listed(http).items() if stream["code"] == "worker_lost")
    (other,) = {"one", "two"} - {lost}
    frames = listed(http)[other]["frames"]
    live(http, lost)
    assert shown(http, lost)["privacy"] is (lost == "two")
    assert listed(http)[other]["frames"] > frames, "the other worker's stream went on"
    assert len(workers(server)) == 2
    assert _results_total(http) > results, "what was counted stays counted"
    left = [event for event in http.get("/events").json()["events"] if event["because"] == "stream_lost"]
    assert {event["stream"] for event in left} <= {lost}


def test_a_worker_that_hangs_is_killed_and_comes_back(http: httpx.Client, server: ServerProcess) -> None:
    add(http, "one")
    live(http, "one")
    before = workers(server)
    for worker in before:
        worker.suspend()
    until_sync(lambda: not {worker.pid for worker in before} & {worker.pid for worker in workers(server)}, 40)
    until_sync(lambda: len(workers(server)) == 2, 20)
    live(http, "one")


def test_the_models_process_is_killed_and_streams_go_on(http: httpx.Client, server: ServerProcess) -> None:
    need_full_mode()
    add(http, "one", mode="full")
    live(http, "one")
    (models,) = processes(server, "streamapp.hosting.program")
    models.kill()
    frames = shown(http, "one")["frames"]
    until_sync(lambda: shown(http, "one")["frames"] > frames + 30, 20)
    until_sync(lambda: len(processes(server, "streamapp.hosting.program")) == 1, 20)
    until_sync(lambda: _examined(http).status_code == 200, 20)


def test_workers_are_replaced_and_no_picture_fails(http: httpx.Client, server: ServerProcess) -> None:
    add(http, "one")
    live(http, "one")
    before = {worker.pid for worker in workers(server)}
    os.kill(server.pid, signal.SIGHUP)
    answers = []

    def all_are_new() -> bool:
        answers.append(_examined(http).status_code)
        now = {worker.pid for worker in workers(server)}
        return len(now) == 2 and not now & before

    until_sync(all_are_new, 60)
    assert set(answers) == {200}
    live(http, "one")


def test_a_recording_of_a_worker_is_seen_and_guarded(http: httpx.Client) -> None:
    add(http, "one")
    live(http, "one")
    begun = http.post("/streams/one/recording").json()["id"]
    until_sync(lambda: shown(http, "one")["recording"]["seconds"] > 1, 20)
    assert http.get(f"/recordings/{begun}").json()["state"] == "recording"
    assert code(http.delete(f"/recordings/{begun}")) == (409, "conflict")
    assert http.delete("/streams/one/recording").json()["state"] == "complete"
    until_sync(lambda: http.delete(f"/recordings/{begun}").status_code == 204, 5)


def test_somebody_is_enrolled_named_renamed_and_erased_over_all_workers(http: httpx.Client) -> None:
    need_full_mode()
    for name in ("one", "two"):
        add(http, name, mode="full")
        live(http, name)
    until_sync(lambda: _tracks(http, "one"), 20)
    wanted = {"name": "Ada", "consent_by": "Ada", "consent_text": "v1", "consent_until": "2099-01-01"}

    def enrolled() -> bool:
        track = next((track["id"] for track in _tracks(http, "one")), None)
        face = {"stream": "one", "track": track, "allow_spoof": True}
        response = http.post("/gallery/people", json=wanted | face)
        assert response.status_code in (201, 404, 409, 422), response.text
        return response.status_code == 201

    until_sync(enrolled, 60)
    (person,) = http.get("/gallery/people").json()["people"]
    for name in ("one", "two"):
        until_sync(lambda name=name: "Ada" in _names(http, name), 60)  # type: ignore[misc]
    http.patch(f"/gallery/people/{person['id']}", json={"name": "Grace"}).raise_for_status()
    until_sync(lambda: "Grace" in _names(http, "two"), 20)
    http.delete(f"/gallery/people/{person['id']}").raise_for_status()
    for name in ("one", "two"):
        until_sync(lambda name=name: not _names(http, name), 5)  # type: ignore[misc]


async def test_browsers_publish_and_watch_on_any_worker(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    use_loopback(monkeypatch)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        peers = [WebPeer(http, "/whip?mode=fast") for _ in range(2)]
        for peer in peers:
            peer.open_channel()
            peer.send_video(NumberedTrack())
            await peer.connect()
        for peer in peers:
            await until(lambda peer=peer: len(peer.results) > 10, 20)  # type: ignore[misc]
        full = WebPeer(http, "/whip")
        full.send_video(NumberedTrack())
        refused = await full.post(await full.offer())
        assert code(refused) == (503, "overloaded")
        streams = [stream["name"] for stream in (await http.get("/streams")).json()]
        assert len(streams) == 2
        viewer = WebPeer(http, f"/whep/{streams[0]}")
        viewer.open_channel()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: viewer.results and viewer.last_picture is not None, 20)
        assert (await http.get(viewer.location)).status_code == 204
        for peer in (viewer, *peers):
            assert (await http.delete(peer.location)).status_code == 200
        assert (await http.get("/streams")).json() == []
        for peer in (full, viewer, *peers):
            await peer.close()


def test_a_stopped_server_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path, settings=SETTINGS) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        add(http, "one")
        live(http, "one")
        children = psutil.Process(server.pid).children(recursive=True)
        server.stop()
        assert server.exit_code == 0
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running()]
        server.start()
        live(http, "one")


async def test_a_session_ends_with_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_loopback(monkeypatch)
    tokens = TokenFile(tmp_path / "keys" / "tokens.json")
    token, secret = new_token("phone", frozenset({Scope.OPERATE, Scope.VIEW}), now=time.time(), lifetime_s=None)
    watching, looking = new_token("watch", frozenset({Scope.VIEW}), now=time.time(), lifetime_s=None)
    tokens.add(token)
    tokens.add(watching)
    with serving(tmp_path, settings=SETTINGS) as server:
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=server.url, timeout=30, headers=headers) as http:
            assert (await http.get("/streams", headers={"Authorization": "Bearer no"})).status_code == 401
            peer = WebPeer(http, "/whip?mode=fast")
            peer.open_channel()
            peer.send_video(NumberedTrack())
            await peer.connect()
            await until(lambda: peer.results, 20)
            tokens.remove("phone")
            allowed = {"Authorization": f"Bearer {looking}"}
            async with asyncio.timeout(15):
                while (await http.get("/streams", headers=allowed)).json():  # noqa: ASYNC110 - outside facts have no event
                    await asyncio.sleep(0.1)
            await peer.close()


def _results_total(http: httpx.Client) -> float:
    (line,) = (line for line in http.get("/metrics").text.splitlines() if line.startswith("streamapp_results_total "))
    return float(line.split()[1])


def _examined(http: httpx.Client) -> httpx.Response:
    return http.post("/detect/fast", files={"image": saved(picture("portraits/uniface_src_portrait1.jpg"), "JPEG")})


def _tracks(http: httpx.Client, stream: str) -> list[dict[str, Any]]:
    response = http.get(f"/streams/{stream}/tracks")
    tracks: list[dict[str, Any]] = response.json()["tracks"] if response.status_code == 200 else []
    return tracks


def _names(http: httpx.Client, stream: str) -> set[str]:
    identities = [track["analyses"].get("identity", {}) for track in _tracks(http, stream)]
    return {identity["name"] for identity in identities if identity.get("name")}
