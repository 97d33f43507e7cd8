"""The composition root: plain constructor calls that put a running service together, and nothing else.

`premises` gives a broker and databases (those that the settings name, else embedded ones); `serving_site` runs a site
on them. What is where right now stands in `<data>/running.json`, so that other commands find it.
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatekeeper import __version__, cose
from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.http import http_app, serving
from gatekeeper.adapters.http.enrolment import enrolment_app, enrolment_tls
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresLedger, PostgresStoredTrees, migrate_site_database
from gatekeeper.adapters.tsa import HttpTimestampAuthority
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.adapters.witness_client import HttpWitnesses
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.certificates import OUTWARD, account_name, service_name
from gatekeeper.core.export.onvif import presence_topic
from gatekeeper.core.pin import PinChecker
from gatekeeper.core.verify import PinDesk
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import REGISTRY
from gatekeeper.ports import SiteLostError
from gatekeeper.running import Premises, RunningUnreadableError, announced
from gatekeeper.running import running as told_by
from gatekeeper.service.administration.folder import (
    BEACON_KEY,
    DECISION_KEY,
    LOG_KEY,
    PIN_PEPPER,
    SEAL_KEY,
    SiteFolder,
    in_gate,
)
from gatekeeper.service.cosigning import PolicyRefusedError, read_policy
from gatekeeper.service.engine import Engine, EngineParts, WitnessParts
from gatekeeper.service.engine.beside import Beside
from gatekeeper.service.engine.engine import LONGEST_IN, RECEIVE_MAXIMUM
from gatekeeper.service.engine.intake import Allowance
from gatekeeper.service.identity.authority_files import AUTHORITY, certify_desk
from gatekeeper.service.identity.desk import EnrolmentDesk
from gatekeeper.service.integrity import IntegrityWatch
from gatekeeper.service.outward import OutwardEvents
from gatekeeper.service.publication import Publication, Publishing

__all__ = [
    "databases",
    "premises",
    "running",
    "serving_site",
    "site_folder",
    "the_site",
    "timestamp_authority",
    "witness_parts",
]

_SESSION = timedelta(days=7)
_QUEUED_OUTWARD = 64
_SITE_DATABASE, _VAULT_DATABASE = "gatekeeper", "gatekeeper_vault"
_log = structlog.get_logger("gatekeeper")


# -- which site ---------------------------------------------------------------------------------------------------------


def the_site(settings: Settings) -> SiteId:
    """The site meant: the one named, or the only one there is. Raises SettingError."""
    folder = settings.data / "sites"
    known = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    known = [name for name in known if not name.startswith(".")]
    if settings.site:
        return SiteId(settings.site)
    if len(known) != 1:
        there = (
            f"it holds {', '.join(known)}" if known else "it holds no site yet (gatekeeper site init FILE)"
        )
        raise SettingError(
            f"Name the site with --site: the folder {settings.data} does not tell which; {there}."
        )
    return SiteId(known[0])


def site_folder(settings: Settings, site: SiteId) -> SiteFolder:
    """Where the keys and documents of a site are."""
    return SiteFolder(settings.data / "sites" / site)


# -- where the outside things are -----------------------------------------------------------------------------------------


def running(settings: Settings) -> Premises | None:
    """What a service of this data folder says it runs on; None when none is running. Raises SettingError."""
    try:
        return told_by(settings.data)
    except RunningUnreadableError as error:
        raise SettingError(str(error)) from None


@contextlib.asynccontextmanager
async def databases(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """The log's and the vault's databases, migrated: named ones, a running service's, or embedded ones for this block."""
    there = running(settings)
    if settings.dsn:
        yield await _migrated(settings.dsn, settings.vault_dsn)
    elif there is not None:
        yield there.dsn, there.vault_dsn
    else:
        async with _embedded_postgres(settings) as found:
            yield await _migrated(*found)


@contextlib.asynccontextmanager
async def premises(settings: Settings) -> AsyncIterator[Premises]:
    """Broker and databases for a service of this data folder."""
    settings.data.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        if settings.dsn:
            dsn, vault_dsn = settings.dsn, settings.vault_dsn
        else:
            dsn, vault_dsn = await stack.enter_async_context(_embedded_postgres(settings))
        await _migrated(dsn, vault_dsn)
        if settings.broker:
            yield Premises(dsn=dsn, vault_dsn=vault_dsn, broker=settings.broker, readers=settings.broker)
            return
        broker = EmbeddedBroker(settings.data / "mosquitto", binary=settings.mosquitto)
        await stack.enter_async_context(broker)
        await _admit(broker, settings)
        yield Premises(dsn=dsn, vault_dsn=vault_dsn, broker=broker.url, readers=broker.readers_url)


@contextlib.asynccontextmanager
async def _embedded_postgres(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    settings.data.mkdir(parents=True, exist_ok=True)
    async with EmbeddedPostgres(settings.data / "postgres", binaries=settings.postgres_binaries) as server:
        for database in (_SITE_DATABASE, _VAULT_DATABASE):
            await server.ensure_database(database)
        yield server.dsn(_SITE_DATABASE), server.dsn(_VAULT_DATABASE)


async def _migrated(dsn: str, vault_dsn: str) -> tuple[str, str]:
    await migrate_site_database(dsn)
    await PostgresKeyVault(vault_dsn).migrate()
    return dsn, vault_dsn


async def _admit(broker: EmbeddedBroker, settings: Settings) -> None:
    """Give the service and every gate of every site their log-in at the embedded broker."""
    sites = settings.data / "sites"
    for root in sorted(sites.iterdir()) if sites.is_dir() else []:
        folder = SiteFolder(root)
        if not folder.holds_site():
            continue
        passwords = {
            gate: folder.read_secret(in_gate(gate, "broker-password")).decode().strip()
            for gate in folder.gates()
        }
        bridges = {
            gate for gate in passwords if "bridge" in json.loads(folder.read(in_gate(gate, "gate.json")))
        }
        await broker.admit_all({gate: word for gate, word in passwords.items() if gate not in bridges})
        await broker.admit_all(
            {gate: word for gate, word in passwords.items() if gate in bridges}, role="bridge"
        )
        await broker.admit(f"service.{root.name}", _kept_password(folder, _SERVICE_PASSWORD), role="service")
        if settings.onvif:
            outward, integrator = (_kept_password(folder, place) for place in _OUTWARD_PASSWORDS)
            await broker.admit(f"outward.{root.name}", outward, role="outward")
            await broker.admit(f"integrator.{root.name}", integrator, role="integrator")


_SERVICE_PASSWORD = "keys/broker-password"  # noqa: S105 - a place, not a password
_OUTWARD_PASSWORDS = ("keys/outward-password", "keys/integrator-password")


def _kept_password(folder: SiteFolder, place: str) -> str:
    """The password for the embedded broker that is kept there, made at the first time."""
    if not folder.holds(place):
        folder.keep_secret(place, secrets.token_urlsafe(24).encode())
    return folder.read_secret(place).decode().strip()


# -- a running site -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving_site(settings: Settings, where: Premises, site: SiteId) -> AsyncIterator[Premises]:
    """Run a site's engine, metrics, health and published log for the length of a block. What breaks the engine breaks the block."""
    health = Health()
    async with PostgresStoredTrees.opened(where.dsn) as published:
        publication = Publication(site, published, publishing=Publishing(settings.publish))
        app = http_app(health=health, registry=REGISTRY, publication=publication)
        async with (
            serving(app, host=settings.http_host, port=settings.http_port) as url,
            _enrolling(settings, site) as desk,
            asyncio.TaskGroup() as tasks,
        ):
            beside = () if desk is None else (desk,)
            engine = tasks.create_task(_engines(settings, where, site, health, beside), name="engine")
            there = replace(where, http=url)
            with announced(settings.data, there):
                try:
                    yield there
                finally:
                    engine.cancel()


@contextlib.asynccontextmanager
async def _enrolling(settings: Settings, site: SiteId) -> AsyncIterator[EnrolmentDesk | None]:
    """The enrolment desk over HTTPS, for the length of a block; None when the settings name none."""
    if not settings.enrolment_url:
        yield None
        return
    folder, where = site_folder(settings, site), urlsplit(settings.enrolment_url)
    desk = EnrolmentDesk(folder, clock=SystemClock(), life=timedelta(hours=settings.certificate_hours))
    own = certify_desk(folder, where.hostname or "", now=SystemClock().now())
    tls = enrolment_tls(certificate=own, authority=folder.root / AUTHORITY)
    async with serving(enrolment_app(desk), host=settings.enrolment_host, port=where.port or 0, tls=tls):
        yield desk


async def _engines(
    settings: Settings, where: Premises, site: SiteId, health: Health, also_beside: Sequence[Beside]
) -> None:
    """Run one engine after another: who loses the site throws everything away and stands by for it."""
    while True:
        ledger = PostgresLedger(where.dsn)
        watched, told = PostgresStoredTrees(where.dsn), PostgresStoredTrees(where.dsn)
        beside = [
            *_watch(settings, site, watched),
            *_outward(settings, where, site, told),
            *also_beside,
        ]
        try:
            await Engine(_parts(settings, where, site, health=health, ledger=ledger, beside=beside)).run()
        except SiteLostError as lost:
            _log.warning("site lost", site=site, why=str(lost))
        finally:
            await ledger.close()
            await watched.close()
            await told.close()


def _outward(
    settings: Settings, where: Premises, site: SiteId, told: PostgresStoredTrees
) -> Sequence[Beside]:
    """What tells of the site in ONVIF's words, through a session of its own that is no part of the gates' link."""
    if not settings.onvif:
        return ()
    url, name = settings.onvif_broker or where.broker, account_name(OUTWARD, site)
    certified = settings.onvif_certificate is not None
    session = MqttSession(
        url=url if certified else _with_username(url, settings.onvif_username or name),
        client_id=name,
        session_expiry=timedelta(0),
        receive_maximum=RECEIVE_MAXIMUM,
        password=None if certified else _outward_password(settings, site_folder(settings, site)),
        ca_file=settings.onvif_authority or (None if settings.onvif_broker else settings.broker_authority),
        certificate_file=settings.onvif_certificate,
        will=(presence_topic(site, prefix=settings.prefix), b"offline"),
        what_stands=True,
        queued_out=_QUEUED_OUTWARD,
    )
    outward = OutwardEvents(
        site=site,
        prefix=settings.prefix,
        home=settings.homeassistant,
        program=__version__,
        stored=told,
        transport=session,
        clock=SystemClock(),
    )
    return (outward,)


def _outward_password(settings: Settings, folder: SiteFolder) -> str | None:
    if settings.onvif_password_file is not None:
        return settings.onvif_password_file.read_text().strip()
    embedded = not settings.broker and not settings.onvif_broker
    return _kept_password(folder, _OUTWARD_PASSWORDS[0]) if embedded else None


def _watch(settings: Settings, site: SiteId, watched: PostgresStoredTrees) -> Sequence[Beside]:
    if not settings.watch_rate:
        return ()
    return (IntegrityWatch(site=site, stored=watched, clock=SystemClock(), rate=settings.watch_rate),)


def _parts(
    settings: Settings,
    where: Premises,
    site: SiteId,
    *,
    health: Health,
    ledger: PostgresLedger,
    beside: Sequence[Beside],
) -> EngineParts:
    folder = site_folder(settings, site)
    log_key = load_pem_private_key(folder.read_secret(LOG_KEY), password=None)
    if not isinstance(log_key, Ed25519PrivateKey):
        raise SettingError("The log's key must be an Ed25519 key: checkpoints are signed with nothing else.")
    return EngineParts(
        site=site,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        prefix=settings.prefix,
        anchor=folder.read_anchor(),
        decision_key=folder.read_key(DECISION_KEY),
        log_key=log_key,
        beacon_secret=folder.read_secret(BEACON_KEY),
        pin_desk=_pin_desk(folder),
        allowance=Allowance(per_second=settings.gate_rate, burst=settings.gate_burst),
        ledger=ledger,
        vault=PostgresKeyVault(where.vault_dsn),
        transport=_session(settings, where, site, folder),
        clock=SystemClock(),
        health=health,
        beside=beside,
        witness=witness_parts(settings),
        authority=timestamp_authority(settings),
        stamped_every=timedelta(seconds=settings.tsa_interval),
    )


def _session(settings: Settings, where: Premises, site: SiteId, folder: SiteFolder) -> MqttSession:
    """The service's session; with a certificate the broker knows by it who we are, and there is no password."""
    certified = settings.broker_certificate is not None
    username = settings.broker_username or service_name(site)
    return MqttSession(
        url=where.broker if certified else _with_username(where.broker, username),
        client_id=service_name(site),
        session_expiry=_SESSION,
        receive_maximum=RECEIVE_MAXIMUM,
        longest_in=LONGEST_IN,
        password=None if certified else _broker_password(settings, folder),
        ca_file=settings.broker_authority,
        certificate_file=settings.broker_certificate,
    )


def witness_parts(settings: Settings) -> WitnessParts | None:
    """The witnesses that the settings name. Raises SettingError when their policy cannot be followed."""
    if settings.witnesses is None:
        return None
    try:
        policy = read_policy(settings.witnesses.read_bytes())
    except OSError as error:
        raise SettingError(f"witnesses cannot be read: {settings.witnesses}: {error.strerror}.") from error
    except PolicyRefusedError as error:
        raise SettingError(f"{settings.witnesses}: {error}") from error
    return WitnessParts(
        policy=policy,
        witnesses=HttpWitnesses(),
        interval=timedelta(seconds=settings.witness_interval),
    )


def timestamp_authority(settings: Settings) -> HttpTimestampAuthority | None:
    """The authority that stamps checkpoints, when one is set. Raises SettingError when what asks it is not installed."""
    if not settings.tsa:
        return None
    try:
        return HttpTimestampAuthority(settings.tsa)
    except ImportError:
        raise SettingError(
            "tsa is set, and nothing here can ask for time stamps: pip install '.[timestamp]' in the folder of "
            "Gatekeeper's source."
        ) from None


def _pin_desk(folder: SiteFolder) -> PinDesk | None:
    """Where PINs are opened and checked; a site that was founded without the keys for it asks for no PIN."""
    if not folder.holds(SEAL_KEY):
        return None
    return PinDesk(
        key=cose.SealKey.from_pem(folder.read_secret(SEAL_KEY)),
        checker=PinChecker(pepper=folder.read_secret(PIN_PEPPER)),
    )


def _with_username(url: str, username: str) -> str:
    scheme, _, rest = url.partition("://")
    return url if "@" in rest else f"{scheme}://{username}@{rest}"


def _broker_password(settings: Settings, folder: SiteFolder) -> str | None:
    if settings.broker_password_file is not None:
        return settings.broker_password_file.read_text().strip()
    return None if settings.broker else _kept_password(folder, _SERVICE_PASSWORD)
