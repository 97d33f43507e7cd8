"""Changes to a running site: believed, weighed, and made at once or proposed to a second person.

    signed change -> who, and is it fresh -> what deed, about whom, and may he -> made
                                              or, where it asks for two: proposed -> approved by another -> made

Everything that people change, changes here and nowhere else, between two scans, in the same order as everything. A change
that may not be made changes nothing and says why; both kinds of outcome are kept. A proposed change is believed, weighed
and authorised anew when it is approved, on the site as it is then: what has become impossible is refused, and waits on.

What a gate is told to do is done when it is said, or not at all: an order that waited longer than a command is valid is
refused, and of one that takes two it is the approval that must be new.

INVARIANT: what asks for two is made by two: the author and another, who signs what the author signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gatekeeper.core.audit import Draft, Kind, timestamp
from gatekeeper.core.change import (
    ApprovalChange,
    Change,
    ChangeRefused,
    ErasureChange,
    LockdownChange,
    OpeningChange,
    RebootChange,
    WithdrawalChange,
    authorised,
    concerns,
    read_change,
)
from gatekeeper.core.change_content import is_about_a_person, kind_of
from gatekeeper.core.commands import Order
from gatekeeper.core.enact import DEEDS, Declined, Making, Weighed, enact, weigh
from gatekeeper.core.flow import Flow, Recorded
from gatekeeper.core.operators import WORDS, may_second
from gatekeeper.core.proposals import PROPOSAL_LASTS, Ending, Proposal, digest_of
from gatekeeper.core.trust import Anchor
from gatekeeper.core.writes import ChangeOutcome, StoredBadge, StoredHolder, Writes
from gatekeeper.model.ids import OperatorId
from gatekeeper.model.messages import COMMAND_VALIDITY

__all__ = [
    "APPLIED",
    "EXPIRED",
    "PROPOSED",
    "WITHDRAWN",
    "ChangeOutcome",
    "StoredBadge",
    "StoredHolder",
    "Supervised",
    "Writes",
    "expire_proposals",
    "supervise",
]

APPLIED = "applied"
PROPOSED = "proposed"
WITHDRAWN = "proposal-withdrawn"
EXPIRED = "proposal-expired"
_FRESH = timedelta(hours=24)
_AT_ONCE = COMMAND_VALIDITY
_MOST_GIVEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """What became of one change: the entries it makes, in order, and the outcome either way.

    `settled` is the last word on a scan that waited for this change; its entries come after these.
    """

    drafts: tuple[Draft, ...]
    outcome: ChangeOutcome
    settled: Recorded | None = None
    order: Order | None = None
    """What a gate is to be commanded once the entries are committed."""

    @property
    def draft(self) -> Draft | None:
        """The first of its entries."""
        return self.drafts[0] if self.drafts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a change is handled with."""

    flow: Flow
    anchor: Anchor
    writes: Writes
    name: bytes
    now: datetime
    is_linked: bool


def supervise(
    flow: Flow,
    document: bytes,
    *,
    change_id: bytes,
    name: bytes | None,
    anchor: Anchor,
    now: datetime,
    writes: Writes,
    is_linked: bool,
) -> Supervised:
    """Make one change, propose it, or refuse it; `writes` gets what must be committed with its entries.

    `is_linked` says whether gates can be told anything now.
    """
    desk = _Desk(flow=flow, anchor=anchor, writes=writes, name=name or b"", now=now, is_linked=is_linked)
    change = _believe(document, desk)
    if isinstance(change, Declined):
        return _forgotten(_declined(change_id, change))
    if change.id != change_id:
        misfiled = Declined("change-malformed", "it is filed under another id")
        return _forgotten(_declined(change_id, misfiled))
    done = _handle(change, document, desk)
    told = _declined(change_id, done) if isinstance(done, Declined) else done
    return _forgotten(told) if is_about_a_person(change.content) else told


def expire_proposals(flow: Flow, *, now: datetime, writes: Writes) -> list[Draft]:
    """End the proposals that nobody has approved in time; an entry each."""
    return [
        _ended(proposal, Ending.EXPIRED, {}, flow=flow, now=now, writes=writes)
        for proposal in flow.proposals.due(now)
    ]


def _forgotten(done: Supervised) -> Supervised:
    """What became of a change whose bytes are let go."""
    return replace(done, outcome=replace(done.outcome, forgets=True))


def _believe(document: bytes, desk: _Desk) -> Change | Declined:
    flow, now = desk.flow, desk.now
    change = read_change(document, trust=flow.trust, operators=flow.operators, now=now)
    if isinstance(change, ChangeRefused):
        return Declined(change.code, change.detail)
    if abs(now - change.at) > _FRESH:
        return Declined("change-stale", "it was signed more than a day ago, or for more than a day ahead")
    return change


def _handle(change: Change, document: bytes, desk: _Desk) -> Supervised | Declined:
    match change.content:
        case ApprovalChange(digest=digest):
            return _approve(change, digest, desk)
        case WithdrawalChange(digest=digest):
            return _withdraw(change, digest, desk)
        case _:
            weighed = _late(change, change, desk) or _judge(change, desk)
            if isinstance(weighed, Declined):
                return weighed
            if WORDS[weighed.deed].second:
                return _propose(change, document, weighed, desk)
            return _make(change, weighed, desk)


def _late(change: Change, said: Change, desk: _Desk) -> Declined | None:
    """Why an order comes too late by now, counted from when its last word was said; None for all that is no order."""
    if not isinstance(change.content, OpeningChange | RebootChange) or abs(desk.now - said.at) <= _AT_ONCE:
        return None
    longest = f"{_AT_ONCE.total_seconds():.0f} s"
    return Declined("order-late", f"it was signed more than {longest} ago, or for more than {longest} ahead")


def _judge(change: Change, desk: _Desk) -> Weighed | Declined:
    """What a change amounts to, if its author may do it. Who may do nothing of the kind has nothing compiled for him."""
    flow, content = desk.flow, change.content
    if isinstance(content, ApprovalChange | WithdrawalChange):
        return Declined("change-malformed", "it changes nothing on the site")
    about = concerns(content, trust=flow.trust, owners=flow.register)
    if isinstance(about, ChangeRefused):
        return Declined(about.code, about.detail)
    refused = authorised(change, DEEDS[type(content)], about=about, host=flow.trust.host)
    if refused is not None:
        return Declined(refused.code, refused.detail)
    weighed = weigh(content, flow, anchor=desk.anchor, now=desk.now)
    if isinstance(weighed, Declined):
        return weighed
    refused = authorised(change, [weighed.deed], about=about, host=flow.trust.host)
    return weighed if refused is None else Declined(refused.code, refused.detail or weighed.deed.value)


def _make(
    change: Change, weighed: Weighed, desk: _Desk, *, second: OperatorId | None = None, **further: Any
) -> Supervised | Declined:
    """Make a change that was judged; `second` is who approved it, `further` is what its entry says beside."""
    # INVARIANT: no entry says that a gate was told what nobody can tell it.
    if weighed.errand is not None and not desk.is_linked:
        return Declined("broker-away", "it was not sent, and is not sent later")
    seq = desk.flow.next_seq
    making = Making(
        flow=desk.flow, writes=desk.writes, seq=seq, by=change.tenant, name=desk.name, now=desk.now
    )
    desk.flow.next_seq += 1
    done = enact(weighed, making)
    if isinstance(done, Declined):
        desk.flow.next_seq = seq
        return done
    draft = Draft(
        kind=done.kind,
        at=desk.now,
        seq=seq,
        tenants=done.tenants,
        public={**done.public, **_by(change), **further},
        person=done.person,
        personal=done.personal,
    )
    overtaken = _overtake(change, seq, desk)
    outcome = ChangeOutcome(change=change.id, code=APPLIED, detail=done.says, seq=seq)
    order = None
    if done.errand is not None:
        order = Order(errand=done.errand, operator=change.author, second=second, entry=seq)
    return Supervised(drafts=(draft, *overtaken), outcome=outcome, settled=done.settled, order=order)


def _overtake(change: Change, seq: int, desk: _Desk) -> list[Draft]:
    """End the proposals that a change has overtaken: they must be proposed anew, or have become impossible."""
    overtaken = [one for one in desk.flow.proposals if one.change != change.id and _overtakes(change, one)]
    further = {"overtaken_by": seq}
    return [
        _ended(one, Ending.EXPIRED, further, flow=desk.flow, now=desk.now, writes=desk.writes)
        for one in overtaken
    ]


def _overtakes(change: Change, proposal: Proposal) -> bool:
    """Who locks down what somebody has proposed to release says no to that; of who is forgotten nothing is proposed."""
    match change.content:
        case LockdownChange(scope=scope, on=True):
            return (proposal.kind, proposal.subject) == (kind_of(change.content), scope)
        case ErasureChange(holder=holder):
            return proposal.person == holder
        case _:
            return False


# -- proposals ----------------------------------------------------------------------------------------------------------


def _propose(change: Change, document: bytes, weighed: Weighed, desk: _Desk) -> Supervised | Declined:
    flow, digest = desk.flow, digest_of(document)
    if flow.proposals.find(digest) is not None:
        return Declined("proposal-known", "it waits already")
    if flow.proposals.is_full(change.author):
        return Declined("proposals-full", "too many proposals wait: approve or withdraw some")
    proposal = Proposal(
        digest=digest,
        document=document,
        change=change.id,
        tenant=change.tenant,
        author=change.author,
        kind=kind_of(change.content),
        subject=weighed.subject,
        gives=weighed.gives[:_MOST_GIVEN],
        base=weighed.base,
        seq=flow.next_seq,
        expires=min(change.at, desk.now) + PROPOSAL_LASTS,
        person=weighed.person,
    )
    flow.proposals.make(proposal)
    desk.writes.proposals.append(proposal)
    public = {**_of(proposal), "gives": list(proposal.gives), "expires": timestamp(proposal.expires)}
    draft = _entry(Kind.PROPOSAL_MADE, {**public, **_by(change)}, desk.flow, desk.now)
    if proposal.person is not None:
        draft = replace(draft, person=proposal.person, personal={"holder": proposal.person})
    outcome = ChangeOutcome(change=change.id, code=PROPOSED, detail="; ".join(proposal.gives), seq=draft.seq)
    return Supervised(drafts=(draft,), outcome=outcome)


def _approve(change: Change, digest: bytes, desk: _Desk) -> Supervised | Declined:
    flow = desk.flow
    proposal = _waiting(digest, desk)
    if isinstance(proposal, Declined):
        return proposal
    proposed = _believe(proposal.document, desk)
    if isinstance(proposed, Declined):
        return proposed
    # INVARIANT: the author is who signed, not whom a row names.
    if change.author == proposed.author:
        return Declined("proposal-own", "whoever has proposed it does not approve it")
    if not any(
        may_second(change.operator, deed, host=flow.trust.host) for deed in DEEDS[type(proposed.content)]
    ):
        return Declined("change-role", f"to approve a change of kind {proposal.kind}")
    weighed = _late(proposed, change, desk) or _judge(proposed, desk)
    if isinstance(weighed, Declined):
        return weighed
    if proposal.base != weighed.base:
        return Declined("proposal-outdated", "what it was made against has changed since: propose it anew")
    return _make_approved(change, proposal, proposed, weighed, desk)


def _make_approved(
    change: Change, proposal: Proposal, proposed: Change, weighed: Weighed, desk: _Desk
) -> Supervised | Declined:
    """The approval and what it brings about, one behind the other; or neither."""
    flow, seq = desk.flow, desk.flow.next_seq
    approved = _entry(Kind.PROPOSAL_APPROVED, {**_of(proposal), **_by(change)}, flow, desk.now)
    made = _make(
        proposed,
        weighed,
        desk,
        second=change.author,
        proposal=proposal.digest.hex(),
        approved_by=change.author,
    )
    if isinstance(made, Declined):
        flow.next_seq = seq
        return made
    _end(proposal, Ending.APPLIED, made.outcome, approved.seq, flow=flow, writes=desk.writes)
    detail = made.outcome.detail
    outcome = ChangeOutcome(change=change.id, code=APPLIED, detail=detail, seq=approved.seq)
    return Supervised(
        drafts=(approved, *made.drafts), outcome=outcome, settled=made.settled, order=made.order
    )


def _withdraw(change: Change, digest: bytes, desk: _Desk) -> Supervised | Declined:
    proposal = _waiting(digest, desk)
    if isinstance(proposal, Declined):
        return proposal
    if change.author != proposal.author:
        return Declined("proposal-foreign", f"only {proposal.author} withdraws it")
    draft = _ended(proposal, Ending.WITHDRAWN, _by(change), flow=desk.flow, now=desk.now, writes=desk.writes)
    outcome = ChangeOutcome(change=change.id, code=APPLIED, detail="", seq=draft.seq)
    return Supervised(drafts=(draft,), outcome=outcome)


def _waiting(digest: bytes, desk: _Desk) -> Proposal | Declined:
    proposal = desk.flow.proposals.find(digest)
    if proposal is None:
        return Declined(
            "proposal-unknown", "no such proposal waits: it was approved or withdrawn, or never made"
        )
    if desk.now >= proposal.expires:
        return Declined(EXPIRED, f"it waited until {timestamp(proposal.expires)}")
    return proposal


def _ended(
    proposal: Proposal,
    ending: Ending,
    further: Mapping[str, Any],
    *,
    flow: Flow,
    now: datetime,
    writes: Writes,
) -> Draft:
    """A proposal ends without being made: the entry that says so."""
    kind, code = _ENDINGS[ending]
    draft = _entry(kind, {**_of(proposal), **further}, flow, now)
    outcome = ChangeOutcome(change=proposal.change, code=code, detail="", seq=draft.seq)
    _end(proposal, ending, outcome, draft.seq, flow=flow, writes=writes)
    return draft


_ENDINGS = {
    Ending.WITHDRAWN: (Kind.PROPOSAL_WITHDRAWN, WITHDRAWN),
    Ending.EXPIRED: (Kind.PROPOSAL_EXPIRED, EXPIRED),
}


def _end(
    proposal: Proposal, ending: Ending, outcome: ChangeOutcome, seq: int, *, flow: Flow, writes: Writes
) -> None:
    """A proposal ends: what became of the change that it was is known now."""
    flow.proposals.end(proposal.digest)
    writes.endings.append((proposal.digest, ending, seq))
    writes.outcomes.append(outcome)


# -- entries ------------------------------------------------------------------------------------------------------------


def _entry(kind: Kind, public: Mapping[str, Any], flow: Flow, now: datetime) -> Draft:
    draft = Draft(kind=kind, at=now, seq=flow.next_seq, tenants=(), public=public, person=None, personal=None)
    flow.next_seq += 1
    return draft


def _of(proposal: Proposal) -> dict[str, Any]:
    subject = {"subject": proposal.subject} if proposal.subject else {}
    return {"proposal": proposal.digest.hex(), "proposes": proposal.kind, **subject}


def _by(change: Change) -> dict[str, Any]:
    return {
        "change": change.id.hex(),
        "by": change.tenant,
        "author": change.author,
        "signed_at": timestamp(change.at),
    }


def _declined(change_id: bytes, declined: Declined) -> Supervised:
    outcome = ChangeOutcome(change=change_id, code=declined.code, detail=declined.detail, seq=None)
    return Supervised(drafts=(), outcome=outcome)
