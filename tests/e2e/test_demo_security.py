"""Gradio as it is really mounted: what it offers beyond its page is closed; no client can name a file or address."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from streamapp.server.security import CONTENT_SECURITY_POLICY
from tests.server_process import ServerProcess, serving
from tests.web_server import Answer, Asked, WebServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.weights,
    pytest.mark.timeout(200),
    pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is absent (pip install 'streamapp[demo]')"),
]
JOIN = "/demo/gradio_api/queue/join"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/demo/").status_code == 200
        yield client


def test_no_component_takes_a_file(http: httpx.Client) -> None:
    config = http.get("/demo/config").json()
    kinds = {component["type"] for component in config["components"]}
    assert kinds <= {
        *("markdown", "tabs", "tabitem", "row", "column", "html", "textbox", "radio", "button", "accordion", "code"),
        *("slider", "form"),
    }
    inputs = {number for function in config["dependencies"] for number in function["inputs"]}
    assert {c["type"] for c in config["components"] if c["id"] in inputs} == {"textbox", "radio", "slider"}
    assert config["analytics_enabled"] is False
    assert not [function for function in config["dependencies"] if function["api_visibility"] == "public"]


def test_the_settings_in_the_page_name_no_path_of_the_server(http: httpx.Client, server: ServerProcess) -> None:
    text = http.get("/demo/").text
    assert "streamapp-demo-" not in text
    assert str(Path.cwd()) not in text
    assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize(
    "path",
    [
        *("gradio_api/file=/etc/passwd", "gradio_api/file/etc/passwd", "gradio_api/file=..%2f..%2fetc%2fpasswd"),
        *("monitoring", "monitoring/summary", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/runs"),
        *("gradio_api/vibe-code", "gradio_api/token", "gradio_api/dev/reload", "gradio_api/mcp/sse", "docs"),
    ],
)
def test_the_rest_of_gradio_is_closed(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/demo/{path}")
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["upload", "component_server", "run/predict", "call/predict", "vibe-edit"])
def test_posting_past_the_queue_is_closed(http: httpx.Client, path: str) -> None:
    assert http.post(f"/demo/gradio_api/{path}", json={"data": []}).status_code == 404
    assert http.post(f"/demo/gradio_api/{path}", files={"files": b"x"}).status_code == 404


def test_nobody_is_asked_on_behalf_of_a_client(http: httpx.Client) -> None:
    """The file route, the proxy and descriptions of files in calls would each make the server fetch an address."""
    asked: list[Asked] = []

    def answer(request: Asked) -> Answer:
        asked.append(request)
        return Answer(b"secret")

    with WebServer(answer) as inside:
        described = {"path": inside.url, "url": inside.url, "meta": {"_type": "gradio.FileData"}}
        for path in (f"gradio_api/file={inside.url}/", f"gradio_api/proxy={inside.url}/", f"proxy={inside.url}/"):
            assert http.get(f"/demo/{path}").status_code == 404
        for number in range(4):
            call = {"data": [described, "fast"], "fn_index": number, "session_hash": "probe"}
            assert http.post(JOIN, json=call).status_code == 422
        assert asked == []


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
def test_other_pages_get_nothing_and_no_reflected_origin(http: httpx.Client, headers: dict[str, str]) -> None:
    call = {"data": ["example:two", "fast"], "fn_index": 0, "session_hash": "probe"}
    for answer in (http.post(JOIN, json=call, headers=headers), http.get("/demo/config", headers=headers)):
        assert answer.status_code in (400, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_the_looser_policy_is_for_its_path_only(http: httpx.Client) -> None:
    loose = http.get("/demo/").headers["content-security-policy"]
    assert "'unsafe-inline'" in loose
    assert all(word in loose for word in ("default-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"))
    assert http.get("/").headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_a_failure_inside_is_not_described(http: httpx.Client) -> None:
    """The mode is none of ours, which nobody can choose on the page."""
    functions = http.get("/demo/config").json()["dependencies"]
    examine = next(f["id"] for f in functions if len(f["inputs"]) == 2 and len(f["outputs"]) == 4)
    call = {"data": ["example:two", "/etc/passwd"], "fn_index": examine, "session_hash": "failing"}
    assert http.post(JOIN, json=call).status_code == 200
    with http.stream("GET", "/demo/gradio_api/queue/data?session_hash=failing") as events:
        done = next(line for line in events.iter_lines() if "process_completed" in line)
    assert '"success":false' in done
    assert "Traceback" not in done
    assert "streamapp/" not in done
