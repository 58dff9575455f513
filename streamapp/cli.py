"""The command line. Results go to standard output, the rest to standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from streamapp import (
    __version__,
    cli_bench,
    cli_cluster,
    cli_evaluate,
    cli_gallery,
    cli_models,
    cli_plan,
    cli_replay,
    cli_run,
    cli_token,
)
from streamapp.choices import Https
from streamapp.doctor import CheckStatus, diagnose
from streamapp.errors import ExitCode, StreamappError
from streamapp.faces import Mode
from streamapp.log import configure_logging, redact
from streamapp.settings import Settings, load_settings
from streamapp.sources.base import Pace
from streamapp.tuning import tune_process

app = typer.Typer(
    name="streamapp",
    help="Real-time face analysis of live video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_models.models_app, name="models")
app.add_typer(cli_gallery.gallery_app, name="gallery")
app.add_typer(cli_evaluate.evaluate_app, name="evaluate")
app.add_typer(cli_plan.plan_app, name="plan")
app.add_typer(cli_token.token_app, name="token")
app.add_typer(cli_bench.bench_app, name="bench")
app.add_typer(cli_cluster.cluster_app, name="cluster")


def main() -> None:
    """Entry point. Errors of ours are one line on standard error and their exit code, never a traceback."""
    try:
        app()
    except StreamappError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {redact(str(error))}", markup=False)
        sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="A video file, rtsp://…, rtsps://…, webcam:0 or demo.")],
    mode: Annotated[Mode, typer.Option(help="How deep to analyse.")] = Mode.FAST,
    json: Annotated[
        str | None, typer.Option(help="Write one result per line to this file; - is standard output.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Record the picture with its overlay to this .mp4.")] = None,
    privacy: Annotated[bool, typer.Option("--privacy", help="Blur who is not enrolled in what is recorded.")] = False,
    pace: Annotated[
        Pace, typer.Option(help="Recorded video: like live, or as fast as possible without drops.")
    ] = Pace.REALTIME,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many results.")] = None,
) -> None:
    """Analyse one source."""
    settings = _settings()
    options = cli_run.RunOptions(source, mode, json, record, pace, max_frames, privacy)
    raise typer.Exit(_run(cli_run.run_source(options, settings)))


@app.command()
def replay(
    clip: Annotated[Path, typer.Argument(help="A video file, or the folder of a recording.")],
    against: Annotated[
        Path | None,
        typer.Option(help="Results to compare with: a golden, or what `run --json` wrote. A recording has its own."),
    ] = None,
    update: Annotated[Path | None, typer.Option(help="Write the results to this file, as a new golden.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="How deep to analyse; default: as in the golden.")] = None,
    tolerance: Annotated[
        list[str] | None, typer.Option(help="How much a field may differ: FIELD=NUMBER; any number of times.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="No field may differ, but by --tolerance.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All differences as one JSON object.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Differences shown one by one.")] = 40,
) -> None:
    """Run a clip again and show what is decided differently. Exit code 1 if something is."""
    settings = _settings()
    options = cli_replay.ReplayOptions(clip, against, update, mode, tuple(tolerance or ()), exact, json, limit)
    raise typer.Exit(_run(cli_replay.replay_clip(options, settings)))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    https: Annotated[Https | None, typer.Option(help="auto: over TLS, with a certificate made at first use.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file of a certificate to use instead.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, help="Processes over which streams are spread; 0: all in one.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="HOST:PORT of the cluster this machine is part of: see `streamapp cluster up`.")
    ] = None,
) -> None:
    """Start the server: the page, WebRTC and the HTTP API."""
    given = {"host": host, "port": port, "https": https, "tls_cert": tls_cert, "tls_key": tls_key, "workers": workers}
    _serve(given, cluster=cluster)


@app.command()
def demo(port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 7860) -> None:
    """Start the demo page alone, on 127.0.0.1: webcam, pictures, video files and the plan, made with Gradio."""
    _serve({"host": "127.0.0.1", "port": port}, demo_only=True)


@app.command()
def doctor() -> None:
    """What this machine can do, what is missing, and the command that mends it. Exit code 1 if something is."""
    checks = diagnose(_settings())
    console = Console(soft_wrap=True, highlight=False)
    signs = {
        CheckStatus.OK: "[green]ok     [/]",
        CheckStatus.WARN: "[yellow]warn   [/]",
        CheckStatus.MISSING: "[red]missing[/]",
    }
    for check in checks:
        console.print(signs[check.status], f"{check.name}: {check.detail}")
        if check.remedy and check.status is not CheckStatus.OK:
            console.print(f"          mend: {check.remedy}", markup=False)
    if any(check.status is CheckStatus.MISSING for check in checks):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _settings(log_level: str = "WARNING") -> Settings:
    settings = load_settings()
    configure_logging(settings.log, log_level)
    return settings


def _serve(
    given: Mapping[str, str | int | Path | None], *, cluster: str | None = None, demo_only: bool = False
) -> None:
    """`given`: settings of the server; None for those that were not."""
    # Their libraries take a second to load; `run` needs none.
    from streamapp.access.certificate import fingerprint
    from streamapp.server.addresses import certificate_of
    from streamapp.server.app import serve as serve_forever

    settings = _settings("INFO").with_options(
        "server", {name: value for name, value in given.items() if value is not None}
    )
    if cluster is not None:
        settings = settings.with_options("cluster", {"address": cluster})

    def announce(address: str) -> None:
        typer.echo(f"streamapp is at {address}  (Ctrl-C stops it)")
        certificate = certificate_of(settings.server)
        if certificate is not None:
            typer.echo(f"certificate {certificate.certificate}, SHA-256 {fingerprint(certificate.certificate)}")

    _run(serve_forever(settings, ready=announce, demo_only=demo_only))


def _run(work: Coroutine[Any, Any, int | None]) -> int:
    tune_process()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work) or ExitCode.OK
