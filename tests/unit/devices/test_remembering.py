"""A gate remembers where the log stood, believes nobody but the log's key, and tells when the log contradicts itself."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from devices.core.checkpoints import (
    MOST_CONTRADICTIONS,
    MOST_KEPT,
    CheckpointMemory,
    KnownCheckpoint,
    thinned,
)
from devices.core.events import CheckpointReceived, KeepCheckpoints, LinkUp, Publish, Warn
from gatekeeper import cose
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.messages import Hello, Status, StatusKind
from gatekeeper.model.trees import SITE_TREE, tenant_tree
from gatekeeper.transparency import OpenedCheckpoint, open_checkpoint
from tests.unit.devices.ground import HOST, NOON, Talk, only


def sizes(talk: Talk) -> list[int]:
    return [known.size for known in talk.controller.remembered.kept]


def told(talk: Talk) -> int:
    """How often the service was told."""
    statuses = [message for message in talk.messages() if isinstance(message, Status)]
    assert all(status.access_point is None for status in statuses)
    return [status.kind for status in statuses].count(StatusKind.LOG_ROLLED_BACK)


def memory_of(talk: Talk) -> CheckpointMemory:
    """What was to be kept last."""
    return only(KeepCheckpoints, talk.did)[-1].memory


# -- what is remembered -----------------------------------------------------------------------------------------------


def test_a_checkpoint_is_remembered_as_the_log_signed_it():
    talk = Talk.ready()
    wire = talk.service.checkpoint(42, after=7)
    (kept,) = talk.happens(CheckpointReceived(wire))
    assert isinstance(kept, KeepCheckpoints)
    assert kept.alarm is None
    (known,) = kept.memory.kept
    assert (known.size, known.at, known.wire) == (42, NOON + timedelta(seconds=7), wire)
    opened = open_checkpoint(known.note, log_verifiers(talk.service.trust, SITE_TREE))
    assert isinstance(opened, OpenedCheckpoint)
    assert (opened.checkpoint.size, opened.checkpoint.root) == (42, known.root)


def test_a_log_that_grows_is_remembered_as_it_grows():
    talk = Talk.ready()
    for size in (1, 2, 1000):
        talk.learns(size, after=size)
    assert sizes(talk) == [1, 2, 1000]
    assert memory_of(talk).newest == talk.controller.remembered.kept[-1]
    assert told(talk) == 0


def test_a_larger_checkpoint_counts_whatever_the_time_it_says():
    talk = Talk.ready()
    talk.learns(10, after=3600)
    talk.learns(11, after=0)
    assert sizes(talk) == [10, 11]


def test_a_gate_says_at_its_start_what_it_remembers():
    talk = Talk.ready()
    talk.learns(42)
    note = talk.controller.remembered.kept[0].note
    talk.restarts(memory_of(talk))
    (hello,) = talk.messages()
    assert isinstance(hello, Hello)
    assert hello.checkpoint == note


def test_a_gate_that_remembers_nothing_says_nothing_of_it():
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(LinkUp())
    (hello,) = talk.messages()
    assert isinstance(hello, Hello)
    assert hello.checkpoint is None


# -- what changes nothing ---------------------------------------------------------------------------------------------


def test_the_same_checkpoint_again_is_nothing_new():
    talk = Talk.ready()
    talk.learns(42)
    assert talk.learns(42, after=5) == []
    assert talk.ignored() == {"checkpoint-repeated": 1}


def test_an_old_checkpoint_that_the_broker_repeats_raises_no_alarm():
    talk = Talk.ready()
    talk.learns(42, after=10)
    for size, after in ((41, 9), (3, -5000), (41, 10)):
        assert talk.learns(size, after=after) == []
    assert talk.ignored() == {"checkpoint-old": 3}
    assert told(talk) == 0


def test_a_remembered_checkpoint_that_comes_again_raises_no_alarm_though_its_clock_ran_ahead():
    talk = Talk.ready()
    talk.learns(41, after=9999)
    talk.learns(42, after=10)
    assert talk.learns(41, after=9999) == []
    assert talk.ignored() == {"checkpoint-repeated": 1}


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "sent by a stranger": ({"key": cose.SigningKey.generate()}, "checkpoint-forged"),
    "on another topic": ({"aad": "gk/v1/assen/beacon"}, "checkpoint-forged"),
    "of another type": ({"typ": "application/pacs-beacon+cose"}, "checkpoint-forged"),
    "of another site": ({"site": "elsewhere"}, "checkpoint-foreign"),
    "no note": ({"note": b"42 entries, trust me"}, "checkpoint-unsigned"),
    "a log signed by another key": ({"log_key": Ed25519PrivateKey.generate()}, "checkpoint-unsigned"),
    "of a tenant's tree": ({"tree": tenant_tree(HOST)}, "checkpoint-unsigned"),
}


@pytest.mark.parametrize(("how", "why"), FORGED.values(), ids=FORGED)
def test_what_the_service_and_the_log_did_not_both_sign_is_dropped_and_told_once(
    how: dict[str, Any], why: str
):
    talk = Talk.ready()
    talk.learns(42)
    talk.did.clear()
    first, again = talk.learns(43, after=1, **how), talk.learns(44, after=2, **how)
    assert [warning.why.value for warning in only(Warn, first)] == [why]
    assert again == []
    assert talk.ignored() == {why: 2}
    assert sizes(talk) == [42]


def test_bytes_that_are_signed_and_no_checkpoint_are_dropped():
    talk = Talk.ready()
    wire = cose.sign(
        cose.encode({0: 2}),
        key=talk.service.decision,
        typ="application/pacs-checkpoint+cose",
        external_aad=b"gk/v1/assen/checkpoint",
    )
    assert [warning.why.value for warning in only(Warn, talk.happens(CheckpointReceived(wire)))] == [
        "checkpoint-malformed"
    ]


# -- what is an alarm -------------------------------------------------------------------------------------------------


def test_a_log_that_was_rolled_back_is_told_with_both_checkpoints_kept_before():
    talk = Talk.ready()
    talk.learns(42, after=10)
    effects = talk.learns(40, after=20, history="the log after the old backup")
    kept = next(place for place, one in enumerate(effects) if isinstance(one, KeepCheckpoints))
    sent = next(place for place, one in enumerate(effects) if isinstance(one, Publish))
    assert kept < sent, "the evidence first"
    alarm = only(KeepCheckpoints, effects)[0].alarm
    assert alarm is not None
    assert (alarm.known.size, alarm.arrived.size) == (42, 40)
    assert memory_of(talk).contradictions == (alarm,)
    assert told(talk) == 1
    assert sizes(talk) == [42], "what was rolled back is not forgotten"


@pytest.mark.parametrize("after", [-10, 0, 10])
def test_another_root_of_a_size_that_is_known_is_told_whenever_it_was_signed(after: float):
    talk = Talk.ready()
    for size in (40, 41, 42):
        talk.learns(size)
    talk.learns(41, after=after, history="another face")
    assert told(talk) == 1
    (contradiction,) = memory_of(talk).contradictions
    assert (contradiction.known.size, contradiction.arrived.size) == (41, 41)
    assert contradiction.known.root != contradiction.arrived.root


def test_a_log_that_stays_rolled_back_is_told_once_until_it_has_outgrown_what_is_known():
    talk = Talk.ready()
    talk.learns(42, after=10)
    for second in range(5):
        talk.learns(38 + second // 2, after=20 + second, history="rolled back")
    assert told(talk) == 1
    assert talk.ignored() == {"checkpoint-told": 4}
    talk.learns(43, after=30, history="rolled back")
    talk.learns(5, after=40, history="rolled back again")
    assert told(talk) == 2
    assert len(memory_of(talk).contradictions) == 2


def test_after_a_restart_it_is_told_again_and_the_evidence_is_the_same():
    talk = Talk.ready()
    talk.learns(42, after=10)
    talk.learns(40, after=20)
    memory = memory_of(talk)
    talk.restarts(memory)
    talk.recorded()
    talk.learns(40, after=20)
    assert told(talk) == 2  # what the journal still had to tell of it, and this
    assert memory_of(talk) == memory


def test_the_alarm_is_kept_and_sent_again_until_the_service_has_recorded_it():
    talk = Talk.ready()
    talk.learns(42, after=10)
    talk.learns(40, after=20)
    sent = talk.published[-1]
    assert sent.qos == 1
    assert only(Publish, talk.happens(LinkUp())) == [sent]
    talk.recorded()
    assert only(Publish, talk.happens(LinkUp())) == []


def test_the_first_evidence_stays_however_much_comes_after_it():
    talk = Talk.ready()
    for round_ in range(MOST_CONTRADICTIONS + 3):
        talk.learns(100 + round_, after=100 * round_)
        talk.learns(50, after=100 * round_ + 50, history=f"round {round_}")
    contradictions = memory_of(talk).contradictions
    assert [it.known.size for it in contradictions] == [100 + n for n in range(MOST_CONTRADICTIONS)]


# -- what is given up in time -----------------------------------------------------------------------------------------


def known(size: int, at: datetime) -> KnownCheckpoint:
    return KnownCheckpoint(size=size, root=bytes(32), at=at, note=b"", wire=b"")


def grown(times: list[datetime]) -> tuple[KnownCheckpoint, ...]:
    """What is left when a checkpoint came at each of these times."""
    kept: tuple[KnownCheckpoint, ...] = ()
    for size, at in enumerate(times, start=1):
        kept = thinned((*kept, known(size, at)))
    return kept


def test_the_last_ones_stay_and_the_last_of_each_hour_and_of_each_day():
    start = datetime(2026, 3, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=10 * number) for number in range(6 * 24 * 40)]
    kept = grown(times)
    at = [it.at for it in kept]
    assert at[-12:] == times[-12:]
    hours = {it for it in times if it.minute == 50 and times[-1] - it < timedelta(hours=24)}
    days = {it for it in times if (it.hour, it.minute) == (23, 50) and times[-1] - it < timedelta(days=28)}
    assert (len(hours), len(days)) == (24, 28)
    assert set(at) == {*times[-12:], *hours, *days}


@given(st.lists(st.integers(0, 40 * 86400), max_size=300))
def test_few_stay_in_rising_order_and_the_newest_always(seconds: list[int]):
    times = [NOON + timedelta(seconds=second) for second in seconds]
    kept = grown(times)
    assert len(kept) <= MOST_KEPT
    assert [it.size for it in kept] == sorted({it.size for it in kept})
    assert [it.at for it in kept[-12:]] == times[-12:]


def test_a_quiet_log_keeps_what_it_has():
    times = [NOON + timedelta(days=30 * number) for number in range(20)]
    assert len(grown(times)) == 20


def test_nothing_is_given_up_twice():
    times = [NOON + timedelta(minutes=number) for number in range(1000)]
    kept = grown(times)
    assert Counter(it.size for it in thinned(kept)) == Counter(it.size for it in kept)
