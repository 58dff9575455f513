"""Events posted to a real address: signed, tried again, never followed elsewhere, never a secret told."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import ValidationError

from streamapp.choices import EventKind
from streamapp.event_settings import WebhookSettings
from streamapp.events.delivery import Delivery
from streamapp.events.target import Outcome, TargetState
from streamapp.events.webhook import Webhook, signature
from tests.events.receiver import CUT, DRIP, HANG, SECRET, Receiver, answer
from tests.events.scenes import ADA, NOW, event
from tests.waiting import until
from tests.zoo.test_http_download import own_certificate

NAMES = {ADA: "Ada Lovelace"}


def settings(url: str, **values: object) -> WebhookSettings:
    return WebhookSettings.model_validate({"name": "alarm", "url": url, "secret": SECRET} | values)


@asynccontextmanager
async def delivering(
    url: str, *, timeout_s: float = 0.5, capacity: int = 100, give_up_s: float = 60.0, waits: list[float] | None = None
) -> AsyncIterator[Delivery]:
    """A delivery at work that waits 1 ms instead of the seconds it would."""

    async def sleep(wait_s: float) -> None:
        if waits is not None:
            waits.append(wait_s)
        await asyncio.sleep(0.001)

    delivery = Delivery(
        Webhook(settings(url), timeout_s, clock=lambda: NOW + 0.9),
        NAMES.get,
        capacity=capacity,
        give_up_s=give_up_s,
        sleep=sleep,
        jitter=lambda: 1.0,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(delivery.run())
        yield delivery
        running.cancel()


def statuses(*first: bytes) -> Callable[[int], bytes]:
    """These answers, then yes for ever."""
    return lambda number: first[number] if number < len(first) else answer()


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the specification's own libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_an_event_arrives_signed_with_the_name_of_now() -> None:
    sent = event(EventKind.IDENTIFIED, person_id=ADA, score=4.5)
    async with Receiver().serve() as receiver, delivering(receiver.url) as delivery:
        delivery.offer(sent)
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
        (posted,) = receiver.posted
        assert posted.line == "POST /hook HTTP/1.1"
        assert posted.headers["content-type"] == "application/json"
        assert UUID(posted.id) == sent.id
        assert posted.headers["webhook-timestamp"] == str(int(NOW))
        assert posted.is_signed()
        assert not posted.is_signed(b"x" * 32)
        body = posted.json
        assert body["type"] == "identified"
        assert datetime.fromisoformat(body["timestamp"]).timestamp() == NOW
        assert (body["data"]["name"], body["data"]["person_id"]) == ("Ada Lovelace", str(ADA))
        assert delivery.health.state is TargetState.OK


async def test_it_is_sent_until_it_is_taken_and_in_order() -> None:
    failures = (
        answer("500 Internal Server Error"), CUT, answer("404 Not Found"), answer("401 Unauthorized"), HANG,
        answer("302 Found", "Location: /elsewhere\r\n"), answer("503 Service Unavailable"),
    )  # fmt: skip
    events = [event() for _ in range(4)]
    waits: list[float] = []
    async with (
        Receiver(statuses(*failures)).serve() as receiver,
        delivering(receiver.url, timeout_s=1.0, waits=waits) as delivery,
    ):
        for one in events:
            delivery.offer(one)
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 4)
        assert receiver.ids == [str(events[0].id)] * 7 + [str(one.id) for one in events]
        assert all(posted.is_signed() for posted in receiver.posted)
        assert waits == [1, 2, 4, 8, 16, 32, 60], "growing, up to a limit"
        assert (delivery.health.retries, delivery.health.state) == (7, TargetState.OK)


@pytest.mark.parametrize("way", ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_no_redirect_is_followed(way: str) -> None:
    async with Receiver().serve() as elsewhere:
        redirect = answer(way, f"Location: {elsewhere.url}\r\n")
        async with Receiver(statuses(redirect, redirect)).serve() as receiver, delivering(receiver.url) as delivery:
            delivery.offer(event())
            await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
            assert len(receiver.posted) == 3
            assert elsewhere.connections == 0


@pytest.mark.parametrize("trouble", [HANG, DRIP])
async def test_an_answer_that_does_not_come_is_given_up_in_time(trouble: bytes) -> None:
    async with (
        Receiver(statuses(trouble)).serve() as receiver,
        delivering(receiver.url, timeout_s=0.2) as delivery,
    ):
        delivery.offer(event())
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1, 5)
        assert len(receiver.posted) == 2


async def test_an_event_that_is_refused_does_not_hold_up_the_next() -> None:
    refusal = answer("422 Unprocessable Content")
    async with Receiver(statuses(refusal)).serve() as receiver, delivering(receiver.url) as delivery:
        delivery.offer(event())
        delivery.offer(event())
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
        assert delivery.health.outcomes[Outcome.REFUSED] == 1
        assert len(receiver.posted) == 2


async def test_who_is_gone_is_left_alone() -> None:
    async with Receiver(lambda _: answer("410 Gone")).serve() as receiver, delivering(receiver.url) as delivery:
        delivery.offer(event())
        await until(lambda: delivery.health.state is TargetState.GONE)
        delivery.offer(event())
        assert delivery.health.outcomes[Outcome.CLOSED] == 2
        assert len(receiver.posted) == 1


async def test_a_wait_that_is_asked_for_is_kept() -> None:
    waits: list[float] = []
    script = statuses(
        answer("429 Too Many Requests", "Retry-After: 30\r\n"),
        answer("503 Service Unavailable", "Retry-After: 999999999999\r\n"),
        answer("503 Service Unavailable", "Retry-After: soon\r\n"),
    )
    async with Receiver(script).serve() as receiver, delivering(receiver.url, waits=waits) as delivery:
        delivery.offer(event())
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
        assert waits == [30, 600, 4]


async def test_an_address_that_is_not_there_is_tried_until_it_is() -> None:
    receiver = Receiver()
    async with receiver.serve():
        pass
    async with delivering(receiver.url) as delivery:
        delivery.offer(event())
        await until(lambda: delivery.health.retries >= 3)
        assert delivery.health.state is TargetState.FAILING
        async with receiver.serve():
            await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)


async def test_secrets_are_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "streamapp")
    async with Receiver(statuses(answer("500 No"), CUT, HANG)).serve() as receiver:
        url = receiver.url.replace("//", "//user:hunter2@") + "/t0ken?key=s3cr3t"
        async with delivering(url, timeout_s=0.1) as delivery:
            errors: set[str | None] = set()
            delivery.offer(event())
            while not delivery.health.outcomes[Outcome.DELIVERED]:
                await asyncio.sleep(0)
                errors.add(delivery.health.error)
        async with delivering("http://127.0.0.1:1/t0ken?key=s3cr3t") as refused:
            refused.offer(event())
            await until(lambda: refused.health.error)
            errors.add(refused.health.error)
    told = caplog.text + str(errors) + repr(settings(url))
    assert "events do not reach alarm" in told
    for secret in ("hunter2", "t0ken", "s3cr3t", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in told


async def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of nobody known are refused; the system can be told to trust one."""
    tls = own_certificate(tmp_path)
    async with Receiver(tls=tls).serve() as receiver:
        async with delivering(receiver.url) as delivery:
            delivery.offer(event())
            await until(lambda: delivery.health.retries >= 2)
            assert delivery.health.outcomes[Outcome.DELIVERED] == 0
        assert receiver.posted == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with delivering(receiver.url) as delivery:
            delivery.offer(event())
            await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)


@pytest.mark.parametrize(
    "values",
    [
        {"url": "ftp://host/"},
        {"url": "http:///nowhere"},
        {"url": "/hook"},
        {"secret": "password"},
        {"secret": "whsec_"},
        {"secret": "whsec_c2hvcnQ="},
        {"secret": "whsec_not base64 at all"},
        {"name": "a b"},
        {"kinds": ["arrived"]},
    ],
)
def test_bad_settings_are_refused_without_telling_secrets(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"name": "alarm", "url": "http://127.0.0.1/", "secret": SECRET} | values)
    told = str(caught.value)
    assert not any(word in told for word in ("/nowhere", "ftp://host", "/hook", "password", "c2hvcnQ", "not base64 at"))
