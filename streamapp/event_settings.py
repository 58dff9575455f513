"""What can be set about events, and to whom they are sent."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from streamapp.choices import EventKind

SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not one
_SECRET_BYTES = range(24, 65)
"""How long Standard Webhooks wants a secret to be."""
_MAX_TARGETS = 16


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WebhookSettings(_Section):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$")] = Field(
        description="By what it is shown in /status and /metrics; letters, digits, - and _."
    )
    url: SecretStr = Field(description="http:// or https:// address that events are posted to.")
    secret: SecretStr = Field(
        description="What events are signed with: `whsec_` and 24 to 64 random bytes in base64, "
        "such as `echo whsec_$(openssl rand -base64 32)` gives."
    )
    kinds: tuple[EventKind, ...] = Field((), description="Which events it gets; empty: all.")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a webhook's url begins with http:// or https:// and a host")
        return url

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        try:
            size = len(base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True))
        except binascii.Error:
            size = 0
        if not text.startswith(SECRET_PREFIX) or size not in _SECRET_BYTES:
            raise ValueError("a webhook's secret is whsec_ and 24 to 64 bytes in base64; openssl rand -base64 32")
        return secret


class MqttSettings(_Section):
    host: Annotated[str, Field(min_length=1)] = Field(description="The broker.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(1883, description="8883 is usual with TLS.")
    tls: bool = Field(False, description="Encrypted, and the broker's certificate is checked.")
    username: str | None = Field(None, description="By which the broker knows this app.")
    password: SecretStr | None = Field(None, description="For that name.")
    topic: Annotated[str, Field(pattern=r"^[^+#\x00/$][^+#\x00]*[^+#\x00/]$|^[^+#\x00/$]$")] = Field(
        "streamapp", description="What all topics begin with: TOPIC/STREAM/KIND, and TOPIC/status."
    )
    client_id: str | None = Field(None, description="Unset: a random one.")
    kinds: tuple[EventKind, ...] = Field((), description="Which events are published; empty: all.")


class EventSettings(_Section):
    enabled: bool = Field(True, description="Whether a server notes what happens on its streams.")
    file: Path = Field(Path("events/events.db"), description="The SQLite file they are kept in.")
    max_days: Annotated[float, Field(gt=0)] = Field(30.0, description="Older events are deleted.")
    max_events: Annotated[int, Field(ge=1)] = Field(100_000, description="Of more, the oldest are deleted.")
    appear_s: Annotated[float, Field(ge=0)] = Field(
        0.5, description="A face has appeared once it was seen for so long, in the stream's time,"
    )
    appear_frames: Annotated[int, Field(ge=1)] = Field(3, description="and in so many results.")
    hold_s: Annotated[float, Field(ge=0)] = Field(
        0.5, description="An identity, or a suspicion of a spoof, is told once it has held for so long."
    )
    gone_s: Annotated[float, Field(gt=0)] = Field(
        5.0, description="A face not seen for so long has left; one that is back before has not."
    )
    lost_s: Annotated[float, Field(ge=0)] = Field(5.0, description="A stream not live for so long is lost.")
    recovered_s: Annotated[float, Field(ge=0)] = Field(
        2.0, description="A lost stream has recovered once it is live for so long."
    )
    webhooks: tuple[WebhookSettings, ...] = Field((), description="Addresses that events are posted to.")
    mqtt: MqttSettings | None = Field(
        None, description="Broker that events are published to; needs streamapp[mqtt]. Unset: none."
    )
    timeout_s: Annotated[float, Field(gt=0)] = Field(10.0, description="A target must take an event within this time.")
    give_up_s: Annotated[float, Field(gt=0)] = Field(
        3600.0, description="An event that a target did not take for so long is not sent to it any more."
    )
    queue_size: Annotated[int, Field(ge=1)] = Field(
        1000, description="Events that may wait for a target; then the oldest goes."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> EventSettings:
        names = [webhook.name for webhook in self.webhooks]
        if len(set(names)) < len(names) or "mqtt" in names:
            raise ValueError('each webhook has a name of its own, and none is "mqtt"')
        if len(names) > _MAX_TARGETS:
            raise ValueError(f"{_MAX_TARGETS} webhooks are the limit")
        return self
