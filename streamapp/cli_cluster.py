"""`streamapp cluster up | status | down`: this machine as a part of a cluster. Errors of ours are left to main()."""

from __future__ import annotations

import signal
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from streamapp.errors import UsageError
from streamapp.settings import load_settings

cluster_app = typer.Typer(
    help="Several machines that work together, with Ray (streamapp[cluster]).", no_args_is_help=True
)


@cluster_app.command()
def up(
    join: Annotated[str | None, typer.Option(help="HOST:PORT of a cluster to become part of; else one begins.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where a cluster that begins is reached.")] = 6379,
    devices: Annotated[int, typer.Option(min=0, max=64, help="GPUs that run models here, or 1 for the CPU.")] = 1,
    places: Annotated[int, typer.Option(min=0, max=64, help="Owners of streams that may run here.")] = 2,
    host: Annotated[str | None, typer.Option(help="Address at which the other machines reach this one.")] = None,
) -> None:
    """Be part of a cluster until Ctrl-C or `cluster down`. Keep Ray's ports shut to all but the cluster's machines."""
    from streamapp.cluster import node_process

    settings = load_settings().cluster
    options = node_process.NodeOptions(join, port, devices, places, host, settings.token_file)
    signal.signal(signal.SIGTERM, _interrupt)
    with node_process.running_node(options) as node:
        node.wait_until_up()
        if join is None:
            typer.echo(f"the cluster is at {host or '127.0.0.1'}:{port}; its secret is {settings.token_file}")
        else:
            typer.echo(f"part of the cluster at {join}, as long as this runs")
        try:
            node.wait()
        except KeyboardInterrupt:
            typer.echo("leaving the cluster")


@cluster_app.command()
def status(
    address: Annotated[str | None, typer.Option(help="HOST:PORT; default: cluster.address of the settings.")] = None,
) -> None:
    """The machines of the cluster, and what each offers. This machine must be one of them."""
    from streamapp.cluster import ray_node

    settings = load_settings().cluster
    where = address or settings.address or "127.0.0.1:6379"
    ray_node.use_secret(settings.token_file)
    ray_node.connect(where)
    try:
        table = Table("machine", "address", "devices", "places")
        for node in ray_node.live_nodes():
            offers = node["Resources"]
            table.add_row(
                node["NodeID"][:8],
                node["NodeManagerAddress"],
                str(int(offers.get(ray_node.DEVICE, 0))),
                str(int(offers.get(ray_node.PLACE, 0))),
            )
    finally:
        ray_node.disconnect()
    Console().print(table, markup=False)


@cluster_app.command()
def down() -> None:
    """End this machine's part of the cluster."""
    from streamapp.cluster import node_process

    token_file = load_settings().cluster.token_file
    if not node_process.take_down(token_file):
        raise UsageError(f"no cluster was started here with {token_file}")
    typer.echo("this machine has left the cluster")


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
