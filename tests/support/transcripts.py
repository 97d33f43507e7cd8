"""Words that the transcripts of a small site share."""

from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.flow import Recorded, Refused
from gatekeeper.core.presence import Presence
from gatekeeper.model.ids import HolderId
from gatekeeper.model.reasons import MessageRefusal
from tests.support.sites import Sent, SmallSite

__all__ = ["assert_conflicts", "assert_refused", "boots_of", "chatter", "entry", "gaps", "here"]


def entry(taken: Recorded) -> Draft:
    """The one entry of a message."""
    (draft,) = taken.drafts
    return draft


def here(site: SmallSite, who: str = "sergeant") -> Presence:
    """Where the site believes somebody to be, and how sure it is."""
    return site.flow.whereabouts[HolderId(who)]


def chatter(site: SmallSite, messages: int, *, gate: str = "front") -> list[Sent]:
    """So many messages of a gate, all taken."""
    sent = [site.status(gate) for _ in range(messages)]
    for message in sent:
        site.recorded(message)
    return sent


def gaps(site: SmallSite) -> list[tuple[int, int, int]]:
    """The gaps in the log: first, last, missing."""
    found = [draft.public for draft in site.drafts if draft.kind is Kind.GATE_GAP]
    return [(gap["first"], gap["last"], gap["missing"]) for gap in found]


def assert_refused(site: SmallSite, sent: Sent, code: MessageRefusal) -> None:
    """Refused by its sequence, said by which, and nothing changed."""
    before = site.snapshot()
    assert site.refused(sent) == Refused(code, f"sequence {sent.message.sequence}")
    assert site.snapshot() == before


def assert_conflicts(site: SmallSite, sent: Sent, *, alarm: str) -> None:
    """Refused, for its number was used for something else; the first time that is an entry and an alarm."""
    before = site.snapshot()
    refused = site.refused(sent)
    assert (refused.code, refused.alarms) == (MessageRefusal.SEQUENCE_CONFLICT, (alarm,))
    (entry,) = refused.drafts
    assert (entry.kind, entry.seq, entry.public["alarm"]) == (Kind.GATE_CONFLICT, before[0], True)
    assert entry.public["message"] == sent.digest.hex()
    assert site.snapshot()[1:] == before[1:]
    assert_refused(site, sent, MessageRefusal.SEQUENCE_CONFLICT)


def boots_of(site: SmallSite, boots: int) -> list[Sent]:
    """One message in each of so many boots."""
    sent = []
    for _ in range(boots):
        site.reboot("front")
        sent += chatter(site, 1)
    return sent
