"""Facts that are kept and read again are the same facts, and the same decision, for everything that can be asked."""

import json
from base64 import b64encode
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core.audit import canonical_json, decision_fields, facts_document, timestamp
from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.replay import recollect, redecide
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import SCAN_TYPE, ByDigest, ClockQuality, Scan
from gatekeeper.model.reasons import Reason
from tests.support.rules_situations import situations
from tests.support.rules_worlds import SITE, worlds
from tests.support.sites import key_of

SOME = settings(max_examples=70, deadline=None)


@cache
def scan(clock: ClockQuality) -> str:
    """A scan's bytes, as an entry keeps them; of all it says only the gate's clock counts for a decision."""
    message = Scan(
        boot=BootId(bytes(8)),
        sequence=1,
        gate_at=None,
        clock=clock,
        access_point=AccessPointId("door-0"),
        credential=ByDigest(bytes(32)),
        beacon=bytes(16),
        proof=None,
        round_trip=None,
        offline_verdict=None,
        offline_policy=None,
    )
    return b64encode(cose.sign(message.payload(), key=key_of("gate"), typ=SCAN_TYPE)).decode()


def kind(decision: Decision) -> str:
    if decision.waits is not None:
        return "access.waiting"
    return "access.granted" if decision.granted else "access.denied"


@SOME
@given(st.data())
def test_what_is_kept_of_a_decision_is_enough_to_make_it_again(data: st.DataObject):
    world = data.draw(worlds(least=1))
    for _ in range(5):
        asked = data.draw(situations(world, remembered=data.draw(st.booleans())))
        made = decide(world.policy, asked.facts, asked.request, asked.now)
        body = {
            "access_point": asked.request.access_point,
            "gate": asked.request.gate,
            "at": timestamp(asked.now),
            "kind": kind(made),
            **decision_fields(made),
        }
        personal = {"scan": scan(asked.request.clock), "facts": facts_document(asked.facts)}
        body, personal = json.loads(canonical_json(body)), json.loads(canonical_json(personal))
        read = recollect(body, personal, site=SITE)
        assert (read.facts, read.request, read.at) == (asked.facts, asked.request, asked.now)
        assert decide(world.policy, read.facts, read.request, read.at) == made
        assert redecide(world.compiled(), read, body) == []


@SOME
@given(st.data())
def test_an_entry_that_says_anything_else_is_a_difference(data: st.DataObject):
    world = data.draw(worlds(least=1))
    asked = data.draw(situations(world))
    made = decide(world.policy, asked.facts, asked.request, asked.now)
    other = data.draw(st.sampled_from([reason for reason in Reason if reason is not made.reason]))
    body = {
        "access_point": asked.request.access_point,
        "gate": asked.request.gate,
        "at": timestamp(asked.now),
        "kind": kind(made),
        **decision_fields(made),
    }
    personal = {"scan": scan(asked.request.clock), "facts": facts_document(asked.facts)}
    read = recollect(body, personal, site=SITE)
    altered = data.draw(
        st.sampled_from(
            [
                {"reason": other.code},
                {"reasons": [*body["reasons"], other.code]},
                {"shadow": [*body.get("shadow", []), other.code]},
                {"kind": "access.granted" if kind(made) != "access.granted" else "access.denied"},
                {"policy": "00" * 32},
            ]
        )
    )
    assert [one.what for one in redecide(world.policy, read, body | altered)] == list(altered)
