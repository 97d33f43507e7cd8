"""Doors opened from afar, gates started anew, and which gates follow a lockdown: what the site makes of an operator's word."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, canonical_json
from gatekeeper.core.change import ApprovalChange, LockdownChange, OpeningChange, RebootChange
from gatekeeper.core.commands import Unsent, sign_command
from gatekeeper.core.drafting import draft_of_unsent, marked
from gatekeeper.core.lockdowns import Lockdowns
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.model.ids import AccessPointId, BootId, GateId, ZoneId
from gatekeeper.model.messages import COMMAND_VALIDITY, CommandKind, JournalEnd, StatusKind
from gatekeeper.model.reasons import Reason
from tests.support.changes import made, refused
from tests.support.founded import compiled, ground
from tests.support.rules_site import RuledSite, document_with
from tests.support.sites import SITE, Sent, SmallSite, key_of

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHED, ARMOURY = AccessPointId("shed-in"), AccessPointId("armoury-in")


@pytest.fixture
def site() -> SmallSite:
    """A site whose gates have all said hello."""
    site = SmallSite()
    for gate in site.flow.policy.gates:
        site.recorded(site.hello(gate))
    return site


def opening(door: AccessPointId) -> OpeningChange:
    return OpeningChange(access_point=door, reason="a crate")


def test_a_door_is_opened_for_the_boot_its_gate_is_in_and_the_entry_says_why(site: SmallSite):
    done = made(site, opening(SHED), by="guard")
    assert done.order is not None
    errand = done.order.errand
    assert (errand.kind, errand.access_point) == (CommandKind.OPEN, SHED)
    assert errand.boot == site.flow.sequences.boot_of(errand.gate)
    assert errand.unlock == site.flow.policy.points[SHED].unlock
    assert (done.order.operator, done.order.second, done.order.entry) == ("guard", None, done.outcome.seq)
    assert done.draft is not None
    assert done.draft.kind is Kind.DOOR_COMMANDED
    assert (done.draft.public["reason"], done.draft.public["access_point"]) == ("a crate", SHED)


def test_a_door_of_a_high_level_takes_two_and_the_command_names_both(site: SmallSite):
    change_id = site.new_change_id()
    document = site.change(opening(ARMOURY), change_id=change_id, by="guard")
    proposed = site.supervise(document, filed_as=change_id)
    assert (proposed.outcome.code, proposed.order) == (PROPOSED, None)
    done = site.supervise(ApprovalChange(digest=digest_of(document)), by="colonel")
    assert done.outcome.code == APPLIED
    assert done.order is not None
    assert (done.order.operator, done.order.second) == ("guard", "colonel")
    assert done.order.entry == done.drafts[-1].seq
    signed = sign_command(done.order, sequence=7, issued=AT, site=SITE, key=key_of("decision"), prefix="gk")
    assert signed.topic == f"gk/v1/{SITE}/{done.order.errand.gate}/command"
    assert signed.until == AT + timedelta(seconds=10)


def test_what_cannot_be_opened_is_refused_with_a_code_and_orders_nothing(site: SmallSite):
    assert refused(site, opening(AccessPointId("cellar"))) == "access-point-unknown"
    assert refused(site, RebootChange(gate=GateId("cellar"), reason="it hangs")) == "gate-unknown"
    silent = SmallSite()
    assert refused(silent, opening(SHED)) == "gate-away"
    assert refused(silent, RebootChange(gate=GateId("front"), reason="it hangs")) == "gate-away"
    made(site, LockdownChange(scope="site", on=True))
    assert refused(site, opening(SHED)) == "locked-down"


@pytest.mark.parametrize("order", [opening(SHED), RebootChange(gate=GateId("front"), reason="it hangs")])
def test_while_nobody_can_tell_a_gate_nothing_is_ordered_of_it_and_no_entry_says_so(
    site: SmallSite, order: OpeningChange | RebootChange
):
    before, site.is_linked = site.flow.next_seq, False
    done = site.supervise(order, by="officer")
    assert (done.outcome.code, done.drafts, done.order) == ("broker-away", (), None)
    assert site.flow.next_seq == before
    site.is_linked = True
    assert made(site, order, by="officer").order is not None


def test_an_order_that_two_must_say_waits_for_the_broker_and_its_approval_does_not(site: SmallSite):
    change_id = site.new_change_id()
    document = site.change(opening(ARMOURY), change_id=change_id, by="guard")
    site.is_linked = False
    assert site.supervise(document, filed_as=change_id).outcome.code == PROPOSED
    approval = ApprovalChange(digest=digest_of(document))
    done = site.supervise(approval, by="colonel")
    assert (done.outcome.code, done.drafts, done.order) == ("broker-away", (), None)
    site.is_linked = True
    assert site.supervise(approval, by="colonel").order is not None


@pytest.mark.parametrize("unsent", Unsent)
def test_that_an_order_was_not_sent_stands_in_the_trees_of_the_order(site: SmallSite, unsent: Unsent):
    ordered = made(site, opening(SHED), by="guard").draft
    assert ordered is not None
    said = draft_of_unsent(marked(ordered, command="ab"), unsent, at=site.now, seq=0)
    assert (said.kind, said.tenants, said.personal) == (Kind.COMMAND_UNSENT, ordered.tenants, None)
    named = {name: ordered.public[name] for name in ("gate", "access_point", "from", "to")}
    assert said.public == {**named, "command": "ab", "order": ordered.seq, "why": unsent.value}


def test_what_is_approved_is_weighed_anew(site: SmallSite):
    change_id = site.new_change_id()
    document = site.change(opening(ARMOURY), change_id=change_id)
    site.supervise(document, filed_as=change_id)
    made(site, LockdownChange(scope="site", on=True))
    done = site.supervise(ApprovalChange(digest=digest_of(document)), by="colonel")
    assert (done.outcome.code, done.order) == ("locked-down", None)


@pytest.mark.parametrize("beyond", [timedelta(hours=20), timedelta(seconds=11), timedelta(seconds=-11)])
@pytest.mark.parametrize("order", [opening(SHED), RebootChange(gate=GateId("front"), reason="it hangs")])
def test_an_order_that_waited_longer_than_a_command_is_valid_is_not_carried_out(
    site: SmallSite, order: OpeningChange | RebootChange, beyond: timedelta
):
    assert refused(site, order, by="officer", at=site.now - beyond) == "order-late"
    assert made(site, order, by="officer", at=site.now - timedelta(seconds=9)).order is not None


def test_of_an_order_that_takes_two_it_is_the_approval_that_must_be_new(site: SmallSite):
    change_id = site.new_change_id()
    document = site.change(opening(ARMOURY), change_id=change_id, by="guard")
    site.supervise(document, filed_as=change_id)
    site.advance(hours=2)
    approval = ApprovalChange(digest=digest_of(document))
    late = site.supervise(approval, by="colonel", at=site.now - timedelta(seconds=11))
    assert (late.outcome.code, late.order) == ("order-late", None)
    assert site.supervise(approval, by="colonel").order is not None


def ruled(**rules: Any) -> RuledSite:
    """A site with rules whose gates have all said hello."""
    site = RuledSite(**rules)
    for gate in site.flow.policy.gates:
        site.recorded(site.hello(gate))
    return site


SLUICE = [{"id": "sluice", "access_points": ["front-in", "barrack-in"]}]


def test_a_door_that_was_opened_from_afar_keeps_its_partners_shut_until_its_gate_says_that_it_is():
    site = ruled(interlock=SLUICE)
    made(site, opening(AccessPointId("front-in")))
    site.denied("barrack-in", "sergeant", Reason.INTERLOCK)
    assert refused(site, opening(AccessPointId("barrack-in"))) == "interlock-open"
    site.recorded(site.status("front", StatusKind.CLOSED_AGAIN, access_point=AccessPointId("front-in")))
    assert made(site, opening(AccessPointId("barrack-in"))).order is not None


def test_a_command_that_nobody_used_keeps_the_partners_shut_no_longer_than_it_could_open():
    site = ruled(interlock=SLUICE)
    point = site.flow.policy.points[AccessPointId("front-in")]
    made(site, opening(point.id))
    site.now += COMMAND_VALIDITY + point.unlock + timedelta(seconds=4)
    site.denied("barrack-in", "sergeant", Reason.INTERLOCK)
    site.advance(seconds=2)
    assert made(site, opening(AccessPointId("barrack-in"))).order is not None


def test_a_door_that_leads_out_of_a_high_zone_into_a_lower_one_takes_two_people():
    site, document = RuledSite(), document_with()
    further = {"id": "armoury-shed", "gate": "inner", "from": "armoury", "to": "shed", "direction": "in"}
    names = {"en": "Armoury to shed", "nl": "Wapenkamer naar schuur"}
    document["access_point"].append(further | {"name": names})
    source, policy = compiled(document, trust=ground().trust)
    site.flow.adopt(policy, source=source, trust=ground().trust)
    for gate in policy.gates:
        site.recorded(site.hello(gate))
    assert policy.points[AccessPointId("armoury-shed")].level < policy.zones[ZoneId("armoury")].level
    done = site.supervise(opening(AccessPointId("armoury-shed")), by="guard")
    assert (done.outcome.code, done.order) == (PROPOSED, None)


# -- which gates follow -----------------------------------------------------------------------------------------------


class Log:
    """Entries, as far as lockdowns are in them."""

    def __init__(self) -> None:
        self.lockdowns, self.seq = Lockdowns(), 0
        self.policy = SmallSite().flow.policy

    def says(self, kind: Kind, **fields: Any) -> bool:
        self.seq += 1
        return self.lockdowns.learn(kind, fields, seq=self.seq, at=AT + timedelta(seconds=self.seq))

    def locks(self, scope: str, *, on: bool = True, **further: Any) -> None:
        assert self.says(Kind.LOCKDOWN_CHANGED, scope=scope, on=on, author="guard", **further)

    def hello(self, gate: str, boot: str = "01") -> None:
        assert self.says(Kind.GATE_HELLO, gate=gate, boot=boot)

    def told(self, gate: str, status: str = "locked_down", boot: str = "01", **further: Any) -> bool:
        return self.says(Kind.GATE_STATUS, gate=gate, boot=boot, status=status, **further)

    @property
    def wishes(self) -> dict[tuple[str, str | None], bool]:
        return {(one.gate, one.access_point): one.on for one in self.lockdowns.wishes(self.policy)}


def test_every_gate_is_asked_until_it_says_so_and_again_when_it_has_started():
    log = Log()
    assert log.wishes == {}
    log.locks("site")
    assert log.wishes == {(gate, None): True for gate in log.policy.gates}
    log.told("front")
    assert ("front", None) not in log.wishes
    log.hello("front", "02")
    assert log.wishes["front", None] is True
    log.told("front", boot="01")
    assert log.wishes["front", None] is True, "it was said before the start"
    log.told("front", boot="02")
    assert ("front", None) not in log.wishes


class Journals(Log):
    """What a site makes of gates that keep a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.site = SmallSite()

    def takes(self, sent: Sent) -> None:
        for draft in self.site.recorded(sent).drafts:
            self.says(draft.kind, **draft.public)

    def starts(self, *, journal: BootId, written: int) -> None:
        self.site.reboot("front")
        self.takes(self.site.hello("front", journal=JournalEnd(journal, written)))

    def writes(self, number: int, *, journal: BootId, kind: StatusKind = StatusKind.LOCKED_DOWN) -> None:
        self.takes(self.site.journals("front", self.site.status("front", kind), number, journal=journal))


OLD, NEW = BootId(b"journal1"), BootId(b"journal2")


def test_what_a_gate_says_through_its_journal_counts_and_the_release_is_told_to_it():
    log = Journals()
    log.starts(journal=OLD, written=0)
    log.locks("gate:front")
    assert log.wishes == {("front", None): True}
    log.writes(1, journal=OLD)
    assert log.wishes == {}
    log.locks("gate:front", on=False)
    assert log.wishes == {("front", None): False}
    log.writes(2, journal=OLD, kind=StatusKind.RELEASED)
    assert log.wishes == {}


def test_what_a_gate_wrote_before_it_started_anew_says_nothing_after_it():
    log = Journals()
    log.locks("gate:front")
    log.starts(journal=OLD, written=1)
    log.writes(1, journal=OLD)
    assert log.wishes == {("front", None): True}
    log.writes(2, journal=OLD)
    assert log.wishes == {}


def test_a_journal_that_begins_within_a_boot_counts_and_the_one_before_a_start_does_not():
    log = Journals()
    log.locks("gate:front")
    log.starts(journal=OLD, written=3)
    log.writes(1, journal=NEW)
    assert log.wishes == {}, "nobody knew it when the gate said hello"
    log.starts(journal=NEW, written=1)
    log.writes(4, journal=OLD)
    assert log.wishes == {("front", None): True}, "what is left of the old one was written before the start"
    log.writes(2, journal=NEW)
    assert log.wishes == {}


def test_a_hello_of_a_boot_that_another_has_followed_forgets_nothing():
    log = Log()
    log.locks("gate:front")
    log.hello("front", "01")
    log.hello("front", "02")
    log.told("front", boot="02")
    log.hello("front", "01")
    assert log.wishes == {}
    log.told("front", "released", boot="01")
    assert log.wishes == {}


def test_a_gate_that_claims_a_lockdown_that_nobody_ordered_is_told_nothing_in_the_name_of_nobody():
    log = Log()
    log.told("front")
    assert log.wishes == {}
    log.locks("gate:shed", on=False)
    assert log.wishes == {}, "that word was about another gate"
    [standing] = log.lockdowns.standings(log.policy)
    assert (standing.gate, standing.on, standing.word) == ("front", False, None)


def test_a_lockdown_outlives_its_entry_and_is_released_by_the_next_word():
    policy = SmallSite().flow.policy
    rows = [
        (500, Kind.LOCKDOWN_CHANGED, {"scope": "gate:front", "on": False, "author": "officer"}),
        (501, Kind.GATE_HELLO, {"gate": "front", "boot": "01"}),
        (502, Kind.GATE_STATUS, {"gate": "front", "boot": "01", "status": "locked_down"}),
    ]
    bodies = [
        (
            seq,
            AT,
            canonical_json(
                {"v": 1, "site": SITE, "seq": seq, "kind": kind.value, "trees": {"site": seq}, **fields}
            ),
        )
        for seq, kind, fields in rows
    ]
    lockdowns = Lockdowns.of(SITE, bodies, standing={"site"})
    assert all(wish.gate != "front" for wish in lockdowns.wishes(policy))
    fields = {"scope": "site", "on": False, "author": "officer"}
    lockdowns.learn(Kind.LOCKDOWN_CHANGED, fields, seq=503, at=AT)
    [wish] = lockdowns.wishes(policy)
    assert (wish.gate, wish.on, wish.word.seq) == ("front", False, 503)


def test_a_release_is_asked_for_in_the_name_of_who_released():
    log = Log()
    log.locks("gate:front")
    log.told("front")
    log.locks("gate:front", on=False, approved_by="colonel")
    [wish] = log.lockdowns.wishes(log.policy)
    assert (wish.gate, wish.access_point, wish.on) == ("front", None, False)
    assert (wish.word.second, wish.word.seq) == ("colonel", log.seq)
    [standing] = log.lockdowns.standings(log.policy)
    assert (standing.on, standing.confirmed_at) == (False, None)
    log.told("front", "released")
    assert log.wishes == {}
    assert log.lockdowns.standings(log.policy) == []


def test_of_a_gate_only_those_doors_are_asked_for_that_the_scope_closes():
    log = Log()
    log.locks("zone:armoury")
    points = log.policy.points.values()
    closed = {(point.gate, point.id) for point in points if "zone:armoury" in point.scopes}
    gates = {gate for gate, _ in closed}
    whole = {gate for gate in gates if all((gate, one.id) in closed for one in points if one.gate == gate)}
    expected = {(gate, None if gate in whole else door) for gate, door in closed}
    assert log.wishes == dict.fromkeys(expected, True)
    for gate, door in closed:
        log.told(gate, access_point=door)
    assert log.wishes == {}
    assert all(one.confirmed_at is not None for one in log.lockdowns.standings(log.policy))


def test_what_has_nothing_to_do_with_lockdowns_says_nothing():
    log = Log()
    assert not log.told("front", "tamper")
    assert not log.says(Kind.ALERT_CHANGED, to="grave")


def test_a_gate_is_started_anew_by_one(site: SmallSite):
    done = made(site, RebootChange(gate=GateId("front"), reason="it hangs"), by="officer")
    assert done.order is not None
    assert done.order.errand.kind is CommandKind.REBOOT
    assert done.order.errand.unlock is None
