"""Events published to an MQTT broker, by MQTT 3.1.1 with quality of service 1: at least once. Needs streamapp[mqtt]."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from streamapp.choices import EventKind
from streamapp.errors import DeliveryFailed
from streamapp.event_settings import MqttSettings
from streamapp.events.message import EventMessage
from streamapp.events.tls import tls_context

ONLINE, OFFLINE = "online", "offline"
KEEP_ALIVE_S = 30
GOODBYE_S = 0.2
"""How long a broker that hangs is waited for at the end."""
_AT_LEAST_ONCE = 1

T = TypeVar("T")


class MqttTarget:
    """A Target. TOPIC/status is retained: `online`, or `offline`, which the broker says for us if we vanish."""

    name = "mqtt"

    def __init__(self, settings: MqttSettings, timeout_s: float) -> None:
        self.kinds: frozenset[EventKind] = frozenset(settings.kinds)
        self._settings = settings
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[_Connection]:
        wanted = self._settings
        client = Client(CallbackAPIVersion.VERSION2, wanted.client_id, protocol=MQTTv311)
        client.connect_timeout = self._timeout_s
        client.will_set(f"{wanted.topic}/status", OFFLINE, _AT_LEAST_ONCE, retain=True)
        if wanted.username is not None:
            client.username_pw_set(wanted.username, wanted.password.get_secret_value() if wanted.password else None)
        if wanted.tls:
            client.tls_set_context(await tls_context())
        connection = _Connection(client, wanted.topic, self._timeout_s)
        try:
            await asyncio.to_thread(client.connect, wanted.host, wanted.port, KEEP_ALIVE_S)
        except OSError as error:
            raise DeliveryFailed(f"the broker: {error}") from error
        client.loop_start()
        try:
            await connection.accepted()
            yield connection
            await connection.say_goodbye()
        except asyncio.CancelledError:
            await connection.say_goodbye()
            raise
        finally:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)


class _Connection:
    """A Link. paho works on a thread of its own; what it says is handed to the event loop."""

    def __init__(self, client: Client, topic: str, timeout_s: float) -> None:
        self._client = client
        self._topic = topic
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[str | None] = self._loop.create_future()
        """Why not, if not."""
        self._lost: asyncio.Future[str] = self._loop.create_future()
        """Why."""
        self._published: dict[int, asyncio.Future[None]] = {}
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish

    async def accepted(self) -> None:
        refusal = await self._in_time(self._accepted)
        if refusal is not None:
            raise DeliveryFailed(f"the broker: {refusal}")

    async def greet(self) -> bool:
        await self._publish(f"{self._topic}/status", ONLINE, retain=True)
        return True

    async def send(self, message: EventMessage) -> None:
        await self._publish(f"{self._topic}/{message.stream}/{message.kind}", message.model_dump_json(), retain=False)

    async def watch(self) -> None:
        raise DeliveryFailed(f"the broker: {await asyncio.shield(self._lost)}")

    async def say_goodbye(self) -> None:
        """If there is somebody to say it to."""
        if self._accepted.done() and not self._lost.done():
            self._timeout_s = GOODBYE_S
            with contextlib.suppress(DeliveryFailed):
                await self._publish(f"{self._topic}/status", OFFLINE, retain=True)

    async def _publish(self, topic: str, payload: str, *, retain: bool) -> None:
        sent = self._client.publish(topic, payload, _AT_LEAST_ONCE, retain)
        if sent.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise DeliveryFailed(f"the broker: {sent.rc.name}")
        confirmed = self._published[sent.mid] = self._loop.create_future()
        try:
            await self._in_time(confirmed)
        finally:
            del self._published[sent.mid]

    async def _in_time(self, answer: asyncio.Future[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError as error:
            raise DeliveryFailed(f"the broker did not answer within {self._timeout_s:g} s") from error

    # -- on paho's thread

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._hand_over(lambda: _settle(self._accepted, str(code) if code.is_failure else None))

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._hand_over(lambda: _settle(self._lost, f"the connection ended ({code})"))

    def _on_publish(
        self, _client: Client, _data: object, number: int, _code: ReasonCode, _properties: Properties
    ) -> None:
        self._hand_over(lambda: _settle(self._published.get(number), None))

    def _hand_over(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(work)


def _settle(answer: asyncio.Future[T] | None, value: T) -> None:
    if answer is not None and not answer.done():
        answer.set_result(value)
