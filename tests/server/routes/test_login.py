"""Signing in: a token becomes a cookie."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from streamapp.access.tokens import Scope
from tests.server.conftest import StartBench
from tests.server.routes.test_webrtc import problem
from tests.server.visitors import Tokens


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


async def test_a_token_becomes_a_cookie_that_no_script_can_read(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        assert (await bench.http.get("/login")).json() == {
            "required": True,
            "name": None,
            "scopes": [],
            "expires_at": None,
        }
        response = await bench.http.post("/login", json={"token": f" {secret}\n"})
        assert response.status_code == 200
        assert (response.json()["name"], response.json()["scopes"]) == ("phone", ["view"])
        cookie = response.headers["set-cookie"]
        for part in ("streamapp=sapp_", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"):
            assert part in cookie
        assert "Domain" not in cookie
        assert secret not in response.text
        assert (await bench.http.get("/streams")).status_code == 200
        assert (await bench.http.get("/login")).json()["name"] == "phone"
        assert (await bench.http.delete("/login")).status_code == 204
        assert (await bench.http.get("/streams")).status_code == 401


async def test_over_tls_the_cookie_is_secure_and_of_this_host_only(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        url = "https://127.0.0.1:8000"
        async with httpx.AsyncClient(transport=bench.http._transport, base_url=url) as http:
            cookie = (await http.post("/login", json={"token": secret})).headers["set-cookie"]
            assert cookie.startswith("__Host-streamapp=")
            assert "Secure" in cookie
            assert (await http.get("/streams")).status_code == 200


async def test_the_cookie_goes_when_the_token_does(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW, now=time.time(), lifetime_s=600)
    async with start_bench(keyring=tokens.keyring) as bench:
        cookie = (await bench.http.post("/login", json={"token": secret})).headers["set-cookie"]
        lifetime_s = int(cookie.partition("Max-Age=")[2].partition(";")[0])
        assert 590 <= lifetime_s <= 600


@pytest.mark.parametrize("token", ["wrong", "sapp_", "x" * 128])
async def test_a_wrong_token_is_said_so_and_not_repeated(start_bench: StartBench, tokens: Tokens, token: str) -> None:
    tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        response = await bench.http.post("/login", json={"token": token})
        assert (response.status_code, problem(response)) == (401, "token_invalid")
        assert "set-cookie" not in response.headers
        assert token == "sapp_" or token not in response.text


async def test_other_pages_cannot_sign_anybody_in(start_bench: StartBench, tokens: Tokens) -> None:
    secret = tokens.make(Scope.VIEW)
    async with start_bench(keyring=tokens.keyring) as bench:
        headers = {"Origin": "https://evil.example"}
        assert (await bench.http.post("/login", json={"token": secret}, headers=headers)).status_code == 403


async def test_where_no_token_is_asked_for_it_says_so(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        login = (await bench.http.get("/login")).json()
        assert (login["required"], login["scopes"]) == (False, list(Scope))
        assert "set-cookie" not in (await bench.http.post("/login", json={"token": "x"})).headers
