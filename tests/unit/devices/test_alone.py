"""A gate that nobody answers lets in whom the service said beforehand, and nobody else; and nobody before it is on disk."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devices.core.alone import Alone
from devices.core.checkpoints import CheckpointMemory
from devices.core.events import (
    Append,
    Appended,
    AppendFailed,
    AskProof,
    BeaconReceived,
    CardPresented,
    ContactClosed,
    ContactOpened,
    KeepPolicy,
    LinkDown,
    LinkUp,
    PolicyFile,
    ProofGiven,
    Publish,
    Show,
    Signal,
    SnapshotReceived,
    StandingReceived,
    TamperOpened,
    TimerKind,
    TrustReceived,
    Unlock,
)
from devices.core.standby import Held
from gatekeeper import cose
from gatekeeper.core.trust import TRUST_TYPE, Use, trust_payload
from gatekeeper.cose.status_list import INVALID, SUSPENDED
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, SiteId, TenantId
from gatekeeper.model.messages import (
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    CommandKind,
    Passage,
    PassageOutcome,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from gatekeeper.model.snapshot import STANDING_TYPE, KnownCards, Standing
from gatekeeper.model.topics import Channel, standing_topic
from tests.unit.devices.ground import GATE, HOST, IN, NOON, OTHER_GATE, OUT, PLAIN, SITE, only, topic
from tests.unit.devices.solitude import BADGE, LONGEST, Lonely, badge_of, row

CARD = Card(CardTechnology.MIFARE, b"\xba\x83\x9d\x07")


def causes(talk: Lonely) -> list[str | None]:
    """Why something was refused, as it was told."""
    statuses = [message for message in talk.messages() if isinstance(message, Status)]
    return [status.why for status in statuses if status.kind is StatusKind.POLICY_REFUSED]


def alarms(talk: Lonely) -> list[StatusKind]:
    """What was told of what must not have come."""
    statuses = [message for message in talk.messages() if isinstance(message, Status)]
    return [
        status.kind
        for status in statuses
        if status.kind in {StatusKind.POLICY_REFUSED, StatusKind.CLOCK_DOUBTED}
    ]


def test_whoever_may_come_in_comes_in_and_it_is_told_when_the_link_is_back():
    talk = Lonely.provided()
    snapshot = talk.snapshot(version=101)
    talk.comes(SnapshotReceived(snapshot))
    talk.comes(StandingReceived(talk.standing(version=101, snapshots={GATE: 101})))
    talk.happens(LinkDown())
    talk.passes(60)
    before = len(talk.published)
    assert talk.shows() is Signal.GRANTED
    assert [unlock.lasting for unlock in talk.unlocked()] == [timedelta(seconds=6)]
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))
    assert len(talk.published) == before
    talk.happens(LinkUp())
    asked, walked = talk.published[before:]
    scan, passage = talk.service.read(asked), talk.service.read(walked)
    assert isinstance(scan, Scan)
    assert isinstance(passage, Passage)
    assert (scan.offline_verdict, scan.gate_at) == (Verdict.GRANTED, NOON + timedelta(seconds=60))
    assert scan.offline_policy == hashlib.sha256(snapshot).digest()
    assert (passage.outcome, passage.scan) == (PassageOutcome.TAKEN, hashlib.sha256(asked.payload).digest())


def test_nothing_opens_before_it_is_on_disk():
    talk = Lonely.left()
    talk.disk_is_quick = False
    token = ByToken(talk.token(badge_of()))
    effects = talk.happens(CardPresented(access_point=IN, credential=token, gate_random=b"r" * 16))
    (append,) = only(Append, effects)
    assert not only(Unlock, effects)
    assert talk.shows() is Signal.BUSY
    talk.passes(0.2)
    effects = talk.happens(Appended(append.number))
    assert only(Unlock, effects)
    assert [show.signal for show in only(Show, effects)] == [Signal.GRANTED]


def test_what_the_disk_does_not_take_opens_nothing():
    talk = Lonely.left()
    talk.disk_is_quick = False
    token = ByToken(talk.token(badge_of()))
    (append,) = only(
        Append, talk.happens(CardPresented(access_point=IN, credential=token, gate_random=b"r" * 16))
    )
    effects = talk.happens(AppendFailed(append.number))
    assert not talk.unlocked()
    assert [show.signal for show in only(Show, effects)] == [Signal.NO_SERVICE]


def test_who_was_refused_and_is_told_from_memory_goes_up_again_until_the_service_has_recorded_it():
    talk = Lonely.left()
    talk.disk_is_quick = False
    for _ in range(100):
        talk.did.clear()
        assert talk.shows(ByCard(CARD)) is Signal.DENIED
        talk.happens(AppendFailed(only(Append, talk.did)[-1].number))
    talk.happens(LinkUp())
    sent = list(talk.published)
    talk.fires(TimerKind.KEPT, None)
    again = talk.published[len(sent) :]
    scans = [one for one in again if isinstance(talk.service.read(one), Scan)]
    assert scans
    assert set(scans) <= set(sent)
    answered: set[bytes] = set()
    while fresh := {sent.payload: sent for sent in talk.published if sent.payload not in answered}:
        for wire in fresh:
            answered.add(wire)
            talk.hears(talk.service.answer(wire, Verdict.RECORDED))
    assert len([one for one in talk.messages() if isinstance(one, Scan)]) == 100
    assert not talk.controller._up.keeps_more


def test_a_disk_that_takes_too_long_lets_nobody_in_who_has_gone():
    talk = Lonely.left()
    talk.disk_is_quick = False
    token = ByToken(talk.token(badge_of()))
    (append,) = only(
        Append, talk.happens(CardPresented(access_point=IN, credential=token, gate_random=b"r" * 16))
    )
    talk.passes(5)
    talk.disk_is_quick = True
    talk.happens(Appended(append.number))
    assert not talk.unlocked()
    talk.happens(LinkUp())
    (passage,) = (message for message in talk.messages() if isinstance(message, Passage))
    assert passage.outcome is PassageOutcome.NOT_TAKEN


def test_a_badge_with_a_key_proves_it_to_the_gate():
    key = cose.SigningKey.generate()
    badge = badge_of(assurance=Assurance.KEY_BOUND, confirmation=key.record(use="badge", owner=BADGE))
    for proves, signal in ((True, Signal.GRANTED), (False, Signal.DENIED)):
        talk = Lonely.left()
        token = ByToken(talk.token(badge))
        effects = talk.happens(CardPresented(access_point=IN, credential=token, gate_random=b"r" * 16))
        (asked,) = only(AskProof, effects)
        signed = (key if proves else cose.SigningKey.generate()).sign(asked.digest)
        effects = talk.happens(ProofGiven(access_point=IN, signature=signed))
        assert [show.signal for show in only(Show, effects)] == [signal]
        assert bool(talk.unlocked()) is proves


def test_a_bare_card_of_the_snapshot_is_known_and_any_other_is_not():
    badge = badge_of(assurance=Assurance.CARD_NUMBER, card=CARD)
    talk = Lonely.provided()
    talk.comes(SnapshotReceived(talk.snapshot(version=101, cards=KnownCards.of({CARD: talk.token(badge)}))))
    talk.comes(StandingReceived(talk.standing(version=101, snapshots={"main-gate": 101})))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows(ByCard(CARD)) is Signal.GRANTED
    assert talk.shows(ByCard(Card(CardTechnology.WIEGAND, CARD.number)), OUT) is Signal.DENIED
    assert talk.said() == {"alone-granted": 1, "alone-badge": 1}


CLOSED = {
    "revoked": ({"version": 101, "statuses": {3: INVALID}}, Alone.WITHDRAWN),
    "suspended": ({"version": 101, "statuses": {3: SUSPENDED}}, Alone.WITHDRAWN),
    "tenant": ({"version": 101, "suspended": frozenset({HOST})}, Alone.WITHDRAWN),
    "alert": ({"version": 101, "alert": 2}, Alone.ALERT),
    "lockdown of the site": ({"version": 101, "lockdowns": frozenset({"site"})}, Alone.LOCKDOWN),
    "lockdown of the gate": ({"version": 101, "lockdowns": frozenset({"gate:main-gate"})}, Alone.LOCKDOWN),
    "trust list": ({"version": 101, "trust": 2}, Alone.TRUST_OLD),
}


@pytest.mark.parametrize(("changes", "said"), CLOSED.values(), ids=CLOSED)
def test_what_was_taken_back_stays_taken_back(changes: dict, said: Alone):
    talk = Lonely.provided()
    talk.comes(StandingReceived(talk.standing(**changes)))
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    talk.shows()
    assert (talk.said(), talk.unlocked()) == ({said.value: 1}, [])


def test_a_lower_alert_state_gives_no_more_than_the_snapshot():
    talk = Lonely.provided()
    talk.comes(StandingReceived(talk.standing(version=101, alert=0)))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED


BADGES = {
    "another": ({"id": BadgeId("11" * 16)}, Alone.NO_RIGHT),
    "not begun": ({"not_before": NOON + timedelta(hours=1)}, Alone.NOT_IN_FORCE),
    "over": ({"expires": NOON}, Alone.NOT_IN_FORCE),
    "of a status that is not listed": ({"status_index": 4000}, Alone.WITHDRAWN),
    "of another site": ({"site": SiteId("elsewhere")}, Alone.BADGE),
    "of another tenant": ({"tenant": TenantId("school")}, Alone.BADGE),
}


@pytest.mark.parametrize(("changes", "said"), BADGES.values(), ids=BADGES)
def test_a_badge_that_does_not_count_opens_nothing(changes: dict, said: Alone):
    talk = Lonely.left()
    assert talk.shows(badge_of(**changes)) is Signal.DENIED
    assert (talk.said(), talk.unlocked()) == ({said.value: 1}, [])


def test_a_forged_token_and_a_bare_digest_are_nobody():
    talk = Lonely.left()
    forged = ByToken(talk.token(badge_of(), issuer=cose.SigningKey.generate()))
    digest = ByDigest(hashlib.sha256(talk.token(badge_of())).digest())
    assert [talk.shows(forged), talk.shows(digest)] == [Signal.DENIED, Signal.DENIED]
    assert talk.said() == {"alone-badge": 2}


def test_a_badge_that_demands_the_right_time_needs_a_clock_that_is_synchronised():
    talk = Lonely.left()
    talk.clock = ClockQuality.FREE_RUNNING
    talk.shows(badge_of(requires_trusted_time=True))
    assert talk.said() == {"alone-clock": 1}


def test_at_other_hours_nobody_comes_in():
    talk = Lonely.left()
    talk.passes(3 * 3600)
    assert talk.shows() is Signal.DENIED
    assert talk.said() == {"alone-other-hours": 1}


def test_after_its_time_alone_a_gate_lets_nobody_in():
    for early, signal in ((1, Signal.GRANTED), (0, Signal.NO_SERVICE)):
        noon = int(NOON.timestamp())
        talk = Lonely.left(hours=((noon, noon + 86_400),))
        talk.passes(LONGEST.total_seconds() - 60 - early)
        assert talk.shows() is signal
    assert talk.said() == {"alone-too-long": 1}


def test_a_word_of_the_service_makes_the_time_begin_anew_and_only_for_the_snapshot_that_it_names():
    for names, signal in ((100, Signal.GRANTED), (99, Signal.NO_SERVICE)):
        talk = Lonely.provided()
        talk.passes(3600)
        later = talk.standing(issued=NOON + timedelta(hours=1), snapshots={"main-gate": names})
        talk.comes(StandingReceived(later))
        talk.happens(LinkDown())
        talk.passes(LONGEST.total_seconds() - 60)
        assert talk.shows() is signal


@pytest.mark.parametrize("newer", [0, 1], ids=["of the same version", "of newer versions"])
def test_snapshots_that_come_without_a_standing_prolong_nothing(newer: int):
    """A broker that keeps a lockdown back and lets snapshots through, which say nothing of lockdowns."""
    talk = Lonely.provided()
    noon = int(NOON.timestamp())
    for hour in range(1, 11):
        talk.passes(3600)
        snapshot = talk.snapshot(
            version=100 + newer * hour,
            issued=NOON + timedelta(hours=hour),
            since=noon + (hour - 1) * 3600,
            until=noon + (hour + 5) * 3600,
            hours=((noon, noon + 24 * 3600),),
        )
        assert only(KeepPolicy, talk.comes(SnapshotReceived(snapshot)))
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    assert talk.shows() is Signal.NO_SERVICE
    assert (talk.said(), talk.unlocked()) == ({"alone-too-long": 1}, [])


@pytest.mark.parametrize("standing_first", [True, False])
def test_a_newer_snapshot_counts_as_soon_as_a_standing_names_it_whichever_comes_first(
    standing_first: bool,  # noqa: FBT001 - which
):
    talk = Lonely.provided()
    comes = [
        SnapshotReceived(talk.snapshot(version=101)),
        StandingReceived(talk.standing(version=101, snapshots={GATE: 101})),
    ]
    for event in reversed(comes) if standing_first else comes:
        talk.comes(event)
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED


def left_between(talk: Lonely, **changes: Any) -> list[KeepPolicy]:
    """A standing names a snapshot that never comes, for the link goes; gives what is kept of that."""
    talk.passes(1800)
    newest = {"version": 101, "issued": NOON + talk.noon_since, "snapshots": {GATE: 101}} | changes
    kept = only(KeepPolicy, talk.comes(StandingReceived(talk.standing(**newest))))
    talk.happens(LinkDown())
    talk.passes(1800)
    return kept


def test_between_a_standing_and_the_snapshot_that_it_names_the_former_one_counts_over_a_power_cut_too():
    talk = Lonely.ready()
    first = talk.standing()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(first))
    kept = left_between(talk)
    assert [one.file for one in kept] == [PolicyFile.CONFIRMING, PolicyFile.STANDING]
    assert kept[0].wire == first
    talk.loses_power()
    assert talk.shows() is Signal.GRANTED
    # And no longer than from the standing that named it: the newest prolongs nothing.
    talk.passes(LONGEST.total_seconds() - 3600)
    assert talk.shows(at=OUT) is Signal.NO_SERVICE
    assert talk.said() == {"alone-granted": 1, "alone-too-long": 1}


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"lockdowns": frozenset({"site"})}, Alone.LOCKDOWN), ({"statuses": {3: INVALID}}, Alone.WITHDRAWN), ({"alert": 2}, Alone.ALERT)],
    ids=["locked down", "revoked", "graver"],
)  # fmt: skip
def test_and_the_newest_standing_goes_on_to_take_away(changes: dict, said: Alone):
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    left_between(talk, **changes)
    talk.loses_power()
    talk.shows()
    assert (talk.said(), talk.unlocked()) == ({said.value: 1}, [])


def test_what_named_the_former_snapshot_is_let_go_when_the_next_one_counts():
    talk = Lonely.provided()
    left_between(talk)
    talk.happens(LinkUp())
    kept = only(KeepPolicy, talk.comes(SnapshotReceived(talk.snapshot(version=101))))
    assert {one.file: bool(one.wire) for one in kept} == {
        PolicyFile.CONFIRMING: False,
        PolicyFile.SNAPSHOT: True,
    }


def test_a_standing_that_names_the_snapshot_is_nothing_without_the_newest():
    """Who takes the newest away, or spoils it, makes the gate let nobody in."""
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    left_between(talk)
    held = talk.kept()
    assert held.confirming is not None
    assert held.standing is not None
    for spoilt in (None, held.standing[:-1]):
        talk.restarts(CheckpointMemory(), held=replace(held, standing=spoilt), linked=False)
        assert talk.shows() is Signal.NO_SERVICE
    assert talk.unlocked() == []


def test_of_two_standings_on_disk_the_newer_one_takes_away_whichever_file_it_is_in():
    """The power went after the confirming standing was written, and before the newest."""
    talk = Lonely.ready()
    locked = talk.standing(issued=NOON + timedelta(minutes=1), lockdowns=frozenset({"site"}))
    held = Held(snapshot=talk.snapshot(), standing=talk.standing(), confirming=locked)
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    talk.passes(120)
    talk.shows()
    assert talk.said() == {"alone-lockdown": 1}
    assert alarms(talk) == []


STRANGE: dict[str, dict[str, Any]] = {
    "signed by nobody": {"key": cose.SigningKey.generate()},
    "of another site": {"site": SiteId("elsewhere")},
    "for another topic": {"aad": topic(Channel.POLICY)},
    "that names another snapshot": {"snapshots": {GATE: 99}},
    "from before the snapshot": {"version": 99},
}


@pytest.mark.parametrize("changes", STRANGE.values(), ids=STRANGE)
def test_what_lies_in_the_place_of_the_standing_that_named_the_snapshot_and_did_not_confirms_nothing(
    changes: dict[str, Any],
):
    talk = Lonely.ready()
    newest = talk.standing(version=101, issued=NOON + timedelta(minutes=30), snapshots={GATE: 101})
    held = Held(snapshot=talk.snapshot(), standing=newest, confirming=talk.standing(**changes))
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    talk.passes(3600)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-too-long": 1}


def test_a_standing_from_before_a_snapshot_is_not_enough_though_it_names_it():
    talk = Lonely.provided()
    talk.comes(StandingReceived(talk.standing(issued=NOON + timedelta(minutes=1), snapshots={GATE: 101})))
    talk.comes(SnapshotReceived(talk.snapshot(version=101)))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-too-long": 1}


def test_whoever_came_in_alone_does_not_come_in_again_before_they_went_out():
    talk = Lonely.left()
    told = []
    for at in (IN, IN, OUT, IN):
        told.append(talk.shows(at=at))
        talk.happens(ContactOpened(at))
        talk.happens(ContactClosed(at))
    assert told == [Signal.GRANTED, Signal.DENIED, Signal.GRANTED, Signal.GRANTED]
    assert talk.said() == {"alone-granted": 3, "alone-inside": 1}


@pytest.mark.parametrize("by_card", [False, True], ids=["a token", "a bare card"])
def test_whoever_came_in_alone_does_not_come_in_again_after_a_power_cut_before_they_went_out(
    by_card: bool,  # noqa: FBT001 - which
):
    badge = badge_of(assurance=Assurance.CARD_NUMBER, card=CARD) if by_card else badge_of()
    talk = Lonely.ready()
    cards = {CARD: talk.token(badge)} if by_card else {}
    shown = ByCard(CARD) if by_card else badge
    talk.comes(SnapshotReceived(talk.snapshot(cards=KnownCards.of(cards))))
    talk.comes(StandingReceived(talk.standing()))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows(shown) is Signal.GRANTED
    did = list(talk.did)
    talk.loses_power()
    assert talk.shows(shown) is Signal.DENIED
    assert talk.said() == {"alone-inside": 1}
    assert talk.shows(shown, at=OUT) is Signal.GRANTED
    talk.did = did + talk.did
    talk.loses_power()
    assert talk.shows(shown) is Signal.GRANTED


SECOND, OTHER = BadgeId("11" * 16), BadgeId("22" * 16)


def rows(*holders: tuple[int, BadgeId]) -> bytes:
    """A snapshot's rows: who has which badge, by numbers that hold in this snapshot only."""
    return b"".join(sorted(row(badge, number) for number, badge in holders))


def walks(talk: Lonely, badge: BadgeId, at: AccessPointId = IN) -> Signal:
    """Show a badge, and go through the door if it lets one."""
    signal = talk.shows(badge_of(id=badge), at=at)
    if signal is Signal.GRANTED:
        talk.happens(ContactOpened(at))
        talk.happens(ContactClosed(at))
    return signal


def renumbered(talk: Lonely, version: int, *holders: tuple[int, BadgeId]) -> None:
    """A newer snapshot comes, and the standing that names it."""
    talk.comes(SnapshotReceived(talk.snapshot(version=version, rows=rows(*holders))))
    talk.comes(StandingReceived(talk.standing(version=version, snapshots={GATE: version})))


@pytest.mark.parametrize("power_goes", [False, True], ids=["", "after a power cut"])
def test_whoever_is_inside_is_the_same_person_under_a_snapshot_that_numbers_holders_otherwise(
    power_goes: bool,  # noqa: FBT001 - which
):
    talk = Lonely.ready()
    renumbered(talk, 101, (0, BADGE), (0, SECOND), (1, OTHER))
    talk.happens(LinkDown())
    talk.passes(60)
    assert walks(talk, BADGE) is Signal.GRANTED
    if power_goes:
        talk.loses_power()
    talk.happens(LinkUp())
    renumbered(talk, 102, (1, BADGE), (1, SECOND), (0, OTHER))
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    assert [walks(talk, badge) for badge in (BADGE, SECOND, OTHER)] == [
        Signal.DENIED,
        Signal.DENIED,
        Signal.GRANTED,
    ]


def test_whoever_is_inside_by_a_badge_that_is_no_more_is_known_by_their_others():
    talk = Lonely.ready()
    renumbered(talk, 101, (0, BADGE), (0, SECOND))
    talk.happens(LinkDown())
    talk.passes(60)
    assert walks(talk, BADGE) is Signal.GRANTED
    talk.happens(LinkUp())
    renumbered(talk, 102, (5, SECOND), (5, OTHER))
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    assert walks(talk, OTHER) is Signal.DENIED
    assert walks(talk, OTHER, OUT) is Signal.GRANTED
    assert walks(talk, SECOND) is Signal.GRANTED


def two_doors() -> Lonely:
    """A gate whose plain door leads into the yard too, and whose disk takes its time."""
    talk = Lonely.ready()
    points = {IN: talk.point(IN), PLAIN: replace(talk.point(IN), id=PLAIN)}
    talk.comes(SnapshotReceived(talk.snapshot(points=points, rights={IN: 0, PLAIN: 0})))
    talk.comes(StandingReceived(talk.standing()))
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    talk.disk_is_quick = False
    return talk


def test_a_badge_at_two_doors_while_the_disk_writes_is_let_in_at_one():
    talk = two_doors()
    token = ByToken(talk.token(badge_of()))
    appends = [
        append
        for door in (IN, PLAIN)
        for append in only(
            Append, talk.happens(CardPresented(access_point=door, credential=token, gate_random=b"r" * 16))
        )
    ]
    for append in appends:
        talk.happens(Appended(append.number))
    assert [unlock.access_point for unlock in talk.unlocked()] == [IN]
    assert talk.said() == {"alone-granted": 1, "alone-inside": 1}


@pytest.mark.parametrize("fails", [True, False], ids=["that the disk refuses", "that comes too late"])
def test_a_decision_that_lets_nobody_in_leaves_them_outside(fails: bool):  # noqa: FBT001 - which
    talk = two_doors()
    token = ByToken(talk.token(badge_of()))
    effects = talk.happens(CardPresented(access_point=IN, credential=token, gate_random=b"r" * 16))
    (append,) = only(Append, effects)
    talk.passes(0 if fails else 5)
    talk.happens(AppendFailed(append.number) if fails else Appended(append.number))
    talk.disk_is_quick = True
    assert talk.shows(at=PLAIN) is Signal.GRANTED


def test_an_access_point_that_is_not_to_be_decided_alone_stays_shut():
    talk = Lonely.left()
    assert talk.shows(at=PLAIN) is Signal.NO_SERVICE
    assert talk.unlocked() == []


def test_a_gate_without_a_snapshot_or_without_a_standing_lets_nobody_in():
    talk = Lonely.ready()
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.NO_SERVICE
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-no-policy": 1}


# -- a service that is silent while there is a link ----------------------------------------------------------------------


def test_a_service_that_is_silent_is_not_waited_for_by_whoever_may_come_in():
    talk = Lonely.provided()
    token = ByToken(talk.token(badge_of()))
    asked = talk.scans(IN, token)
    effects = talk.fires(TimerKind.ALONE)
    assert talk.at == 1000.7
    assert [show.signal for show in only(Show, effects)] == [Signal.GRANTED]
    assert len(talk.unlocked()) == 1
    assert not only(Unlock, talk.hears(talk.service.answer(asked)))
    assert talk.ignored() == {"answer-late": 1}


def test_a_scan_that_nobody_waits_for_is_sent_again_until_it_is_answered_so_that_no_number_is_missed():
    talk = Lonely.provided()
    asked = talk.scans(IN, ByToken(talk.token(badge_of())))
    talk.fires(TimerKind.ALONE)
    again = talk.fires(TimerKind.KEPT, None)
    assert asked in [sent.payload for sent in only(Publish, again)]
    talk.hears(talk.service.answer(asked, Verdict.DENIED))
    later = talk.happens(LinkUp())
    assert asked not in [sent.payload for sent in only(Publish, later)]
    assert len(talk.unlocked()) == 1


def test_whoever_may_not_come_in_alone_is_still_asked_about():
    talk = Lonely.provided()
    token = ByToken(talk.token(badge_of(id=BadgeId("11" * 16))))
    asked = talk.scans(IN, token)
    assert talk.fires(TimerKind.ALONE) == []
    assert only(Unlock, talk.hears(talk.service.answer(asked)))


def test_nobody_is_let_in_alone_while_a_guard_looks():
    talk = Lonely.provided()
    asked = talk.scans(IN, ByToken(talk.token(badge_of())))
    talk.hears(talk.service.answer(asked, Verdict.WAITING, valid=timedelta(seconds=60)))
    assert talk.fires(TimerKind.ALONE) == []
    assert talk.unlocked() == []


# -- what comes from the service, and what only says so -------------------------------------------------------------------

STRANGER = cose.SigningKey.generate()
SNAPSHOTS = {
    "snapshot-forged": {"version": 101, "key": STRANGER},
    "snapshot-foreign": {"version": 101, "gate": OTHER_GATE},
    "snapshot-old": {"version": 99},
    "snapshot-expired": {"version": 101, "until": int(NOON.timestamp())},
}


@pytest.mark.parametrize(("code", "changes"), SNAPSHOTS.items(), ids=SNAPSHOTS)
def test_a_snapshot_that_must_not_have_come_changes_nothing_and_is_told_once(code: str, changes: dict):
    talk = Lonely.provided()
    for _ in range(3):
        assert not only(KeepPolicy, talk.comes(SnapshotReceived(talk.snapshot(**changes))))
    assert talk.ignored() == {code: 3}
    assert causes(talk) == [code]
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED


def test_a_snapshot_on_another_gates_topic_is_forged():
    talk = Lonely.provided()
    talk.comes(SnapshotReceived(talk.snapshot(version=101, aad=topic(Channel.POLICY, OTHER_GATE))))
    assert talk.ignored() == {"snapshot-forged": 1}


STANDINGS = {
    "standing-forged": {"version": 101, "key": STRANGER},
    "standing-foreign": {"version": 101, "site": SiteId("elsewhere")},
    "standing-old": {"version": 99, "issued": NOON + timedelta(hours=1)},
    "standing-malformed": {"version": 101, "statuses_of": "nobody"},
}


@pytest.mark.parametrize("code", STANDINGS)
def test_a_standing_that_must_not_have_come_changes_nothing_and_is_told_once(code: str):
    talk = Lonely.provided()
    changes = dict(STANDINGS[code])
    if changes.pop("statuses_of", None):
        other = talk.status_list(TenantId("school"))
        wire = _with_statuses(talk, {HOST: other})
    else:
        wire = talk.standing(**changes)
    for _ in range(2):
        talk.comes(StandingReceived(wire))
    assert talk.ignored() == {code: 2}
    assert causes(talk) == [code]


def _with_statuses(talk: Lonely, lists: dict) -> bytes:
    standing = Standing(
        site=SITE, version=101, issued=NOON, alert=0, lockdowns=frozenset(), suspended=frozenset(), statuses=lists,
        trust=1, snapshots={},
    )  # fmt: skip
    aad = standing_topic(SITE).encode()
    return cose.sign(standing.payload(), key=talk.service.decision, typ=STANDING_TYPE, external_aad=aad)


def test_what_comes_again_is_no_news_and_no_alarm():
    talk = Lonely.provided()
    snapshot, standing = talk.snapshot(version=101), talk.standing(version=101)
    for _ in range(2):
        talk.comes(SnapshotReceived(snapshot))
        talk.comes(StandingReceived(standing))
    assert talk.ignored() == {"snapshot-repeated": 1, "standing-repeated": 1}
    assert alarms(talk) == []


def test_after_a_power_cut_a_gate_decides_from_what_it_kept():
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    held = talk.kept()
    talk.passes(3600)
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    assert talk.shows() is Signal.GRANTED


def test_what_was_kept_is_believed_by_its_signature_alone():
    talk = Lonely.ready()
    held = Held(snapshot=talk.snapshot(key=STRANGER), standing=talk.standing())
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    assert talk.shows() is Signal.NO_SERVICE
    talk.happens(LinkUp())
    talk.recorded()
    assert StatusKind.POLICY_REFUSED in alarms(talk)


def test_a_word_that_says_the_same_is_kept_every_ten_minutes_and_one_that_says_more_at_once():
    talk = Lonely.provided()
    kept = []
    for minutes in range(1, 22):
        said = talk.standing(issued=NOON + timedelta(minutes=minutes))
        kept += [minutes for _ in only(KeepPolicy, talk.comes(StandingReceived(said)))]
    assert kept == [10, 20]
    said = talk.standing(version=101, issued=NOON + timedelta(minutes=22))
    assert only(KeepPolicy, talk.comes(StandingReceived(said)))


# -- the trust list ------------------------------------------------------------------------------------------------------


def listed(
    talk: Lonely,
    *,
    version: int,
    without: GateId | None = None,
    key: cose.SigningKey | None = None,
    decisions: tuple[cose.SigningKey, ...] = (),
) -> bytes:
    """A newer trust list of the site's root; `decisions` take the place of the key that decided."""
    listing = talk.service.trust.listing
    gates = {gate: one for gate, one in listing.gates.items() if gate != without}
    services = listing.services
    if decisions:
        (decided,) = (one for use, one in services if use is Use.DECISION)
        records = [decision.record(use=Use.DECISION, owner="service") for decision in decisions]
        services = (
            *((Use.DECISION, replace(decided, record=record)) for record in records),
            *((use, one) for use, one in services if use is not Use.DECISION),
        )
    payload = trust_payload(replace(listing, version=version, gates=gates, services=services))
    return cose.cosign(payload, keys=[key or talk.service.root], typ=TRUST_TYPE, external_aad=SITE.encode())


def test_a_newer_trust_list_is_believed_from_the_roots_and_kept():
    talk = Lonely.provided()
    document = listed(talk, version=2)
    assert talk.comes(TrustReceived(document)) == [KeepPolicy(PolicyFile.TRUST, document)]
    talk.comes(TrustReceived(listed(talk, version=1)))
    talk.comes(TrustReceived(listed(talk, version=3, key=STRANGER)))
    talk.comes(TrustReceived(document))
    assert talk.ignored() == {"trust-old": 1, "trust-forged": 1, "trust-repeated": 1}


def test_what_a_key_signed_that_the_roots_took_back_is_let_go_on_disk_too_and_what_the_new_key_signs_counts():
    talk = Lonely.provided()
    # Whoever stole the decision key has signed what nothing later could ever replace.
    talk.comes(SnapshotReceived(talk.snapshot(version=1 << 52)))
    talk.comes(StandingReceived(talk.standing(version=1 << 52, snapshots={GATE: 1 << 52})))
    fresh = cose.SigningKey.generate()
    document = listed(talk, version=2, decisions=(fresh,))
    assert talk.comes(TrustReceived(document)) == [
        KeepPolicy(PolicyFile.TRUST, document),
        KeepPolicy(PolicyFile.SNAPSHOT, b""),
        KeepPolicy(PolicyFile.STANDING, b""),
    ]
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    assert (talk.shows(), talk.unlocked()) == (Signal.NO_SERVICE, [])
    talk.service.decision = fresh
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing(trust=2)))
    assert talk.shows() is Signal.GRANTED


def test_with_the_key_that_signed_the_standing_which_named_the_snapshot_its_age_is_gone():
    talk, first, second = Lonely.ready(), cose.SigningKey.generate(), cose.SigningKey.generate()
    both, one = (
        listed(talk, version=2, decisions=(first, second)),
        listed(talk, version=3, decisions=(second,)),
    )
    talk.comes(TrustReceived(both))
    talk.service.decision = second
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing(key=first)))
    assert [kept.file for kept in left_between(talk)] == [PolicyFile.CONFIRMING, PolicyFile.STANDING]
    assert talk.comes(TrustReceived(one)) == [
        KeepPolicy(PolicyFile.CONFIRMING, b""),
        KeepPolicy(PolicyFile.TRUST, one),
    ]
    talk.did.clear()
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-too-long": 1}


def test_a_trust_list_that_still_bears_out_what_is_held_leaves_it():
    talk = Lonely.provided()
    talk.comes(TrustReceived(listed(talk, version=2)))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED


def test_a_command_of_a_key_that_the_roots_took_back_opens_nothing():
    talk = Lonely.provided()
    stolen, fresh = talk.service.decision, cose.SigningKey.generate()
    talk.comes(TrustReceived(listed(talk, version=2, decisions=(fresh,))))
    talk.commanded(CommandKind.OPEN, IN, key=stolen)
    assert (talk.unlocked(), talk.ignored()) == ([], {"command-forged": 1})
    talk.commanded(CommandKind.OPEN, IN, key=fresh)
    assert len(talk.unlocked()) == 1


def test_a_gate_that_the_site_has_dismissed_lets_nobody_in_alone():
    talk = Lonely.provided()
    talk.comes(TrustReceived(listed(talk, version=2, without=GateId("main-gate"))))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-no-policy": 1}


# -- clocks ---------------------------------------------------------------------------------------------------------------

CLOCKS = {
    "one hour ahead": timedelta(hours=1),
    "one hour behind": timedelta(hours=-1),
    "a minute and a half ahead": timedelta(seconds=90),
}


@pytest.mark.parametrize("off", CLOCKS.values(), ids=CLOCKS)
def test_a_clock_that_is_off_is_doubted_told_once_and_lets_nobody_in(off: timedelta):
    talk = Lonely.provided()
    talk.clock_is_off = off
    for minutes in (1, 2):
        talk.comes(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=10 * minutes))))
    assert alarms(talk) == [StatusKind.CLOCK_DOUBTED]
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-clock": 1}


def hears_beacons(talk: Lonely, times: int) -> None:
    for _ in range(times):
        talk.passes(10)
        talk.comes(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=talk.at - 1000))))


def clock_words(talk: Lonely) -> list[StatusKind]:
    kinds = [message.kind for message in talk.messages() if isinstance(message, Status)]
    return [kind for kind in kinds if kind in {StatusKind.CLOCK_DOUBTED, StatusKind.CLOCK_BELIEVED}]


def test_a_clock_that_agrees_again_for_a_minute_is_told_as_believed_and_doubted_anew_later():
    talk = Lonely.provided()
    talk.clock_is_off = timedelta(hours=1)
    hears_beacons(talk, 3)
    talk.clock_is_off = timedelta()
    hears_beacons(talk, 6)
    assert clock_words(talk) == [StatusKind.CLOCK_DOUBTED]
    hears_beacons(talk, 10)
    assert clock_words(talk) == [StatusKind.CLOCK_DOUBTED, StatusKind.CLOCK_BELIEVED]
    talk.clock_is_off = timedelta(hours=-1)
    hears_beacons(talk, 2)
    assert clock_words(talk)[2:] == [StatusKind.CLOCK_DOUBTED]


def test_a_clock_on_the_edge_is_not_told_of_with_every_beacon():
    talk = Lonely.provided()
    for off in (70, 50) * 20:
        talk.clock_is_off = timedelta(seconds=off)
        hears_beacons(talk, 1)
    assert clock_words(talk) == [StatusKind.CLOCK_DOUBTED]


def test_a_clock_that_is_a_little_off_is_believed():
    talk = Lonely.left()
    talk.clock_is_off = timedelta(seconds=50)
    assert talk.shows() is Signal.GRANTED


def test_a_clock_that_jumps_while_the_gate_is_alone_is_doubted():
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    held = talk.kept()
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    talk.passes(600)
    talk.clock_is_off = timedelta(minutes=-5)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-clock": 1}


def test_a_clock_that_lost_its_battery_is_before_anything_that_was_signed():
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    held = talk.kept()
    talk.clock_is_off = NOON.replace(year=2000) - NOON
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    assert talk.shows() is Signal.NO_SERVICE
    assert talk.said() == {"alone-clock": 1}


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_is_off_is_told_once_by_a_gate_that_is_alone(off: timedelta):
    talk = Lonely.left()
    talk.clock_is_off = off
    assert talk.shows() is Signal.NO_SERVICE
    talk.shows(at=OUT)
    assert (talk.said(), talk.unlocked()) == ({"alone-clock": 2}, [])
    talk.happens(LinkUp())
    talk.recorded()
    doubts = [
        one for one in talk.messages() if isinstance(one, Status) and one.kind is StatusKind.CLOCK_DOUBTED
    ]
    assert len({one.sequence for one in doubts}) == 1


def test_a_clock_that_is_set_back_while_the_power_is_off_is_before_what_the_gate_itself_has_written():
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    talk.happens(LinkDown())
    talk.passes(2 * 3600)
    assert talk.shows() is Signal.GRANTED
    talk.passes(LONGEST.total_seconds())
    talk.clock_is_off = timedelta(minutes=1) - talk.noon_since
    talk.loses_power()
    assert talk.shows(at=OUT) is Signal.NO_SERVICE
    assert talk.said() == {"alone-clock": 1}


def test_what_a_wrong_clock_once_wrote_counts_until_the_service_says_what_time_it_is():
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    talk.clock_is_off = timedelta(days=400)
    talk.happens(TamperOpened(OUT))
    talk.clock_is_off = timedelta()
    talk.loses_power()
    assert talk.shows() is Signal.NO_SERVICE
    talk.comes(BeaconReceived(talk.service.beacon()))
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED


def test_a_gate_without_a_clock_lets_nobody_in_alone():
    talk = Lonely.left()
    talk.clock = ClockQuality.NONE
    assert talk.shows() is Signal.NO_SERVICE


def test_an_old_beacon_that_the_broker_repeats_makes_it_no_earlier():
    talk = Lonely.provided()
    talk.passes(3 * 3600)
    talk.comes(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=10))))
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.DENIED
    assert talk.said() == {"alone-other-hours": 1}


# -- what else stands at the gate -------------------------------------------------------------------------------------------


def test_a_door_that_an_order_holds_shut_lets_nobody_in_alone():
    talk = Lonely.provided()
    talk.commanded(CommandKind.LOCK_DOWN, None)
    talk.happens(LinkDown())
    talk.passes(60)
    talk.did.clear()
    assert talk.shows() is not Signal.GRANTED
    assert (talk.said(), talk.unlocked()) == ({"alone-lockdown": 1}, [])


@pytest.mark.parametrize("access_point", [None, IN], ids=["the gate", "a door"])
def test_a_lockdown_that_was_ordered_outlives_a_power_cut_until_a_later_standing_says_what_is_the_case(
    access_point: AccessPointId | None,
):
    """The order came and the standing that says the same did not: the link went, or the broker kept it."""
    talk = Lonely.ready()
    talk.comes(SnapshotReceived(talk.snapshot()))
    talk.comes(StandingReceived(talk.standing()))
    effects = talk.commanded(CommandKind.LOCK_DOWN, access_point, entry=104)
    kinds = [type(effect) for effect in effects if isinstance(effect, (KeepPolicy, Append))]
    assert kinds == [KeepPolicy, Append]
    held = talk.kept()
    talk.passes(60)
    talk.restarts(CheckpointMemory(), held=held, linked=False)
    assert talk.shows() is not Signal.GRANTED
    # Said a minute later, of the log as it was before the order.
    talk.comes(StandingReceived(talk.standing(version=104, issued=NOON + timedelta(seconds=60))))
    assert talk.shows() is not Signal.GRANTED
    assert (talk.said(), talk.unlocked()) == ({"alone-lockdown": 2}, [])
    talk.comes(StandingReceived(talk.standing(version=106, issued=NOON + timedelta(seconds=60))))
    assert talk.shows() is Signal.GRANTED


def test_what_lies_in_the_place_of_an_order_and_is_none_is_no_order():
    talk = Lonely.ready()
    snapshot, standing = talk.snapshot(), talk.standing()
    for wire, code in (
        (talk.service.command(CommandKind.LOCK_DOWN, None, entry=104, key=STRANGER), "command-forged"),
        (talk.service.command(CommandKind.LOCK_DOWN, None, entry=104, gate=OTHER_GATE), "command-foreign"),
        (talk.service.command(CommandKind.RELEASE, None, entry=104), "lockdown-misplaced"),
    ):
        held = Held(snapshot=snapshot, standing=standing, lockdown=wire)
        talk.restarts(CheckpointMemory(), held=held, linked=False)
        assert talk.ignored() == {code: 1}
        assert talk.shows(at=OUT) is Signal.GRANTED


def test_a_reader_that_is_tampered_with_lets_nobody_in_alone():
    talk = Lonely.left()
    talk.happens(TamperOpened(IN))
    assert talk.shows() is Signal.TAMPERED
    assert talk.unlocked() == []


def test_a_topic_that_was_cleared_is_no_alarm_and_takes_nothing_away():
    talk = Lonely.provided()
    for cleared in (SnapshotReceived(b""), StandingReceived(b""), TrustReceived(b"")):
        assert talk.comes(cleared) == []
    assert talk.ignored() == {"snapshot-cleared": 1, "standing-cleared": 1, "trust-cleared": 1}
    assert alarms(talk) == []
    talk.happens(LinkDown())
    talk.passes(60)
    assert talk.shows() is Signal.GRANTED
