"""A site out of its stored state: what gates said, and the database keeps nowhere but in the log, comes back too."""

from typing import Any

from gatekeeper.core.audit import SITE_TREE, Draft, Kind, canonical_json, timestamp
from gatekeeper.core.flow import Flow
from gatekeeper.model.messages import JournalEnd, PassageOutcome
from gatekeeper.ports import Loaded
from gatekeeper.service.engine.loading import flow_of
from gatekeeper.transparency import EMPTY_ROOT
from tests.support.sites import JOURNAL, SITE, SmallSite, ground


def body(draft: Draft) -> bytes:
    """An entry as the log holds it."""
    fields = {
        "v": 1,
        "site": SITE,
        "seq": draft.seq,
        "trees": {SITE_TREE: draft.seq},
        "kind": draft.kind.value,
    }
    return canonical_json({**draft.public, **fields, "at": timestamp(draft.at), "nonce": "0" * 32})


def taken_over(site: SmallSite, **loaded: Any) -> Flow:
    """The flow of an engine that takes over a site of which nothing is stored but its documents, and this."""
    stored = {
        "epoch": 2,
        "trust": site.flow.trust.document,
        "policy": site.flow.policy_source,
        "alert": 0,
        "lockdowns": frozenset(),
        "holders": (),
        "badges": (),
        "presences": (),
        "usage": {},
        "opened": {},
        "suspended": frozenset(),
        "receipts": (),
        "closed_boots": (),
        "edges": {SITE_TREE: (0, ())},
        "roots": {SITE_TREE: EMPTY_ROOT},
    }
    return flow_of(Loaded(**(stored | loaded)), anchor=ground().anchor)


def test_how_long_a_journal_was_and_what_its_gate_gave_up_is_read_back_from_the_log():
    site = SmallSite()
    scan = site.scan("front-in", "sergeant")
    site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, 9)))
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan))
    hello, given_up = [(draft.seq, draft.at, body(draft)) for draft in site.drafts]
    assert [draft.kind for draft in site.drafts] == [Kind.GATE_HELLO, Kind.PASSAGE_NOT_TAKEN]
    flow = taken_over(site, lockdown_entries=(hello,), given_up=(given_up,))
    assert flow.sequences.is_given_up(site.authentic(scan))
    assert flow.sequences.goes_back(site.authentic(scan).gate, JournalEnd(JOURNAL, 8))


def test_what_is_not_in_the_spelling_of_an_entry_says_nothing():
    site = SmallSite()
    scan = site.scan("front-in", "sergeant")
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan))
    [draft] = site.drafts
    flow = taken_over(site, given_up=((draft.seq + 1, draft.at, body(draft)),))
    assert not flow.sequences.is_given_up(site.authentic(scan))
