"""Events published to an MQTT broker, by MQTT 3.1.1 with quality of service 1: at least once. Needs streamapp[mqtt]."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt

from streamapp.choices import EventKind
from streamapp.errors import DeliveryFailed
from streamapp.event_settings import MqttSettings
from streamapp.events.message import EventMessage
from streamapp.events.tls import tls_context

ONLINE, OFFLINE = "online", "offline"
KEEP_ALIVE_S = 30
_AT_LEAST_ONCE = 1

logging.getLogger("mqtt").setLevel(logging.ERROR)  # a broker that goes away is told by the delivery


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
        status = f"{wanted.topic}/status"
        client = aiomqtt.Client(
            wanted.host,
            wanted.port,
            username=wanted.username,
            password=None if wanted.password is None else wanted.password.get_secret_value(),
            identifier=wanted.client_id,
            will=aiomqtt.Will(status, OFFLINE, _AT_LEAST_ONCE, retain=True),
            timeout=self._timeout_s,
            keepalive=KEEP_ALIVE_S,
            tls_context=await tls_context() if wanted.tls else None,
        )
        try:
            async with client:
                try:
                    yield _Connection(client, wanted.topic)
                finally:
                    await client.publish(status, OFFLINE, _AT_LEAST_ONCE, retain=True)
        except aiomqtt.MqttError as error:
            raise DeliveryFailed(f"the broker: {error}") from error


class _Connection:
    """A Link."""

    def __init__(self, client: aiomqtt.Client, topic: str) -> None:
        self._client = client
        self._topic = topic

    async def greet(self) -> bool:
        await self._publish(f"{self._topic}/status", ONLINE, retain=True)
        return True

    async def send(self, message: EventMessage) -> None:
        await self._publish(f"{self._topic}/{message.stream}/{message.kind}", message.model_dump_json(), retain=False)

    async def watch(self) -> None:
        try:
            async for _ in self._client.messages:  # none are subscribed to: it ends with the connection
                pass
        except aiomqtt.MqttError as error:
            raise DeliveryFailed(f"the broker: {error}") from error

    async def _publish(self, topic: str, payload: str, *, retain: bool) -> None:
        try:
            await self._client.publish(topic, payload, _AT_LEAST_ONCE, retain)
        except aiomqtt.MqttError as error:
            raise DeliveryFailed(f"the broker: {error}") from error
