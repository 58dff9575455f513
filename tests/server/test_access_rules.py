"""Every route and every file, by who may have it. A new route fails here until access_rules.py names it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from streamapp.access.tokens import Scope
from streamapp.assets import asset
from streamapp.server.access_rules import OPEN_FILES, AccessRules, Entry
from streamapp.server.app import create_app
from tests.server.conftest import ORIGIN, Bench, StartBench
from tests.server.routes.test_webrtc import problem
from tests.server.visitors import Endpoint, Tokens, bearer, endpoints

RULES = AccessRules.with_pages(asset("web"))
OPEN = {"/login": Entry.ANYONE, "/health": Entry.REDUCED}
"""The routes that need no token."""
EVERYTHING = frozenset(Scope)


@pytest.mark.parametrize(
    ("method", "path", "needs"),
    [
        ("GET", "/", Scope.VIEW),
        ("GET", "/app.js", Scope.VIEW),
        ("GET", "/streams", Scope.VIEW),
        ("GET", "/streams/door/snapshot.jpg", Scope.VIEW),
        ("GET", "/streams/door/tracks/3/why", Scope.VIEW),
        ("POST", "/streams", Scope.OPERATE),
        ("POST", "/streams/test", Scope.OPERATE),
        ("PATCH", "/streams/door", Scope.OPERATE),
        ("DELETE", "/streams/door", Scope.OPERATE),
        ("POST", "/streams/door/recording", Scope.OPERATE),
        ("POST", "/whip", Scope.OPERATE),
        ("OPTIONS", "/whip", Scope.OPERATE),
        ("PATCH", "/whip/abc", Scope.OPERATE),
        ("POST", "/whep/door", Scope.VIEW),
        ("DELETE", "/whep/door/abc", Scope.VIEW),
        ("GET", "/events", Scope.VIEW),
        ("GET", "/events/live", Scope.VIEW),
        ("GET", "/recordings/1/video", Scope.VIEW),
        ("GET", "/recordings/1/replay", Scope.VIEW),
        ("POST", "/recordings/1/replay", Scope.OPERATE),
        ("GET", "/settings", Scope.OPERATE),
        ("POST", "/settings/check", Scope.OPERATE),
        ("GET", "/settings.html", Scope.VIEW),
        ("GET", "/machine", Scope.OPERATE),
        ("DELETE", "/recordings/1", Scope.OPERATE),
        ("POST", "/detect/fast", Scope.OPERATE),
        ("POST", "/analyze/full", Scope.OPERATE),
        ("GET", "/gallery/people", Scope.GALLERY),
        ("POST", "/gallery/identify", Scope.GALLERY),
        ("GET", "/metrics", Scope.METRICS),
        ("GET", "/openapi.json", Scope.VIEW),
    ],
)
def test_what_needs_what(method: str, path: str, needs: Scope) -> None:
    assert RULES.needs(method, path) == frozenset({needs})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/nowhere"), ("GET", "/galleryx"), ("GET", "/new/photo.jpg"), ("POST", "/app.js"), ("PUT", "/")),
        *(("GET", "//gallery"), ("GET", "/./gallery/people"), ("GET", "/Gallery/people"), ("POST", "/metrics")),
        *(("GET", "/login.htmlx"), ("GET", "/loginx"), ("BREW", "/status"), ("GET", "")),
    ],
)
def test_what_no_rule_names_needs_every_scope(method: str, path: str) -> None:
    assert RULES.needs(method, path) == EVERYTHING


async def app_endpoints(bench: Bench, tokens: Tokens) -> set[Endpoint]:
    return endpoints(create_app(bench.runtime, bench.signalling, tokens.keyring))


async def test_every_route_is_classified(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench() as bench:
        found = await app_endpoints(bench, Tokens(tmp_path))
    assert len(found) >= 40
    forgotten = [f"{e.method} {e.template}" for e in found if RULES.needs(e.method, e.path) == EVERYTHING]
    assert not forgotten, f"say in streamapp/server/access_rules.py who may use {', '.join(forgotten)}"
    is_open = {e.path: needs for e in found if isinstance(needs := RULES.needs(e.method, e.path), Entry)}
    assert is_open == OPEN


async def test_without_a_token_every_route_and_file_is_closed(start_bench: StartBench, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        found = await app_endpoints(bench, tokens)
        files = {Endpoint("GET", f"/{path.relative_to(asset('web'))}") for path in asset("web").rglob("*.*")}
        for endpoint in found | files | {Endpoint("GET", "/"), Endpoint("HEAD", "/app.js"), Endpoint("GET", "/x")}:
            if endpoint.path in OPEN or endpoint.path in OPEN_FILES:
                continue
            for headers in ({}, bearer("sapp_wrong"), {"Cookie": "streamapp=sapp_wrong"}):
                response = await bench.http.request(endpoint.method, endpoint.path, headers=headers)
                assert response.status_code == 401, endpoint
                assert response.headers["www-authenticate"].startswith("Bearer"), endpoint
        assert not bench.runtime.streams


async def test_a_token_for_something_else_is_told_what_it_lacks(start_bench: StartBench, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    secrets = {scope: tokens.make(*(set(Scope) - {scope}), name=f"not-{scope}") for scope in Scope}
    async with start_bench(keyring=tokens.keyring) as bench:
        for endpoint in await app_endpoints(bench, tokens):
            needs = RULES.needs(endpoint.method, endpoint.path)
            if isinstance(needs, Entry):
                continue
            (scope,) = needs
            response = await bench.http.request(endpoint.method, endpoint.path, headers=bearer(secrets[scope]))
            assert response.status_code == 403, endpoint
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
            if endpoint.method != "HEAD":
                assert problem(response) == "scope_missing"
                assert scope.value in response.json()["detail"]


async def test_the_right_token_opens_what_it_is_for(start_bench: StartBench, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    asked = {Scope.VIEW: "/streams", Scope.METRICS: "/metrics"}
    secrets = {scope: tokens.make(scope, name=scope.value) for scope in asked}
    async with start_bench(keyring=tokens.keyring) as bench:
        for scope, path in asked.items():
            assert (await bench.http.get(path, headers=bearer(secrets[scope]))).status_code == 200
        for file in ("/", "/app.js"):
            assert (await bench.http.get(file, headers=bearer(secrets[Scope.VIEW]))).status_code == 200


async def test_the_open_routes_say_little(start_bench: StartBench, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    viewer, scraper = tokens.make(Scope.VIEW), tokens.make(Scope.METRICS, name="prometheus")
    async with start_bench(keyring=tokens.keyring) as bench:
        assert (await bench.http.get("/health")).json() == {"status": "alive"}
        assert (await bench.http.get("/health", headers=bearer(scraper))).json() == {"status": "alive"}
        assert "services" in (await bench.http.get("/health", headers=bearer(viewer))).json()
        assert (await bench.http.get("/health", headers=bearer("wrong"))).status_code == 401
        for path in OPEN_FILES:
            assert (await bench.http.get(path)).status_code == 200, path


async def test_a_trick_with_the_host_opens_nothing(start_bench: StartBench, tmp_path: Path) -> None:
    """Frameworks that rebuild the address from the Host header see another path."""
    tokens = Tokens(tmp_path)
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        for host in ("127.0.0.1/login?", "127.0.0.1:8000/health?x=", "localhost#"):
            assert (await bench.http.get("/streams", headers={"Host": host})).status_code == 400
        for path in ("/login/../streams", "/login/%2e%2e/streams", "/health/..%2fstreams", "/login.html/../app.js"):
            answer = await bench.http.send(httpx.Request("GET", f"{ORIGIN}{path}"))
            assert answer.status_code in (401, 404, 405), path
