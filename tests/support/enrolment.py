"""The enrolment desk of the small site, with an engine beside it that writes down what it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from devices.certificate import Request, make_request
from gatekeeper import cose
from gatekeeper.core.audit import Draft
from gatekeeper.core.flow import Flow
from gatekeeper.core.trust import KeyState, Trust, TrustedKey, Use, read_trust
from gatekeeper.model.ids import GateId, OperatorId, SiteId
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.identity.desk import Certified, EnrolmentDesk, Refused, Waits
from gatekeeper.service.identity.invitations import invite
from tests.support.operators import operator_key
from tests.support.sites import NOON, SITE, SmallSite, ground, listed, signed_trust

__all__ = ["ADMIN", "GATE", "NEW", "OTHER", "WEEK", "Desk", "HandClock", "Owner", "asking", "open_desk"]

GATE, OTHER, ADMIN = GateId("front"), GateId("inner"), OperatorId("admin")
WEEK = timedelta(days=7)
NEW = cose.SigningKey.generate()


class Owner:
    """The engine of the small site, which writes down what it is told to."""

    def __init__(self) -> None:
        self._flow = SmallSite().flow
        self.drafts: list[Draft] = []

    @property
    def flow(self) -> Flow:
        return self._flow

    async def record(self, draft: Draft) -> None:
        self.drafts.append(draft)

    def believes(self, gate: GateId, key: cose.SigningKey, state: KeyState = KeyState.ACTIVE) -> None:
        """The next trust list is in force: it has this key for this gate."""
        record = key.record(use=Use.GATE, owner=gate)
        gates = {
            **self._flow.trust.listing.gates,
            gate: TrustedKey(record=record, state=state, revoked_from=None),
        }
        listing = replace(listed(gates=gates), version=self._flow.trust.version + 1)
        trust = read_trust(signed_trust(listing), anchor=ground().anchor, not_below=0)
        assert isinstance(trust, Trust)
        self._flow.trust = trust


class HandClock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self._now = NOON

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class Desk:
    """A desk with an engine beside it, a clock and a pace moved by hand."""

    def __init__(self, folder: SiteFolder) -> None:
        self.folder, self.owner, self.clock, self.seconds = folder, Owner(), HandClock(), 0.0
        self.desk = EnrolmentDesk(folder, clock=self.clock, life=WEEK, pace=lambda: self.seconds)

    def code(self, gate: GateId = GATE) -> str:
        return self.code_of(ADMIN, gate)

    def code_of(self, operator: str, gate: GateId = GATE, *, key: str | None = None) -> str:
        """A code that an operator made; `key` is whose key signed it, when not theirs."""
        signed_by = operator_key(key or operator)
        return invite(self.folder, gate, by=OperatorId(operator), key=signed_by, now=self.clock.now())

    async def ask(self, request: Request, code: str | None = None) -> Waits | Refused:
        return await self.desk.ask(
            document=request.document, csr=request.csr, code=self.code(request.gate) if code is None else code
        )

    async def certified(self, request: Request) -> Certified:
        waits = await self.ask(request)
        assert isinstance(waits, Waits), waits
        found = await self.desk.look(request.gate, waits.digest)
        assert isinstance(found, Certified), found
        return found

    async def renew(self, certificate: x509.Certificate | None, request: Request) -> Certified | Refused:
        return await self.desk.renew(certificate, document=request.document, csr=request.csr)


@asynccontextmanager
async def open_desk(desk: Desk) -> AsyncIterator[None]:
    running = asyncio.create_task(desk.desk.run(desk.owner))
    await asyncio.sleep(0)
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def asking(gate: GateId = GATE, key: cose.SigningKey = NEW, site: SiteId = SITE) -> Request:
    return make_request(site=site, gate=gate, key=key)
