"""`streamapp plan --live`: what a running server has in memory, what it is asked for, and what became of it."""

from __future__ import annotations

import http.client
import os
import ssl
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from streamapp.errors import UsageError
from streamapp.server.status_schemas import JobQueueState, MemoryState, Status
from streamapp.settings import TOKEN_VARIABLE

TIMEOUT_S = 10.0


def fetch_status(address: str) -> Status:
    """The state of the server at an http or https address, asked for with the token of the environment, if there is
    one. Raises UsageError if none of ours answers there."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{address} is not the http:// or https:// address of a server")
    token = os.environ.get(TOKEN_VARIABLE)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/status", headers=headers)
        response = connection.getresponse()
        if response.status in (401, 403):
            raise UsageError(f"{address} wants a token with the scope view in the environment as {TOKEN_VARIABLE}")
        return Status.model_validate_json(response.read())
    except ssl.SSLCertVerificationError as error:
        raise UsageError(
            f"the certificate of {address} is not trusted here; name its file in the environment as SSL_CERT_FILE"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(f"no server answers at {address} ({error}); start one with `streamapp serve`") from error
    except ValidationError as error:
        raise UsageError(f"what answers at {address} is not this app, or another version of it") from error
    finally:
        connection.close()


def print_live(status: Status, console: Console) -> None:
    memory, jobs = status.memory, status.jobs
    console.print(
        f"Profile {status.profile} on {memory.device}: {memory.committed_mb:.0f} of {memory.budget_mb:.0f} MB taken by "
        f"models; {memory.loads} loads, {sum(memory.evictions.values())} evictions{_reasons(memory.evictions)}."
    )
    for device in memory.devices:
        models = ", ".join(model.variant for model in device.resident) or "no model"
        lost = "" if device.lost is None else f"; lost: {device.lost}"
        console.print(f"{device.device}: {device.committed_mb:.0f} of {device.budget_mb:.0f} MB ({models}){lost}")
    console.print(_resident(memory))
    for variant, reason in memory.degraded.items():
        console.print(f"degraded: {variant}: {reason}")
    rest = {owner: size for owner, size in memory.by_owner_mb.items() if "/" not in owner}
    console.print("Besides: " + ", ".join(f"{owner} {size:.0f} MB" for owner, size in rest.items()) + ".")
    console.print(_queue(jobs))
    console.print(_operations(jobs))
    console.print(f"Jobs dropped: {sum(jobs.dropped.values())}{_reasons(jobs.dropped)}.")
    for stream in status.streams:
        console.print(f"stream {stream.name}: {stream.mode}, {stream.fps} fps, keyframes{_reasons(stream.keyframes)}")


def _resident(memory: MemoryState) -> Table:
    table = Table(
        "resident",
        "MB",
        "weights",
        "arena",
        "workspace",
        "batches",
        "leases",
        "idle s",
        "run by",
        "licence of the weights",
    )
    for model in memory.resident:
        parts = [memory.by_owner_mb.get(f"{model.variant}/{part}", 0.0) for part in ("weights", "arena", "workspace")]
        sizes = [f"{size:.1f}" for size in (model.mb, *parts)]
        batches = ", ".join(map(str, model.batches))
        table.add_row(
            model.variant, *sizes, batches, str(model.leases), f"{model.idle_s:.0f}", model.provider, model.licence
        )
    return table


def _queue(jobs: JobQueueState) -> Table:
    table = Table("waiting", "jobs", "oldest s", title=f"{jobs.running} of {jobs.lanes} lanes at work")
    for name, count in jobs.queued.items():
        table.add_row(name, str(count), f"{jobs.oldest_s[name]:.2f}")
    return table


def _operations(jobs: JobQueueState) -> Table:
    table = Table("operation", "done", "failed", "circuit", "ms a batch", "items a batch")
    for name, run in jobs.operations.items():
        measured = ["-" if value is None else f"{value:g}" for value in (run.batch_ms, run.items_per_batch)]
        table.add_row(name, str(run.done), str(run.failed), run.circuit, *measured)
    return table


def _reasons(counts: dict[str, int]) -> str:
    told = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f" ({told})" if told else ""
