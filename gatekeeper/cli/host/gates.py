"""`gatekeeper gate`: from a gate of the site file to one that is believed, and back.

enroll   an operator makes a one-time code; at the gate: gatekeeper-device enrol --code ...
admit    an operator proposes the trust list with the key that came, and another, who compared the fingerprint, approves
certify  the certificate of a gate whose files are carried by hand
revoke   one operator: the gate counts no more from that entry on, and its certificates are taken back
"""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.believed import policy_in_force
from gatekeeper.cli.host.broker_files import say_carry, write_anew
from gatekeeper.cli.host.changes import tell
from gatekeeper.cli.host.signing import HandedIn, believed, hand_in, signer_for
from gatekeeper.cli.new_files import fill, make_folder, see_new, write
from gatekeeper.cli.options import by_an_operator, run
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.certificates import CertificateRefused, public_der, read_certificate_request, to_pem
from gatekeeper.core.change import TrustChange
from gatekeeper.core.enrolment import EnrolmentRefusal
from gatekeeper.core.invitation import why_not_inviting
from gatekeeper.core.operators import Deed
from gatekeeper.core.supervise import APPLIED
from gatekeeper.core.trust import KeyState, Trust, read_trust
from gatekeeper.model.ids import GateId, SiteId, is_name
from gatekeeper.model.policy import SitePolicy
from gatekeeper.service.administration.folder import ANCHOR, SiteFolder
from gatekeeper.service.administration.gate_files import GATE_FILE, current_gate_file
from gatekeeper.service.administration.operators import Signer
from gatekeeper.service.administration.trust_list import (
    TrustListError,
    admit_gate,
    believe_request,
    publish_trust,
    read_current_trust,
    revoke_gate,
)
from gatekeeper.service.identity.authority_files import (
    AUTHORITY,
    has_authority,
    issue_to_gate,
    read_authority,
    revoke_certificates,
)
from gatekeeper.service.identity.desk import request_of
from gatekeeper.service.identity.invitations import INVITATION_LASTS, invite

__all__ = ["gate", "keep_trust"]

gate = typer.Typer(
    no_args_is_help=True,
    help="Enrol gates, admit them, revoke them; show who is there; open a door from afar, start a gate anew.",
)

Gate = Annotated[str, typer.Argument(metavar="GATE", help="The gate's id, as in the site file.")]


@gate.command()
@by_an_operator
def enroll(
    name: Gate,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="A folder to carry to the gate: gate.json, anchor.json, ca.pem; no secret."
        ),
    ] = None,
    *,
    settings: Settings,
) -> None:
    """Make a one-time code for a gate of the site file: within ten minutes it lets that gate hand in its request."""
    which = the_site(settings)
    inviting = run(_inviter(settings, which))
    if GateId(name) not in {gate.id for gate in inviting.policy.gates}:
        raise TrustListError(
            f"Refused: {EnrolmentRefusal.GATE_UNKNOWN}. {EnrolmentRefusal.GATE_UNKNOWN.sentence}"
        )
    now, signer = datetime.now(UTC), inviting.signer
    refused = why_not_inviting(signer.operator, host=inviting.trust.host, now=now)
    if refused is not None:
        say(
            f"Refused: {refused}. {refused.sentence.removesuffix('.')} ({signer.operator.id}, to invite a gate)."
        )
        raise typer.Exit(1)
    folder = site_folder(settings, which)
    read_authority(folder)
    if out is not None:
        carried = _to_carry(settings, folder, inviting.policy, GateId(name))
        make_folder(out)
        fill(out, carried)
    code = invite(folder, GateId(name), by=signer.operator.id, key=signer.key, now=now)
    _say_what_follows(settings, which, name, out, inviting.trust)
    typer.echo(code)


def _say_what_follows(settings: Settings, site: SiteId, name: str, out: Path | None, trust: Trust) -> None:
    """What stands in the way of a new key, what is carried to the gate, and what is typed there."""
    known = trust.listing.gates.get(GateId(name))
    if known is not None and known.state is not KeyState.REVOKED:
        say(
            f"{name} has a key that counts, and this code is for the gate that holds it. For another key end that one first: "
            f"gatekeeper gate revoke {name}"
        )
    if out is None:
        say(
            f"By hand are carried there gate.json, anchor.json and ca.pem: gatekeeper gate enroll {name} --out FOLDER writes them."
        )
    else:
        say(f"Carry {out} to the gate by hand, for trust begins with it.")
    if not settings.enrolment_url:
        say(
            "enrolment_url is not set here. A service without it opens no desk, and requests are carried by hand."
        )
    minutes = INVITATION_LASTS // timedelta(minutes=1)
    say(
        f"For {name} alone, once, for {minutes} minutes. At the gate, DIR being what was carried there: "
        f"gatekeeper-device enrol --site {site} --gate {name} --out DIR --url {settings.enrolment_url or 'https://DESK:PORT'}; "
        "it asks for the code."
    )


@gate.command()
@by_an_operator
def admit(
    request: Annotated[
        str,
        typer.Argument(metavar="GATE|FILE", help="A gate that waits at the desk, or its request as a file."),
    ],
    *,
    settings: Settings,
) -> None:
    """Propose the trust list with the key of a gate; another operator compares the fingerprint and approves."""
    which = the_site(settings)
    folder = site_folder(settings, which)
    document = _request(folder, request)
    handed_in, signed = run(_admit(settings, which, folder, document))
    if handed_in.outcome is not None and handed_in.outcome.code == APPLIED:
        keep_trust(settings, which, signed.document)
    tell(handed_in)


@gate.command()
@by_an_operator
def revoke(name: Gate, *, settings: Settings) -> None:
    """Revoke a gate's key: nothing that it says counts from now on; and take its certificates back."""
    which = the_site(settings)
    folder = site_folder(settings, which)
    trust = run(_trust_in_force(settings, which))
    known = trust.listing.gates.get(GateId(name))
    if known is not None and known.state is KeyState.REVOKED:
        # It came in force when this command had ended, or what follows from it was stopped.
        say(f"The key of {name} is revoked already.")
        _keep(folder, trust.document)
        _take_back(settings, folder, trust, GateId(name))
        return
    handed_in, signed = run(_revoke(settings, which, folder, GateId(name)))
    if handed_in.outcome is not None and handed_in.outcome.code == APPLIED:
        publish_trust(folder, signed)
        _take_back(settings, folder, signed, GateId(name))
    tell(handed_in)


@gate.command()
@by_an_operator
def certify(
    name: Gate,
    request: Annotated[Path, typer.Option("--request", help="The enrolment request (request.cose).")],
    csr: Annotated[Path, typer.Option("--csr", help="The certificate request (request.csr).")],
    out: Annotated[Path, typer.Option("--out", help="A new file, to carry to the gate.")],
    *,
    settings: Settings,
) -> None:
    """Make the certificate of a gate that the trust list in force has, where its files are carried by hand."""
    which = the_site(settings)
    folder = site_folder(settings, which)
    asked = believe_request(request.read_bytes(), site=which)
    key = read_certificate_request(csr.read_bytes(), gate=asked.gate)
    if isinstance(key, CertificateRefused):
        raise TrustListError(f"Refused: {key.code}. {key.code.sentence}")
    trust = run(_trust_in_force(settings, which))
    listed = trust.listing.gates.get(asked.gate)
    if (
        asked.gate != name
        or listed is None
        or listed.state is not KeyState.ACTIVE
        or listed.record != asked.record
    ):
        raise TrustListError(
            f"The trust list in force does not have this key of {name}: gatekeeper gate admit."
        )
    if asked.tls != hashlib.sha256(public_der(key)).digest():
        raise TrustListError(f"Refused: {EnrolmentRefusal.TLS_KEY}. {EnrolmentRefusal.TLS_KEY.sentence}")
    see_new(out)
    now, life = datetime.now(UTC), timedelta(hours=settings.certificate_hours)
    with folder.alone():
        certificate = issue_to_gate(folder, read_authority(folder), asked.gate, key, now=now, life=life)
    write(out, to_pem(certificate))
    say(f"It lasts until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.")


def keep_trust(settings: Settings, site: SiteId, document: bytes | None) -> None:
    """Keep the trust list that came in force in the site's folder too, when it follows on the one there, and the broker's rights."""
    folder = site_folder(settings, site)
    trust = _keep(folder, document)
    if trust is not None and has_authority(folder):
        say_carry(
            folder,
            write_anew(settings, folder, trust),
            until_then="Until then a gate that was admitted again says nothing there and hears nothing.",
        )


def _keep(folder: SiteFolder, document: bytes | None) -> Trust | None:
    if document is None or not folder.holds_site():
        return None
    trust = read_trust(document, anchor=folder.read_anchor(), not_below=read_current_trust(folder).version)
    if not isinstance(trust, Trust):
        return None
    publish_trust(folder, trust)
    return trust


class _Inviting(NamedTuple):
    """Who invites, and the site as it is."""

    signer: Signer
    trust: Trust
    policy: SitePolicy


async def _inviter(settings: Settings, site: SiteId) -> _Inviting:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        deeds = (Deed.WIDEN_TRUST,)
        signer = await signer_for(
            reading, settings, site, TrustChange(document=b""), tenant=None, deeds=deeds
        )
        trust, _ = await believed(reading, settings, site)
        return _Inviting(signer, trust, await policy_in_force(reading, site, trust=trust))


def _to_carry(settings: Settings, folder: SiteFolder, policy: SitePolicy, gate: GateId) -> dict[str, bytes]:
    """What a gate is given by hand: what it is, where trust begins, and by what it knows the desk and the broker."""
    return {
        GATE_FILE: current_gate_file(folder, policy, gate, prefix=settings.prefix),
        ANCHOR: folder.read(ANCHOR),
        "ca.pem": folder.read(AUTHORITY),
    }


async def _admit(
    settings: Settings, site: SiteId, folder: SiteFolder, request: bytes
) -> tuple[HandedIn, Trust]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        current, _ = await believed(reading, settings, site)
        gates = await _gates_in_force(reading, settings, site)
        signed = admit_gate(folder, current, request, gates=gates, now=datetime.now(UTC))
        asked = believe_request(request, site=site)
        say(f"{asked.gate} shows this fingerprint, or it is not {asked.gate}:")
        typer.echo(asked.fingerprint)
        return await _hand_in(reading, settings, site, signed, Deed.WIDEN_TRUST), signed


async def _revoke(
    settings: Settings, site: SiteId, folder: SiteFolder, gate: GateId
) -> tuple[HandedIn, Trust]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        current, _ = await believed(reading, settings, site)
        signed = revoke_gate(folder, current, gate, now=datetime.now(UTC))
        return await _hand_in(reading, settings, site, signed, Deed.CHANGE_TRUST), signed


async def _hand_in(
    reading: PostgresReading, settings: Settings, site: SiteId, signed: Trust, deed: Deed
) -> HandedIn:
    change = TrustChange(document=signed.document)
    signer = await signer_for(reading, settings, site, change, tenant=None, deeds=(deed,))
    return await hand_in(reading, signer, change)


async def _gates_in_force(reading: PostgresReading, settings: Settings, site: SiteId) -> frozenset[GateId]:
    trust, _ = await believed(reading, settings, site)
    policy = await policy_in_force(reading, site, trust=trust)
    return frozenset(gate.id for gate in policy.gates)


async def _trust_in_force(settings: Settings, site: SiteId) -> Trust:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        trust, _ = await believed(reading, settings, site)
        return trust


def _request(folder: SiteFolder, named: str) -> bytes:
    """The request of a gate that waits at the desk, else that of a file. Raises SettingError."""
    waiting = request_of(folder, GateId(named)) if is_name(named) else None
    if waiting is not None:
        return waiting
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise SettingError(
            f"No gate {named} waits at the desk, and there is no such file: {error.strerror}."
        ) from None


def _take_back(settings: Settings, folder: SiteFolder, trust: Trust, gate: GateId) -> None:
    """Take a gate's certificates back, and write what the broker reads anew."""
    if not has_authority(folder):
        return
    with folder.alone():
        count = revoke_certificates(folder, gate, now=datetime.now(UTC))
    say(f"{count} certificate{'' if count == 1 else 's'} taken back.")
    say_carry(
        folder,
        write_anew(settings, folder, trust),
        until_then="Then the session that is there is mute, and no other begins.",
    )
