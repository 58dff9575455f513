"""Answers to challenges, against the examples of the RFCs."""

from __future__ import annotations

import pytest

from streamapp.sources.rtsp_auth import authorization

NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


def test_digest_with_quality_of_protection_as_in_rfc_2617() -> None:
    challenge = f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{NONCE}", opaque="5ccc"'
    answer = authorization([challenge], "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="0a4f113b")
    assert answer is not None
    assert 'response="6629fae49393a05397450978507c4ef1"' in answer
    assert 'opaque="5ccc"' in answer
    assert 'nc=00000001, cnonce="0a4f113b"' in answer


def test_digest_with_sha_256_as_in_rfc_7616() -> None:
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    answer = authorization([challenge], "GET", "/dir/index.html", "Mufasa", "Circle of Life", cnonce=cnonce)
    assert answer is not None
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer


def test_digest_goes_before_basic_and_unknown_methods_are_passed_over() -> None:
    challenges = ["Negotiate abc", 'Basic realm="x"', f'Digest realm="x", nonce="{NONCE}"']
    answer = authorization(challenges, "DESCRIBE", "rtsp://cam/x", "u", "p")
    assert answer is not None
    assert answer.startswith("Digest ")
    assert "qop" not in answer


def test_basic_is_used_where_digest_cannot_be_answered() -> None:
    challenges = [f'Digest realm="x", nonce="{NONCE}", algorithm=FOO', 'Basic realm="x"']
    assert authorization(challenges, "DESCRIBE", "x", "Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@pytest.mark.parametrize("challenges", [[], ["Negotiate"], ['Digest realm="x"'], ['Digest nonce="1", qop="auth-int"']])
def test_a_challenge_that_cannot_be_answered_gives_nothing(challenges: list[str]) -> None:
    assert authorization(challenges, "DESCRIBE", "x", "u", "p") is None
