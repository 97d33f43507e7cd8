"""What a site writes when its zones ask for more: memory, company, PINs, a guard's word. Each flow is a site of its own."""

from collections.abc import Iterator
from datetime import timedelta

from gatekeeper.core.audit import Draft
from gatekeeper.core.change import BadgeStateChange, GuardChange
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.flow import Recorded
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import HolderId
from gatekeeper.model.messages import Verdict
from gatekeeper.model.people import HolderKind
from tests.support.rules_site import DURESS_PIN, PIN, PIN_RECORD, RuledSite

WRONG_PIN = "1111"


def ruled_drafts() -> Iterator[tuple[Draft, ...]]:
    """The entries of every flow."""
    for flow in (_habits, _factors, _visitors, _together, _alarms):
        yield tuple(flow().drafts)


def _habits() -> RuledSite:
    """Who was where, how often, and what is open."""
    site = RuledSite(
        {"yard": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}, "occupancy": {"most": 50}}},
        interlock=[{"id": "lock", "access_points": ["front-in", "shed-in"]}],
        rules={
            "lock_out": {"failures": 2, "minutes": 5, "for_minutes": 5},
            "inactivity_days": 90,
            "shadow": ["denied-clearance"],
        },
    )
    site.enrol("janitor", "keyholder")
    site.enrol("novice", clearance=0)
    assert not site.ask("front-in", "sergeant").granted
    assert site.ask("front-in", "janitor").granted
    assert not site.ask("shed-in", "sergeant").granted
    site.advance(minutes=10)
    assert site.ask("front-in", "novice").granted
    site.advance(seconds=20)
    assert site.ask("front-in", "sergeant").granted
    site.advance(seconds=20)
    assert site.ask("front-in", "sergeant").granted
    for _ in range(3):
        assert not site.ask("barrack-in", "pupil").granted
    return site


def _factors() -> RuledSite:
    """PINs of every sort, and every word of a guard."""
    rules = {
        "pin": "always",
        "guard_check": {"seconds": 30},
        "search": {"one_in": 1},
        "certificates": ["first-aid"],
        "shadow": ["denied-certificate"],
    }
    site = RuledSite({"shed": rules})
    site.enrol("signaller", pin=PIN_RECORD)
    site.enrol("medic", pin=PIN_RECORD, certificates=(("first-aid", site.now + timedelta(days=1)),))
    certified = site.tap("shed-in", "medic", sealed_pin=site.sealed("shed-in", PIN))
    _say(site, certified, GuardsWord.YES)
    for word in (GuardsWord.YES, GuardsWord.NO, GuardsWord.SILENCE):
        sealed = site.sealed("shed-in", PIN)
        _say(site, site.tap("shed-in", "signaller", sealed_pin=sealed), word)
    forced = site.tap("shed-in", "signaller", sealed_pin=site.sealed("shed-in", DURESS_PIN))
    _say(site, forced, GuardsWord.YES)
    assert site.ask("front-in", "signaller", pin=DURESS_PIN).granted
    for _ in range(6):
        assert not site.ask("shed-in", "signaller", pin=WRONG_PIN).granted
    return site


def _say(site: RuledSite, waiting: Recorded, word: GuardsWord) -> None:
    """Whatever is said ends the wait."""
    assert waiting.answer.verdict is Verdict.WAITING, waiting.decision
    if word is GuardsWord.SILENCE:
        settled = site.flow.settle(waiting.receipt.seq, word, now=site.now)
    else:
        content = GuardChange(entry=waiting.receipt.seq, yes=word is GuardsWord.YES)
        settled = site.supervise(content).settled
    assert settled is not None
    site.drafts += settled.drafts


def _visitors() -> RuledSite:
    """A visitor waits for a host, and the host for the visitor."""
    site = RuledSite(
        {"barrack": {"escort": {"by": ["army/escort"], "seconds": 60, "most": 3}}},
        rules={"shadow": ["denied-assurance"]},
    )
    site.enrol("guide", "escort", badge={"max_uses": 9})
    site.enrol("guest", kind=HolderKind.VISITOR, host=HolderId("guide"), badge={"duress": True})
    site.enrol("second-guest", kind=HolderKind.VISITOR, host=HolderId("guide"))
    assert not site.ask("barrack-in", "guest").granted
    assert site.ask("barrack-in", "guide").granted
    assert site.ask("barrack-in", "second-guest").granted
    assert not site.ask("barrack-out", "guide").granted
    assert not site.ask("barrack-out", "guide", proof=None).granted
    assert site.ask("barrack-in", "guide").granted
    return site


def _together() -> RuledSite:
    """Two who pass on one word of a guard, who looks at both."""
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "two_persons": {"seconds": 60}}})
    assert not site.ask("barrack-in", "private").granted
    _say(site, site.tap("barrack-in", "sergeant"), GuardsWord.YES)
    return site


def _alarms() -> RuledSite:
    """A stolen badge, at a gate that asks and at one that decided alone."""
    site = RuledSite()
    site.supervise(BadgeStateChange(badge=site.badges["teacher"].badge.id, state=BadgeState.STOLEN))
    assert not site.ask("front-in", "teacher").granted
    for verdict in (Verdict.GRANTED, Verdict.DENIED):
        site.tap("front-in", "teacher", offline_verdict=verdict)
    return site
