"""Whatever an entry says, what is told outward is one of ONVIF's events, of a name, and of nobody."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.audit import Kind, canonical_json, timestamp
from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.export.onvif import DoorStates, OnvifEvent, Topic, events_of, topic_prefix
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import StatusKind
from gatekeeper.model.reasons import Reason
from tests.contract.vector_site import SITE, fresh_flow

AT = datetime(2026, 6, 3, tzinfo=UTC)
SECRET = "h-00042-private"
POINTS = fresh_flow().policy.points

_names = st.sampled_from([*POINTS, "elsewhere", *{point.gate for point in POINTS.values()}])
_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**60),
    st.text(max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "access_point": st.one_of(_names, _odd),
        "gate": st.one_of(_names, _odd),
        "grant": st.one_of(st.integers(0, 2**60), _odd),
        "reason": st.one_of(st.sampled_from([reason.code for reason in Reason]), _odd),
        "reasons": st.one_of(st.lists(st.sampled_from([reason.code for reason in Reason]), max_size=3), _odd),
        "status": st.one_of(st.sampled_from([kind.name.lower() for kind in StatusKind]), _odd),
        "alarm": st.one_of(st.just(value=True), _odd),
        "scope": st.one_of(
            st.sampled_from(["site", *(f"gate:{point.gate}" for point in POINTS.values())]), _odd
        ),
        "on": st.one_of(st.booleans(), _odd),
        "boot": st.one_of(st.sampled_from(["00" * 8, "11" * 8]), _odd),
        "sequence": st.one_of(st.integers(0, 20), _odd),
    },
)
_personal = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("holder", "badge", "name", "party", "scan", "card", "author", "tenant"), st.just(SECRET)
    ),
)


def _entry(kind: str, fields: dict[str, Any], seq: int) -> PublicEntry:
    body = fields | {"v": 1, "site": SITE, "seq": seq, "at": timestamp(AT), "kind": kind}
    return read_public(SITE, seq, AT, canonical_json(body))


def _is_told_rightly(event: OnvifEvent) -> None:
    address, document = event.address(topic_prefix(SITE, prefix="gk")), json.loads(event.payload())
    assert event.topic in set(Topic)
    assert event.token in POINTS
    assert address.split("&") == [f"gk/{SITE}/onvif-ej/{event.topic}/", event.token]
    assert not set(address) & set("+#\0")
    assert document.keys() in ({"UtcTime", "Source"}, {"UtcTime", "Source", "Data"})
    assert document["Source"] == {event.topic.source: event.token}
    assert SECRET not in address
    assert SECRET.encode() not in event.payload()


@given(
    kind=st.one_of(st.sampled_from(list(Kind)), st.just("a.newer-kind")),
    fields=_fields,
    personal=_personal,
    seq=st.integers(0, 2**40),
)
def test_any_entry_is_events_of_known_topics_and_names_nobody(
    kind: str, fields: dict[str, Any], personal: dict[str, Any], seq: int
):
    for event in events_of(_entry(kind, personal | fields, seq), POINTS):
        _is_told_rightly(event)
        assert not event.topic.is_state
        assert POINTS[AccessPointId(event.token)].gate == fields["gate"]


@given(entries=st.lists(st.tuples(st.sampled_from(list(Kind)), _fields, _personal), max_size=12))
def test_any_entries_leave_words_of_own_doors_that_the_same_entries_leave_again(
    entries: list[tuple[str, dict[str, Any], dict[str, Any]]],
):
    def words() -> dict[tuple[str, str], tuple[object, str]]:
        doors = DoorStates(POINTS, lockdowns=(), at=AT)
        stands: dict[tuple[str, str], tuple[object, str]] = {}
        for seq, (kind, fields, personal) in enumerate(entries):
            doors.take(_entry(kind, personal | fields, seq))
            for state in doors.changes():
                _is_told_rightly(state)
                assert state.topic.is_state
                assert state.token in POINTS
                stands[state.token, state.topic] = (state.data.get("State"), state.at)
        return stands

    assert words() == words()


@given(entries=st.lists(st.tuples(st.sampled_from(list(Kind)), _fields), max_size=12))
def test_asked_seldom_or_often_the_words_that_stand_are_the_same(entries: list[tuple[str, dict[str, Any]]]):
    seldom, often = (DoorStates(POINTS, lockdowns=(), at=AT) for _ in range(2))
    stands: dict[tuple[str, str], OnvifEvent] = {}
    for seq, (kind, fields) in enumerate(entries):
        for doors in (seldom, often):
            doors.take(_entry(kind, fields, seq))
        stands |= {(state.token, state.topic): state for state in often.changes()}
    stands |= {(state.token, state.topic): state for state in often.changes()}
    last = {(state.token, state.topic): state for state in seldom.changes()}
    assert {key: state for key, state in stands.items() if state.data} == {
        key: state for key, state in last.items() if state.data
    }
