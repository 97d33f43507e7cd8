"""A log whose entries are as old as a test says, and of which goes what is over its period."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.register import Register
from gatekeeper.core.retention import draft_of_expiry
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.policy import Policy
from gatekeeper.model.retention import USUAL, Kept, Retention
from gatekeeper.service.auditor import Seen
from gatekeeper.service.engine.expiry import Expiry, Found, Grounds
from gatekeeper.service.verification import Report
from tests.support.fort import ARMY, GATE, NOW, SCHOOL, Fort
from tests.support.sites import ground
from tests.support.verified import sign_heads, verified

__all__ = ["DAY", "PERIODS", "POLICY", "Years"]

DAY = timedelta(days=1)
POLICY = replace(
    ground().policy,
    retention=Retention(site=USUAL | {Kept.ENTRIES: 400 * DAY}, tenants={SCHOOL: {Kept.PERSONAL: 30 * DAY}}),
)
PERIODS = {POLICY.version.hex(): POLICY.retention}
"""The school keeps personal parts for thirty days, the army (the host) for a hundred and eighty; bodies live 400 days."""


@dataclass
class Years:
    """A fort whose entries are as old as a test says, and the second stage that lets go what is due."""

    fort: Fort
    policy: Policy = POLICY
    holds: frozenset[str] = frozenset()
    now: datetime = NOW
    said: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    async def write(
        self, entries: int, *, days: float, of: TenantId | None = None, person: HolderId | None = None
    ) -> None:
        """Entries so many days old, of a tenant's people or of nobody known."""
        at = self.now - days * DAY
        await self.fort.run("SELECT make_month($2::date) FROM site WHERE site_id = $1", at.date())
        tenants = (ARMY,) if of is None else (of,)
        pen = self.fort.pen
        await self.fort.commit(
            pen.write(
                entries,
                tenants=tenants,
                person=person,
                at=at,
                public={"gate": GATE} if of is None else {"gate": GATE, "tenant": of},
            )
        )

    async def checkpoint(self) -> None:
        self.seen.append(await sign_heads(self.fort))

    async def sweep(self) -> list[dict[str, Any]]:
        """Let go all that is due; give what the entries say."""
        begun = len(self.said)
        expiry = Expiry(
            site=self.fort.site,
            ledger=self.fort.ledger,
            clock=_Hand(self),
            grounds=lambda: Grounds(self.policy, self.holds),
            register=Register,
            let_go=self.let_go,
        )
        await expiry.sweep()
        return self.said[begun:]

    async def let_go(self, found: Found) -> bool:
        draft = draft_of_expiry(found.doomed.expired, self.policy, at=self.now, seq=self.fort.pen.size)
        await self.fort.commit(self.fort.pen.seal([draft]).holding(doomed=found.doomed))
        self.said.append({name: value for name, value in draft.public.items() if name not in _ALWAYS})
        return True

    async def parts(self) -> list[int]:
        rows = await self.fort.run("SELECT seq FROM personal WHERE site_id = $1 ORDER BY seq")
        return [row["seq"] for row in rows]

    async def bodies(self) -> list[int]:
        rows = await self.fort.run("SELECT seq FROM entry WHERE site_id = $1 ORDER BY seq")
        return [row["seq"] for row in rows]

    async def must_be_sound(self) -> Report:
        report = await verified(self.fort, seen=self.seen, periods=PERIODS)
        assert report.problems == []
        assert report.root == self.fort.pen.trees[SITE_TREE].root()
        return report


@dataclass
class _Hand:
    """The clock of a log, moved by hand."""

    of: Years

    def now(self) -> datetime:
        return self.of.now


_ALWAYS = ("before", "digest", "policy")
