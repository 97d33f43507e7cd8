"""What the small site writes under plain rights: every message with and without what it may leave out, and every change."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

from gatekeeper.core.audit import Draft
from gatekeeper.core.change import (
    AlertChange,
    ApprovalChange,
    BadgeStateChange,
    ChangeContent,
    HolderChange,
    LockdownChange,
    OpeningChange,
    OperatorChange,
    PolicyChange,
    RebootChange,
    TrustChange,
    WithdrawalChange,
)
from gatekeeper.core.operators import Role
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.proposals import PROPOSAL_LASTS
from gatekeeper.core.supervise import APPLIED, PROPOSED, Writes, expire_proposals
from gatekeeper.core.trust import Use
from gatekeeper.model.badges import BadgeState, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ClockQuality, JournalEnd, PassageOutcome, StatusKind, Verdict
from tests.support.operators import account, signed_account
from tests.support.sites import (
    HOST,
    JOURNAL,
    SITE,
    Sent,
    SmallSite,
    issue,
    key_of,
    listed,
    register_holder,
    signed_trust,
    site_document,
    trusted,
)

STRANGE = Card(CardTechnology.WIEGAND, b"strange")
NOWHERE = "nowhere"


def _messages(site: SmallSite) -> None:
    """What gates can say, with and without everything that they may leave out."""
    clock = {"gate_at": site.now, "clock": ClockQuality.FREE_RUNNING}
    for more in ({}, clock):
        site.tap("front-in", "sergeant", **more)
        site.tap("front-in", "teacher", **more)
        site.tap("shed-in", STRANGE, **more)
        site.tap(NOWHERE, "teacher", gate="front", **more)
        for verdict in (Verdict.GRANTED, Verdict.DENIED):
            for policy in (None, bytes(32)):
                offline = {"offline_verdict": verdict, "offline_policy": policy, **more}
                site.tap("front-in", "teacher", **offline)
                site.tap(NOWHERE, STRANGE, gate="front", **offline)
        for outcome in PassageOutcome:
            site.recorded(site.passage("front-in", outcome, **more))
            site.recorded(site.passage(NOWHERE, outcome, gate="front", **more))
            site.recorded(site.passage("front-in", outcome, scan=site.scan("front-in", "teacher"), **more))
            grant = site.scan("front-out", "sergeant", **more)
            site.recorded(grant)
            site.recorded(site.passage("front-out", outcome, scan=grant, **more))
        for kind in StatusKind:
            for place in (None, "front-in", NOWHERE):
                for command in (None, bytes(32)):
                    said = {"access_point": place, "command": command, **more}
                    site.recorded(site.status("front", kind, **said))
        for kind in (StatusKind.POLICY_REFUSED, StatusKind.COMMAND_REFUSED):
            for times in (None, 2):
                site.recorded(site.status("front", kind, why="some-cause", count=times, **more))
        for kind in (StatusKind.OPENED_ITSELF, StatusKind.JOURNAL_FULL):
            site.recorded(site.status("front", kind, access_point="front-in", count=7, **more))
        site.recorded(site.hello("front", **more))
        site.recorded(site.hello("front", policy=bytes(32), checkpoint=b"a checkpoint", **more))
    _journal(site, clock)
    site.skip("front", 100)
    site.recorded(site.status("front"))


def _journal(site: SmallSite, clock: Mapping[str, Any]) -> None:
    """What a journal can say, in order, out of it, and otherwise than before."""
    numbers = count(1)
    for verdict in (Verdict.GRANTED, Verdict.DENIED):
        _out_of_order(site, site.scan("front-in", "teacher", offline_verdict=verdict, **clock), numbers)
    for outcome in PassageOutcome:
        _out_of_order(site, site.passage("front-in", outcome, **clock), numbers)
    _out_of_order(site, site.status("front"), numbers)
    taken = next(numbers) - 1
    for conflict in (
        site.journals("front", site.status("front", StatusKind.FIRE, **clock), taken),
        site.status("front", StatusKind.FIRE, boot=JOURNAL, sequence=taken + 2),
    ):
        site.refused(conflict)
    site.recorded(site.journals("front", site.status("front"), taken + 100))
    for written in (taken + 500, 2):
        site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, written)))


def _out_of_order(site: SmallSite, told: Sent, numbers: Iterator[int]) -> None:
    number = next(numbers)
    site.recorded(site.journals("front", site.status("front"), next(numbers)))
    site.recorded(site.journals("front", told, number))


def _changes(site: SmallSite) -> None:
    """What operators can say alone."""
    pupil, ownerless = site.badges["pupil"].badge, issue("nobody", "school")
    site.enter("nobody", ownerless)
    renewed = replace(site.holders["pupil"], version=2)
    armoury = AccessPointId("armoury-in")
    site.recorded(site.hello(site.gate_of(armoury)))
    approval = ApprovalChange(digest=_proposed(site, OpeningChange(access_point=armoury, reason="a crate")))
    assert site.supervise(approval, by="colonel").outcome.code == APPLIED
    for by, content in (
        ("school", BadgeStateChange(badge=pupil.id, state=BadgeState.SUSPENDED)),
        ("officer", BadgeStateChange(badge=ownerless.badge.id, state=BadgeState.STOLEN)),
        ("school", HolderChange(holder=renewed.id, document=register_holder(renewed), badges=())),
        ("guard", AlertChange(state="grave")),
        ("guard", OpeningChange(access_point=AccessPointId("shed-in"), reason="a crate")),
        ("officer", RebootChange(gate=GateId("front"), reason="it hangs")),
        ("guard", LockdownChange(scope="zone:yard", on=True)),
        ("guard", LockdownChange(scope="gate:front", on=True)),
        ("admin", _policy(level=1)),
        ("admin", TrustChange(document=signed_trust(listed(version=2)))),
    ):
        assert site.supervise(content, by=by).outcome.code == APPLIED, content


def _policy(*, level: int) -> PolicyChange:
    """Another level for the shed."""
    document = site_document()
    document["zone"][2]["level"] = level
    return PolicyChange(document=sign_policy(document, site=SITE, key=key_of(f"{HOST} signing")))


def _appointed(**changes: Any) -> OperatorChange:
    operator = account("patrol", HOST, [Role.GUARD], **changes)
    document = signed_account(operator, site=SITE, key=key_of(f"{HOST} signing"))
    return OperatorChange(operator=operator.id, document=document)


def _changes_by_two(site: SmallSite) -> None:
    """What takes a second person, and everything that can become of it."""
    further = trusted("further", use=Use.DECISION, owner="service")
    listing = listed(version=3)
    listing = replace(listing, services=(*listing.services, (Use.DECISION, further)))
    for content in (
        LockdownChange(scope="site", on=False),
        _policy(level=0),
        TrustChange(document=signed_trust(listing)),
        _appointed(),
    ):
        approval = ApprovalChange(digest=_proposed(site, content))
        assert site.supervise(approval, by="colonel").outcome.code == APPLIED, content
    assert site.supervise(_appointed(version=2, revoked=True)).outcome.code == APPLIED
    assert site.supervise(_policy(level=1)).outcome.code == APPLIED
    for content in (_policy(level=0), LockdownChange(scope="zone:yard", on=False)):
        assert site.supervise(WithdrawalChange(digest=_proposed(site, content))).outcome.code == APPLIED
    _proposed(site, LockdownChange(scope="zone:yard", on=False))
    assert site.supervise(LockdownChange(scope="zone:yard", on=True)).outcome.code == APPLIED
    _proposed(site, _policy(level=0))
    site.drafts += expire_proposals(site.flow, now=site.now + PROPOSAL_LASTS, writes=Writes())


def _proposed(site: SmallSite, content: ChangeContent) -> bytes:
    done = site.supervise(content)
    assert done.outcome.code == PROPOSED, done.outcome
    [waiting] = site.flow.proposals
    return waiting.digest


@cache
def small_site_drafts() -> tuple[Draft, ...]:
    site = SmallSite()
    _messages(site)
    _changes(site)
    _changes_by_two(site)
    return tuple(site.drafts)
