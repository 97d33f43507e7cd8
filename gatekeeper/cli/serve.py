"""`gatekeeper serve`: run a site until told to stop."""

import asyncio
import signal
from typing import Annotated

import typer

from gatekeeper.app import premises, serving_site, the_site
from gatekeeper.cli.options import Broker, Data, Dsn, Site, VaultDsn, run
from gatekeeper.cli.talk import say
from gatekeeper.config import Settings
from gatekeeper.observe.logging import configure

__all__ = ["serve", "stop_signal"]


def serve(
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
    broker: Broker = None,
    http_port: Annotated[
        int | None, typer.Option(help="Port of metrics and health [8080]; 0: a free one.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run a site: decide its scans, keep its log, answer its gates."""
    settings = Settings.read(
        data=data,
        site=site,
        dsn=dsn,
        vault_dsn=vault_dsn,
        broker=broker,
        http_port=http_port,
        log_level=log_level,
    )
    configure(level=settings.log_level)
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = stop_signal()
    site = the_site(settings)
    async with premises(settings) as where, serving_site(settings, where, site) as there:
        say(f"{site}: broker {there.broker}, metrics and health {there.http}")
        await stop.wait()


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
