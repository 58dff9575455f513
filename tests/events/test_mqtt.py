"""Events on a real broker, also one that is killed and comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

paho = pytest.importorskip("paho.mqtt.client", reason="pip install 'streamapp[mqtt]'")

from streamapp.choices import EventKind  # noqa: E402 - after the skip
from streamapp.event_settings import MqttSettings  # noqa: E402
from streamapp.events.delivery import Delivery  # noqa: E402
from streamapp.events.mqtt import MqttTarget  # noqa: E402
from streamapp.events.target import Outcome, TargetState  # noqa: E402
from tests.events.scenes import ADA, event  # noqa: E402
from tests.mqtt_broker import PASSWORD, USER, Broker, mqtt_broker  # noqa: E402
from tests.waiting import until  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.e2e


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with mqtt_broker(tmp_path) as broker:
        yield broker


def settings(broker: Broker, **values: object) -> MqttSettings:
    own = {"host": "127.0.0.1", "port": broker.port, "username": USER, "password": PASSWORD, "topic": "home/cams"}
    return MqttSettings.model_validate(own | values)


@asynccontextmanager
async def delivering(wanted: MqttSettings, timeout_s: float = 2.0) -> AsyncIterator[Delivery]:
    target = MqttTarget(wanted, timeout_s)
    names = {ADA: "Ada Lovelace"}

    async def sleep(_: float) -> None:
        await asyncio.sleep(0.02)

    delivery = Delivery(target, names.get, capacity=100, give_up_s=60, sleep=sleep)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(delivery.run())
        yield delivery
        running.cancel()


class Subscriber:
    """What a client of the broker hears, on a thread of its own."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.is_ready = False
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe("home/cams/#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def _on_subscribe(self, *_: object) -> None:
        self.is_ready = True

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        payload = message.payload.decode()
        self.heard.append((message.topic, json.loads(payload) if payload[0] == "{" else payload))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def statuses(self) -> list[str]:
        return [said for topic, said in self.heard if topic == "home/cams/status"]

    @property
    def ids(self) -> list[str]:
        return [said["id"] for topic, said in self.heard if topic != "home/cams/status"]


@asynccontextmanager
async def subscribed(broker: Broker) -> AsyncIterator[Subscriber]:
    subscriber = await asyncio.to_thread(Subscriber, broker)
    try:
        await until(lambda: subscriber.is_ready)
        yield subscriber
    finally:
        await asyncio.to_thread(subscriber.close)


async def test_events_are_published_by_stream_and_kind(broker: Broker) -> None:
    sent = event(EventKind.IDENTIFIED, stream="door", person_id=ADA)
    async with subscribed(broker) as subscriber:
        async with delivering(settings(broker)) as delivery:
            delivery.offer(sent)
            await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
            await until(lambda: len(subscriber.heard) == 2)
            assert subscriber.heard[0] == ("home/cams/status", "online")
            topic, said = subscriber.heard[1]
            assert topic == "home/cams/door/identified"
            assert (said["id"], said["name"], said["person_id"]) == (str(sent.id), "Ada Lovelace", str(ADA))
        await until(lambda: subscriber.statuses == ["online", "offline"])
    async with subscribed(broker) as late:
        await until(lambda: late.statuses == ["offline"], 5)


async def test_a_broker_that_was_killed_gets_all_once_it_is_back(broker: Broker) -> None:
    events = [event() for _ in range(6)]
    async with delivering(settings(broker)) as delivery:
        delivery.offer(events[0])
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
        await asyncio.to_thread(broker.kill)
        await until(lambda: delivery.health.state is TargetState.FAILING)
        for one in events[1:]:
            delivery.offer(one)
        await until(lambda: delivery.health.retries >= 3)
        await asyncio.to_thread(broker.start)
        async with subscribed(broker) as subscriber:
            await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 6)
            await until(lambda: "online" in subscriber.statuses, 5)
        assert delivery.health.state is TargetState.OK


async def test_an_idle_connection_that_is_lost_is_made_again(broker: Broker) -> None:
    async with delivering(settings(broker)) as delivery:
        async with subscribed(broker) as first:
            await until(lambda: "online" in first.statuses)
        await asyncio.to_thread(broker.kill)
        await until(lambda: delivery.health.state is TargetState.FAILING)
        await asyncio.to_thread(broker.start)
        await until(lambda: delivery.health.state is TargetState.OK)
        async with subscribed(broker) as second:
            await until(lambda: second.statuses == ["online"], 5)
            delivery.offer(event())
            await until(lambda: len(second.ids) == 1)


async def test_the_broker_says_when_we_vanish(broker: Broker) -> None:
    async with subscribed(broker) as subscriber:
        program = (
            "import asyncio, sys\n"
            "from tests.events.test_mqtt import delivering, settings\n"
            "from types import SimpleNamespace\n"
            "async def main():\n"
            "    async with delivering(settings(SimpleNamespace(port=int(sys.argv[1])))):\n"
            "        await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        vanishing = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(broker.port), cwd=ROOT)
        await until(lambda: subscriber.statuses == ["online"], 20)
        vanishing.kill()
        await vanishing.wait()
        await until(lambda: subscriber.statuses == ["online", "offline"])


async def test_a_wrong_password_is_said_but_not_shown(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    async with delivering(settings(broker, password="wr0ng")) as delivery:
        await until(lambda: delivery.health.error is not None)
        assert "Not authorized" in str(delivery.health.error)
        assert "wr0ng" not in caplog.text + str(delivery.health) + repr(settings(broker, password="wr0ng"))


@pytest.mark.parametrize("greeting", [b"", b"\x20\x02\x00\x00"], ids=["silent", "only_lets_in"])
async def test_a_broker_that_hangs_holds_nothing_up(greeting: bytes) -> None:
    connections = ended = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, ended
        connections += 1
        await reader.read(1)
        writer.write(greeting)
        while await reader.read(1024):
            pass
        writer.close()
        ended += 1

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        wanted = MqttSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        async with delivering(wanted, timeout_s=0.3) as delivery:
            delivery.offer(event())
            await until(lambda: delivery.health.retries >= 2)
            assert (delivery.health.state, delivery.health.waiting) == (TargetState.FAILING, 1)
        async with delivering(wanted, timeout_s=60), asyncio.timeout(5):
            before = connections
            await until(lambda: connections > before)
        await until(lambda: ended == connections)


@pytest.mark.parametrize("topic", ["", "a/#", "+/b", "/a", "a/", "$SYS/x", "a\x00b"])
def test_topics_that_brokers_do_not_take_are_refused(topic: str) -> None:
    with pytest.raises(ValidationError):
        MqttSettings(host="localhost", topic=topic)


def test_topics_of_any_depth() -> None:
    assert [MqttSettings(host="h", topic=topic).topic for topic in ("a", "a/b/c", "ab")] == ["a", "a/b/c", "ab"]
