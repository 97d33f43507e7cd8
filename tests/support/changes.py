"""Making changes to a small site: one that is made is one entry; one that is refused changes nothing.

What takes two people is `agreed`: the army proposes it, the colonel approves it.
"""

from copy import deepcopy
from typing import Any

from gatekeeper.core.audit import Draft
from gatekeeper.core.change import ApprovalChange, ChangeContent, LogExportChange
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.supervise import APPLIED, PROPOSED, Supervised, Writes
from gatekeeper.model.badges import Card
from gatekeeper.model.reasons import Reason
from tests.support.sites import Issued, SmallSite

__all__ = ["WHOLE_LOG", "agreed", "made", "reason", "refused", "state_of"]


WHOLE_LOG = LogExportChange(
    tree="site",
    since=None,
    until=None,
    doors=(),
    decisions=(),
    holder=None,
    openings=False,
    reason="yearly audit",
)
"""An export of all that there is, of nobody by name: to alter."""


def state_of(site: SmallSite) -> Any:
    """Everything that a change can alter."""
    flow, register, writes = site.flow, site.flow.register, site.writes
    return deepcopy(
        (
            site.snapshot(),
            *(flow.policy.version, flow.policy_source, flow.trust.document),
            *(
                register._badges,
                register._holders,
                register._owner,
                register._issued_to,
                register._by_card,
                register._by_digest,
            ),
            *(register._badge_tenants, register._holder_tenants),
            *(getattr(writes, name) for name in Writes.__slots__ if name != "outcomes"),
        )
    )


def made(site: SmallSite, content: ChangeContent, **how: Any) -> Supervised:
    """A change that is made: one entry, under the next number."""
    seq = site.flow.next_seq
    done = site.supervise(content, **how)
    assert (done.outcome.code, done.outcome.seq) == (APPLIED, seq)
    assert done.draft is not None
    assert (done.draft.seq, done.draft.at, site.flow.next_seq) == (seq, site.now, seq + 1)
    return done


def agreed(site: SmallSite, content: ChangeContent) -> Draft:
    """A change that takes two: proposed, approved, made; give the entry of the change itself."""
    change_id = site.new_change_id()
    document = site.change(content, change_id=change_id)
    assert site.supervise(document, filed_as=change_id).outcome.code == PROPOSED
    done = site.supervise(ApprovalChange(digest=digest_of(document)), by="colonel")
    assert done.outcome.code == APPLIED, done.outcome
    return done.drafts[-1]


def refused(site: SmallSite, content: ChangeContent | bytes, **how: Any) -> str:
    """The code of a change that is not made, and changes nothing."""
    before = state_of(site)
    done = site.supervise(content, **how)
    assert done.draft is None
    assert done.outcome.seq is None
    assert state_of(site) == before
    return done.outcome.code


def reason(site: SmallSite, access_point: str, who: str | Issued | Card) -> Reason:
    """What somebody is shown who scans now."""
    decision = site.tap(access_point, who).decision
    assert decision is not None
    return decision.reason
