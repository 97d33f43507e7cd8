"""The next version of a site's trust list: written, signed by its roots, believed again, and only then put in place.

A list that would not be believed by those who receive it never leaves this module. How a list reaches gates and engine
is not known here, beyond the copies in the gates' folders.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime

from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRefusal, EnrolmentRefused, EnrolmentRequest, read_enrolment
from gatekeeper.core.trust import (
    TRUST_TYPE,
    Anchor,
    KeyState,
    Trust,
    TrustedKey,
    TrustListing,
    TrustRefused,
    read_trust,
    trust_payload,
)
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import ROOT_KEYS, TRUST, SiteFolder, in_gate

__all__ = [
    "TrustListError",
    "active",
    "admit_gate",
    "believe_request",
    "next_trust",
    "publish_trust",
    "read_current_trust",
    "revoke_gate",
    "sign_trust",
]


class TrustListError(Exception):
    """A trust list, or an entry in it, that nobody would believe; the message says what to do."""


def active(record: cose.KeyRecord) -> TrustedKey:
    """A key that signs from now on."""
    return TrustedKey(record=record, state=KeyState.ACTIVE, revoked_from=None)


def sign_trust(listing: TrustListing, *, anchor: Anchor, roots: Iterable[cose.SigningKey]) -> Trust:
    """Sign a trust list with root keys, and believe it as everybody else will have to."""
    document = cose.cosign(
        trust_payload(listing), keys=roots, typ=TRUST_TYPE, external_aad=listing.site.encode()
    )
    return _believe(document, anchor=anchor, not_below=listing.version)


def read_current_trust(folder: SiteFolder) -> Trust:
    """Believe the trust list that is in place."""
    return _believe(folder.read(TRUST), anchor=folder.read_anchor(), not_below=1)


def publish_trust(folder: SiteFolder, trust: Trust) -> None:
    """Put a trust list in place, and into the folder of every gate that is kept here."""
    folder.write(TRUST, trust.document)
    for gate in folder.gates():
        folder.write(in_gate(gate, TRUST), trust.document)


def next_trust(
    folder: SiteFolder, current: Trust, change: Callable[[TrustListing], TrustListing], *, now: datetime
) -> Trust:
    """Sign the version of the trust list that follows on the one in force, with the root keys that are here.

    It is put nowhere: the engine says whether it comes in force, perhaps when a second person agrees. Raises
    `TrustListError` when too few of the keys are here.
    """
    with folder.alone():
        anchor = folder.read_anchor()
        here = [place for place in ROOT_KEYS if folder.holds(place)]
        if len(here) < anchor.threshold:
            raise TrustListError(
                f"{anchor.threshold} root keys must sign the trust list, and {len(here)} of them are in "
                f"{folder.root / 'keys'}: bring those that are kept elsewhere."
            )
        listing = replace(change(current.listing), version=current.version + 1, issued=now)
        roots = [folder.read_key(place) for place in here[: anchor.threshold]]
        return sign_trust(listing, anchor=anchor, roots=roots)


def admit_gate(
    folder: SiteFolder, current: Trust, request: bytes, *, gates: Collection[GateId], now: datetime
) -> Trust:
    """Sign the trust list that follows, with the key of an enrolment request; `gates` are those of the policy in force.

    Raises `TrustListError` for a request that is not believed, for a gate that is none of them, and for one whose present
    key is not revoked.
    """

    def with_gate(listing: TrustListing) -> TrustListing:
        believed = believe_request(request, site=listing.site)
        if believed.gate not in gates:
            unknown = EnrolmentRefusal.GATE_UNKNOWN
            raise TrustListError(
                f"Refused: {unknown}. {unknown.sentence.removesuffix('.')} ({believed.gate})."
            )
        known = listing.gates.get(believed.gate)
        if known is not None and known.state is not KeyState.REVOKED:
            raise TrustListError(
                f"{believed.gate} has a key already: revoke it before admitting another (gatekeeper gate revoke)."
            )
        return replace(listing, gates={**listing.gates, believed.gate: active(believed.record)})

    return next_trust(folder, current, with_gate, now=now)


def revoke_gate(folder: SiteFolder, current: Trust, gate: GateId, *, now: datetime) -> Trust:
    """Sign the trust list that follows, in which a gate's key is revoked. Raises `TrustListError` when it has none that counts."""

    def without_gate(listing: TrustListing) -> TrustListing:
        known = listing.gates.get(gate)
        if known is None or known.state is KeyState.REVOKED:
            raise TrustListError(f"{gate} has no key that counts: there is nothing to revoke.")
        revoked = replace(known, state=KeyState.REVOKED, revoked_from=now)
        return replace(listing, gates={**listing.gates, gate: revoked})

    return next_trust(folder, current, without_gate, now=now)


def believe_request(document: bytes, *, site: SiteId) -> EnrolmentRequest:
    """Believe that whoever sent an enrolment request has its key, and wants to be a gate of this site."""
    request = read_enrolment(document)
    if isinstance(request, EnrolmentRefused):
        raise TrustListError(f"{request.code.sentence} ({request.detail})")
    if request.site != site:
        raise TrustListError(f"The enrolment request is for the site {request.site}, not for {site}.")
    return request


def _believe(document: bytes, *, anchor: Anchor, not_below: int) -> Trust:
    trust = read_trust(document, anchor=anchor, not_below=not_below)
    if isinstance(trust, TrustRefused):
        raise TrustListError(f"{trust.code.sentence} ({trust.detail})")
    return trust
