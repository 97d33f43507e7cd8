"""`gatekeeper serve`: run a site until told to stop."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from gatekeeper.adapters.mqtt.address import BrokerAddress, InvalidAddressError
from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import (
    premises,
    serving_site,
    site_folder,
    the_site,
    timestamp_authority,
    witness_parts,
)
from gatekeeper.cli.faults import sentence_of
from gatekeeper.cli.options import Broker, Data, Dsn, Site, VaultDsn, run
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.certificates import service_name
from gatekeeper.model.ids import SiteId
from gatekeeper.observe.logging import configure
from gatekeeper.observe.metrics import REGISTRY
from gatekeeper.running import Premises
from gatekeeper.service.administration.folder import DECISION_KEY, LOG_KEY
from gatekeeper.service.identity.authority_files import read_authority

__all__ = ["accepted", "must_be_able_to_serve", "serve", "served", "stop_signal"]

_ACCEPTED = ("gatekeeper_site_owned", "gatekeeper_broker_connected")
_LOOK_EVERY_SECONDS = 0.05


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
    must_be_able_to_serve(settings, site)
    async with served(settings, site) as there:
        if await accepted(stop):
            readers = f", stock readers {there.readers}" if there.readers != there.broker else ""
            say(f"{site}: broker {there.broker}{readers}, metrics and health {there.http}")
        await stop.wait()


@asynccontextmanager
async def served(settings: Settings, site: SiteId) -> AsyncIterator[Premises]:
    """Serve a site while this is open; it says where everything is. Raises SettingError when there is no such site."""
    async with premises(settings) as where:
        await _must_hold(where.dsn, site)
        async with serving_site(settings, where, site) as there:
            yield there


def must_be_able_to_serve(settings: Settings, site: SiteId) -> None:
    """See to what can be seen to before any server is started. Raises SettingError and SiteFolderError."""
    folder = site_folder(settings, site)
    if not folder.holds_site():
        raise SettingError(f"{folder.root} holds no site: the keys with which {site} is served are missing.")
    for place in (DECISION_KEY, LOG_KEY):
        folder.read_key(place)
    witness_parts(settings)
    timestamp_authority(settings)
    if settings.enrolment_url:
        read_authority(folder)
    for setting in ("broker_password_file", "onvif_password_file"):
        _must_be_text(setting, getattr(settings, setting))
    _must_be_let_in_outward(settings, site)
    if settings.onvif_broker:
        try:
            BrokerAddress.parse(settings.onvif_broker)
        except InvalidAddressError as error:
            raise SettingError(f"onvif_broker cannot be used. {error}") from None
    try:
        with socket.create_server((settings.http_host, settings.http_port)):
            pass
    except OSError as error:
        why, _, _ = str(error.strerror).partition(" (")
        raise SettingError(
            f"Metrics and health cannot be served at {settings.http_host}:{settings.http_port}: {why}."
        ) from error


def _must_be_text(setting: str, file: Path | None) -> None:
    try:
        if file is not None:
            file.read_text()
    except OSError as error:
        raise SettingError(f"{setting} cannot be read: {sentence_of(error)}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{setting} is no text: {file}.") from error


def _must_be_let_in_outward(settings: Settings, site: SiteId) -> None:
    """See that who tells outward has what the broker asks for, under another name than the engine's: by that it would be evicted."""
    file, at_gates = settings.onvif_certificate, settings.broker_certificate is not None
    if file is None:
        if settings.onvif and at_gates and not settings.onvif_broker and settings.onvif_password_file is None:
            raise SettingError(
                "onvif tells at the gates' broker, which asks for certificates: set onvif_certificate "
                "(gatekeeper ca outward makes one)."
            )
        return
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise SettingError(f"onvif_certificate cannot be read: {sentence_of(error)}") from error
    except ValueError as error:
        raise SettingError(f"onvif_certificate holds no certificate: {file}.") from error
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if service_name(site) in {name.value for name in names}:
        raise SettingError(
            f"onvif_certificate is the service's own: {file}. With it the session that tells outward would evict the engine; "
            "gatekeeper ca outward makes another."
        )


async def _must_hold(dsn: str, site: SiteId) -> None:
    """See that the database holds the site: an engine would wait for ever to own one that is not there."""
    async with PostgresReading.opened(dsn) as reading:
        if await reading.document(site, "trust") is None:
            raise SettingError(f"The database holds no site {site}; gatekeeper site init founds it.")


async def accepted(stop: asyncio.Event) -> bool:
    """Wait until database and broker have accepted the engine, or until told to stop; whether they have."""
    while not stop.is_set():
        if all(REGISTRY.get_sample_value(sign) for sign in _ACCEPTED):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_SECONDS):
                await stop.wait()
    return False


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
