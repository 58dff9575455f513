"""What FastAPI is told so that it sends nobody anything."""

from __future__ import annotations

from fastapi.telemetry import TelemetryConfig

TELEMETRY_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
