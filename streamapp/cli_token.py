"""`streamapp token create | list | revoke`: who may use the server. Errors of ours are left to main()."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streamapp.access.token_file import TokenFile
from streamapp.access.tokens import new_token, scopes_in, seconds_in
from streamapp.settings import load_settings

_PIPE_WIDTH = 120

token_app = typer.Typer(
    help="Who may use the server. Once there is a token, every request needs one.", no_args_is_help=True
)


@token_app.command()
def create(
    name: Annotated[str, typer.Option(help="Whose it is: phone, prometheus.")],
    scope: Annotated[
        str, typer.Option(help="What it is for: view, operate, gallery, metrics; several with commas.")
    ] = "view,operate",
    expires: Annotated[str | None, typer.Option(help="After so long it is over: 12h, 30d, 52w. Else never.")] = None,
) -> None:
    """Make a token. It is shown this once, on standard output; only its SHA-256 is kept."""
    lifetime_s = None if expires is None else seconds_in(expires)
    token, secret = new_token(name, scopes_in(scope), now=time.time(), lifetime_s=lifetime_s)
    file = _file()
    file.add(token)
    typer.echo(secret)
    typer.echo(
        f"{token.name} ({', '.join(sorted(token.scopes))}) is kept in {file.path}; it is not shown again", err=True
    )


@token_app.command("list")
def list_tokens() -> None:
    """Every token, without its secret."""
    now = time.time()
    table = Table("name", "id", "scopes", "created", "expires")
    for token in _file().read() or ():
        expires = "never" if token.expires_at is None else _iso(token.expires_at)
        ends = f"{expires} (over)" if token.has_expired(now) else expires
        table.add_row(token.name, token.id, ", ".join(sorted(token.scopes)), _iso(token.created_at), ends)
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table, markup=False)


@token_app.command()
def revoke(token: Annotated[str, typer.Argument(help="Its name or id, as `token list` shows them.")]) -> None:
    """Make a token worthless, on a running server within two seconds, video that is being watched included."""
    revoked = _file().remove(token)
    typer.echo(f"{revoked.name} is revoked")


def _file() -> TokenFile:
    return TokenFile(load_settings().server.token_file)


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%MZ")
