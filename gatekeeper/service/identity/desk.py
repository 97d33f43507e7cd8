"""The enrolment desk: takes a gate's request with a code, waits for two people, certifies, and certifies again.

    asked --the trust list in force has the key--> certified --two thirds of its life--> renewed --> ...
    enrolments/<gate>/request.cose  request.csr  certificate.pem

The desk decides nothing. Whether a key is a gate's, the trust list says, which two operators and the roots have signed; which
TLS key is the same gate's, that key's own signature says. The desk holds one against the other, every time anew.

It is beside the engine: without one that owns the site it answers that one should ask again. HTTP is not its matter.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias, TypeVar

import structlog
from cryptography import x509

from gatekeeper.core.certificates import (
    CertificateRefusal,
    CertificateRefused,
    LeafKey,
    gate_of,
    public_der,
    read_certificate_request,
    to_pem,
)
from gatekeeper.core.drafting import draft_of_asking, draft_of_certificate
from gatekeeper.core.enrolment import EnrolmentRefusal, EnrolmentRefused, EnrolmentRequest, read_enrolment
from gatekeeper.core.flow import Flow
from gatekeeper.core.invitation import read_invitation
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.model.ids import GateId
from gatekeeper.ports import Clock
from gatekeeper.service.administration.folder import SiteFolder, SiteFolderError
from gatekeeper.service.engine.beside import Owner
from gatekeeper.service.identity.authority_files import (
    is_standing,
    is_used,
    issue_to_gate,
    read_authority,
)
from gatekeeper.service.identity.invitations import find_invitation, use_up

__all__ = ["MAX_REQUEST_BYTES", "Answer", "Certified", "EnrolmentDesk", "Refused", "Waits", "request_of"]

MAX_REQUEST_BYTES: Final = 4096
_PATIENCE: Final = 10.0
_A_SECOND, _AT_ONCE = 1.0, 20.0
_REQUEST, _CSR, _CERTIFICATE = "request.cose", "request.csr", "certificate.pem"
_log = structlog.get_logger("gatekeeper.enrolment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What a gate gets: its certificate, the authority's, and the trust list in force."""

    certificate: bytes
    authority: bytes
    trust: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A request that waits for two people; `digest` is by what it is asked after."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What the desk does not do, and why."""

    code: EnrolmentRefusal | CertificateRefusal
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that is whole: both keys are in the hands of who asks."""

    document: bytes
    csr: bytes
    request: EnrolmentRequest
    key: LeafKey

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.document).hexdigest()


Answer: TypeAlias = Certified | Waits | Refused
_T = TypeVar("_T")


class EnrolmentDesk:
    """The desk of one site. One question at a time: it is rare, and what it changes are files."""

    def __init__(
        self, folder: SiteFolder, *, clock: Clock, life: timedelta, pace: Callable[[], float] = time.monotonic
    ) -> None:
        """`life` is a certificate's; `pace` gives monotonic seconds. Raises `SiteFolderError` without an authority."""
        self._folder = folder
        self._authority = read_authority(folder)
        self._clock = clock
        self._life = life
        self._seconds = pace
        self._strangers = _Pace(pace)
        self._gates: dict[GateId, _Pace] = {}
        self._turn = asyncio.Lock()
        self._owner: Owner | None = None

    async def run(self, owner: Owner) -> None:
        """Be open while an engine owns the site."""
        self._owner = owner
        try:
            await asyncio.Event().wait()
        finally:
            self._owner = None

    async def ask(self, *, document: bytes, csr: bytes, code: str) -> Waits | Refused:
        """Take a request in that came with a code."""
        if not self._strangers.admits():
            return Refused(code=EnrolmentRefusal.LATER)
        asked = _read(document, csr)
        if isinstance(asked, Refused):
            return asked
        return await self._in_turn(lambda owner: self._take_in(owner, asked, code))

    async def look(self, gate: GateId, digest: str) -> Answer:
        """What has become of a request."""
        return await self._in_turn(lambda owner: self._look_after(owner, gate, digest))

    async def renew(
        self, shown: x509.Certificate | None, *, document: bytes, csr: bytes
    ) -> Certified | Refused:
        """Certify again the gate whose certificate was shown over TLS, and no other."""
        if not self._pace_of(shown).admits():
            return Refused(code=EnrolmentRefusal.LATER)
        asked = _read(document, csr)
        if isinstance(asked, Refused):
            return asked
        return await self._in_turn(lambda owner: self._certify_again(owner, shown, asked))

    def _pace_of(self, shown: x509.Certificate | None) -> "_Pace":
        """The pace of whoever shows what the authority made: a gate's own, which nobody else uses up."""
        if shown is None or not self._authority.has_signed(shown):
            return self._strangers
        gate = gate_of(shown, site=self._authority.site)
        return self._strangers if gate is None else self._gates.setdefault(gate, _Pace(self._seconds))

    async def _in_turn(self, answer: Callable[[Owner], Awaitable[_T]]) -> _T | Refused:
        owner = self._owner
        if owner is None:
            return Refused(code=EnrolmentRefusal.LATER)
        try:
            async with asyncio.timeout(_PATIENCE), self._turn:
                return await answer(owner)
        except (TimeoutError, SiteFolderError) as error:
            _log.warning("enrolment desk busy", why=str(error) or "no answer in time")
            return Refused(code=EnrolmentRefusal.LATER)

    async def _take_in(self, owner: Owner, asked: _Asked, code: str) -> Waits | Refused:
        gate, now = asked.request.gate, self._clock.now()
        flow = owner.flow
        believe = partial(read_invitation, trust=flow.trust, operators=flow.operators, now=now)
        # The code first: who has none is told nothing of the site.
        invited_by = await asyncio.to_thread(
            find_invitation, self._folder, gate, code, believe=believe, now=now
        )
        if invited_by is None:
            return _unwelcome(gate, EnrolmentRefusal.CODE)
        refused = _in_the_way(flow, asked.request)
        if refused is not None:
            return _unwelcome(gate, refused)
        # INVARIANT: a code lets one request in: it is gone before that is written down or kept. What is refused leaves it good.
        await asyncio.to_thread(use_up, self._folder, gate)
        await owner.record(draft_of_asking(asked.request, invited_by=invited_by, at=now, seq=0))
        await asyncio.to_thread(_keep, self._folder, asked)
        return Waits(digest=asked.digest)

    async def _look_after(self, owner: Owner, gate: GateId, digest: str) -> Answer:
        asked = await asyncio.to_thread(_kept, self._folder, gate)
        if asked is None or asked.digest != digest:
            return Refused(code=EnrolmentRefusal.NOT_WAITING)
        if not _is_admitted(owner.flow.trust, asked.request):
            return Waits(digest=digest)
        made = await asyncio.to_thread(_made, self._folder, gate)
        if made is None:
            certificate = await self._certify(owner, asked, renewal=False)
            made = to_pem(certificate)
            await asyncio.to_thread(self._folder.write, _place(gate, _CERTIFICATE), made)
        return self._given(made, owner)

    async def _certify_again(
        self, owner: Owner, shown: x509.Certificate | None, asked: _Asked
    ) -> Certified | Refused:
        # INVARIANT: a certificate leads to the next one of the same gate only, while it and the gate's key both count.
        if (
            shown is None
            or not self._authority.has_signed(shown)
            or gate_of(shown, site=owner.flow.trust.site) != asked.request.gate
            or not await asyncio.to_thread(is_standing, self._folder, shown.serial_number)
            or not _is_admitted(owner.flow.trust, asked.request)
        ):
            return Refused(code=EnrolmentRefusal.IDENTITY)
        # INVARIANT: a request is certified once: who copied it with its TLS key is that gate until this certificate ends.
        is_known = asked.key == shown.public_key() or await asyncio.to_thread(
            is_used, self._folder, asked.key
        )
        if is_known:
            return Refused(code=EnrolmentRefusal.KEY_USED)
        return self._given(to_pem(await self._certify(owner, asked, renewal=True)), owner)

    async def _certify(self, owner: Owner, asked: _Asked, *, renewal: bool) -> x509.Certificate:
        now, gate = self._clock.now(), asked.request.gate
        certificate = await asyncio.to_thread(self._issue, owner, asked, now)
        await owner.record(
            draft_of_certificate(
                asked.request,
                serial=certificate.serial_number,
                until=certificate.not_valid_after_utc,
                renewal=renewal,
                at=now,
                seq=0,
            )
        )
        _log.info("gate certified", gate=gate, until=certificate.not_valid_after_utc.isoformat())
        return certificate

    def _issue(self, owner: Owner, asked: _Asked, now: datetime) -> x509.Certificate:
        # Who revokes holds the folder too: what is issued before is taken back, and after that nothing is issued.
        with self._folder.alone():
            if not _is_admitted(owner.flow.trust, asked.request):
                raise SiteFolderError(f"{asked.request.gate} was revoked meanwhile")
            return issue_to_gate(
                self._folder, self._authority, asked.request.gate, asked.key, now=now, life=self._life
            )

    def _given(self, certificate: bytes, owner: Owner) -> Certified:
        return Certified(
            certificate=certificate,
            authority=to_pem(self._authority.certificate),
            trust=owner.flow.trust.document,
        )


class _Pace:
    """A token bucket: twenty questions at once, and one a second."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._tokens, self._counted = _AT_ONCE, seconds()

    def admits(self) -> bool:
        """Whether there is room for one more question, which takes it."""
        now = self._seconds()
        self._tokens = min(_AT_ONCE, self._tokens + (now - self._counted) * _A_SECOND)
        self._counted = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def request_of(folder: SiteFolder, gate: GateId) -> bytes | None:
    """The enrolment request of a gate that waits at the desk."""
    place = _place(gate, _REQUEST)
    return folder.read(place) if folder.holds(place) else None


def _read(document: bytes, csr: bytes) -> _Asked | Refused:
    if len(document) > MAX_REQUEST_BYTES:
        return Refused(code=EnrolmentRefusal.MALFORMED, detail=f"{len(document)} bytes")
    request = read_enrolment(document)
    if isinstance(request, EnrolmentRefused):
        return Refused(code=request.code, detail=request.detail)
    key = read_certificate_request(csr, gate=request.gate)
    if isinstance(key, CertificateRefused):
        return Refused(code=key.code, detail=key.detail)
    # INVARIANT: the TLS key is one that the message key has named, and both are in the hands of who asks.
    if request.tls != hashlib.sha256(public_der(key)).digest():
        return Refused(code=EnrolmentRefusal.TLS_KEY)
    return _Asked(document=document, csr=csr, request=request, key=key)


def _in_the_way(flow: Flow, request: EnrolmentRequest) -> EnrolmentRefusal | None:
    """Why a request would never be admitted on the site as it is."""
    if request.site != flow.trust.site:
        return EnrolmentRefusal.OTHER_SITE
    if request.gate not in flow.policy.gates:
        return EnrolmentRefusal.GATE_UNKNOWN
    listed = flow.trust.listing.gates.get(request.gate)
    if listed is not None and listed.state is not KeyState.REVOKED and listed.record != request.record:
        return EnrolmentRefusal.KEY_KNOWN
    return None


def _unwelcome(gate: GateId, code: EnrolmentRefusal) -> Refused:
    _log.warning("enrolment refused", gate=gate, code=code.value)
    return Refused(code=code, detail=gate)


def _is_admitted(trust: Trust, request: EnrolmentRequest) -> bool:
    """Whether the trust list in force has this very key for this very gate, and it counts."""
    listed = trust.listing.gates.get(request.gate)
    return (
        request.site == trust.site
        and listed is not None
        and listed.state is KeyState.ACTIVE
        and listed.record == request.record
    )


def _place(gate: GateId, name: str) -> str:
    return f"enrolments/{gate}/{name}"


def _keep(folder: SiteFolder, asked: _Asked) -> None:
    gate = asked.request.gate
    (folder.root / _place(gate, _CERTIFICATE)).unlink(missing_ok=True)
    folder.write_private(_place(gate, _CSR), asked.csr)
    folder.write_private(_place(gate, _REQUEST), asked.document)


def _kept(folder: SiteFolder, gate: GateId) -> _Asked | None:
    if not folder.holds(_place(gate, _REQUEST)):
        return None
    asked = _read(folder.read(_place(gate, _REQUEST)), folder.read(_place(gate, _CSR)))
    return None if isinstance(asked, Refused) else asked


def _made(folder: SiteFolder, gate: GateId) -> bytes | None:
    """The certificate that was made of the request that waits: asked for twice, it is given twice."""
    place = _place(gate, _CERTIFICATE)
    return folder.read(place) if folder.holds(place) else None
