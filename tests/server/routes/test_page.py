"""The page and its files."""

from __future__ import annotations

import re

import pytest

from streamapp.assets import asset
from tests.server.conftest import StartBench
from tests.server.routes.test_webrtc import problem


async def test_the_page_is_at_the_root(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.get("/")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
        assert response.content == (asset("web") / "index.html").read_bytes()


async def test_browsers_ask_each_time_and_get_it_only_if_it_changed(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        first = await bench.http.get("/app.js")
        assert first.headers["cache-control"] == "no-cache"
        assert "javascript" in first.headers["content-type"]
        again = await bench.http.get("/app.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == "no-cache"


async def test_every_file_of_the_page_is_served(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        for path in asset("web").iterdir():
            if path.is_file():
                assert (await bench.http.get(f"/{path.name}")).status_code == 200, path.name


PAGES = sorted(path.name for path in asset("web").glob("*.html") if path.name != "login.html")
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="description" content="""


@pytest.mark.parametrize("name", PAGES)
def test_every_page_begins_alike_and_is_in_the_navigation(name: str) -> None:
    text = (asset("web") / name).read_text()
    assert text.startswith(HEAD)
    for once in (
        '<link rel="icon" href="icon.svg" type="image/svg+xml">',
        '<link rel="stylesheet" href="style.css">',
        '<script type="module" src="nav.js"></script>',
        '<a class="skip" href="#',
        '<header class="top">',
    ):
        assert text.count(once) == 1, once
    pages = re.findall(r'^  \["([^"]+)", "[^"]+"\],$', (asset("web") / "nav.js").read_text(), re.MULTILINE)
    assert ("./" if name == "index.html" else name) in pages


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere.js",
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/..%2fpyproject.toml",
        "/..%5cx",
        "/a%00b",
        "/docs",
    ],
)
async def test_nothing_else_is(start_bench: StartBench, path: str) -> None:
    async with start_bench() as bench:
        response = await bench.http.get(path)
        assert (response.status_code, problem(response)) == (404, "not_found")


async def test_files_are_only_read(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        response = await bench.http.post("/app.js")
        assert (response.status_code, problem(response)) == (405, "method_not_allowed")
        assert response.headers["allow"] == "GET, HEAD"
        assert (await bench.http.post("/nowhere")).status_code == 404
        assert (await bench.http.head("/app.js")).status_code == 200
