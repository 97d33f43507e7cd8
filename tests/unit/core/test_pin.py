"""PINs, the whole way: typed at a gate, sealed, opened, checked, counted; and never to be found anywhere."""

from dataclasses import replace
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.facts import Factor
from gatekeeper.core.flow import Recorded
from gatekeeper.core.pin import (
    SALT_BYTES,
    SEALED_PIN_BYTES,
    PinChecker,
    is_pin,
    make_pin_record,
    pin_info,
    seal_pin,
)
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.register import HolderRecord, read_holder
from gatekeeper.core.verify import PinDesk
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId
from gatekeeper.model.messages import Verdict
from gatekeeper.model.people import PinRecord
from gatekeeper.model.reasons import Reason
from tests.support.sites import BADGES, HOST, SITE, SmallSite, issue, key_of, register_holder, site_document

PEPPER, SALT = bytes(range(32)), bytes(range(SALT_BYTES))
RECORD = make_pin_record("25801470", duress="08520741", pepper=PEPPER, salt=SALT)
CHECKER = PinChecker(pepper=PEPPER)


@pytest.mark.parametrize(
    ("typed", "factor"),
    [
        (b"25801470", Factor.RIGHT),
        (b"08520741", Factor.DURESS),
        (b"25801471", Factor.WRONG),
        (b"2580147\0", Factor.WRONG),
        (b"25801470\0", Factor.WRONG),
        (bytes(8), Factor.WRONG),
        (b"", Factor.WRONG),
    ],
)
def test_what_is_typed_is_right_a_cry_for_help_or_wrong(typed: bytes, factor: Factor):
    assert CHECKER.check(typed, RECORD) is factor


@pytest.mark.parametrize("pin", ["2580", "25801", "258014", "2580147"])
def test_a_shorter_pin_is_filled_up(pin: str):
    record = make_pin_record(pin, duress=None, pepper=PEPPER, salt=SALT)
    assert CHECKER.check(pin.encode().ljust(8, b"\0"), record) is Factor.RIGHT
    assert CHECKER.check(pin.encode(), record) is Factor.WRONG


def test_how_long_a_pin_is_does_not_show_and_what_is_none_is_never_right():
    for typed in ("2580", "25801470", "", "258014701", "kazerne"):
        sealed = seal_pin(typed, public_der=SEAL.public_der, info=b"here")
        assert len(sealed) == SEALED_PIN_BYTES
        opened = cose.SealKey.from_pem(SEAL.to_pem()).open(sealed, info=b"here")
        assert opened is not None
        assert (opened == bytes(8)) is not is_pin(typed)


@pytest.mark.parametrize("pin", ["2580", "258014", "25801470"])
def test_a_pin_of_any_length_is_right_as_it_was_sealed(pin: str):
    record = make_pin_record(pin, duress=None, pepper=PEPPER, salt=SALT)
    sealed = seal_pin(pin, public_der=SEAL.public_der, info=b"here")
    opened = cose.SealKey.from_pem(SEAL.to_pem()).open(sealed, info=b"here")
    assert opened is not None
    assert CHECKER.check(opened, record) is Factor.RIGHT


def test_without_a_pin_on_record_none_is_right():
    assert CHECKER.check(b"25801470", None) is Factor.WRONG


def test_who_has_the_record_and_not_the_pepper_cannot_try_pins():
    assert PinChecker(pepper=bytes(32)).check(b"25801470", RECORD) is Factor.WRONG


@pytest.mark.parametrize("text", ["123", "123456789", "12a4", "١٢٣٤", "", "12 4", "-123"])
def test_a_pin_is_four_to_eight_digits(text: str):
    assert not is_pin(text)
    with pytest.raises(ValueError, match="digits"):
        make_pin_record(text, duress=None, pepper=PEPPER, salt=SALT)


def test_the_pin_that_cries_for_help_is_another_one():
    with pytest.raises(ValueError, match="another"):
        make_pin_record("25801470", duress="25801470", pepper=PEPPER, salt=SALT)


def test_nothing_shows_a_pin_or_what_is_kept_of_it():
    for shown in (repr(RECORD), repr(CHECKER)):
        assert "25801470" not in shown
        assert RECORD.digest.hex() not in shown
        assert str(RECORD.digest) not in shown


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, duress=None)])
def test_a_registration_carries_its_pin_record(record: PinRecord):
    holder = replace(SmallSite().holders["sergeant"], pin=record)
    read = read_holder(register_holder(holder), trust=SmallSite().flow.trust)
    assert read is not None
    assert (read.pin.salt, read.pin.digest, read.pin.duress) == (record.salt, record.digest, record.duress)


# -- at the gate ------------------------------------------------------------------------------------------------------

SEAL = cose.SigningKey.generate()


class Keypads(SmallSite):
    """A small site whose yard asks for a PIN, and whose sergeant has one."""

    def __init__(self, **rules: Any) -> None:
        super().__init__()
        document = site_document()
        document["zone"][1]["rules"] = {"pin": "always"}
        document["rules"] = rules
        source = sign_policy(document, site=SITE, key=key_of(f"{HOST} signing"))
        policy = compile_from(source, trust=self.flow.trust)
        assert not isinstance(policy, PolicyRefused), policy
        self.flow.adopt(policy, source=source, trust=self.flow.trust)
        self.flow.pin_desk = PinDesk(key=cose.SealKey.from_pem(SEAL.to_pem()), checker=CHECKER)
        holder = replace(self.holders["sergeant"], pin=RECORD, version=2)
        record = HolderRecord(id=holder.id, document=register_holder(holder))
        self.flow.register.put_holder(record, tenant=holder.tenant, badges=holder.badges)

    def type(
        self,
        pin: str | None,
        *,
        access_point: str = "front-in",
        sealed_for: str = "front-in",
        who: str = "sergeant",
        **changes: Any,
    ) -> Recorded:
        info = pin_info(site=SITE, gate=GateId("front"), access_point=AccessPointId(sealed_for))
        sealed = None if pin is None else seal_pin(pin, public_der=SEAL.public_der, info=info)
        return self.tap(access_point, who, sealed_pin=sealed, **changes)


def _reasons(recorded: Recorded) -> set[Reason]:
    assert recorded.decision is not None
    return set(recorded.decision.reasons)


def test_the_right_pin_opens_and_none_or_a_wrong_one_does_not():
    site = Keypads()
    assert _reasons(site.type(None)) == {Reason.PIN_MISSING}
    assert _reasons(site.type("1111")) == {Reason.PIN_WRONG}
    assert site.type("25801470").answer.verdict is Verdict.GRANTED


def test_the_pin_that_cries_for_help_opens_like_the_other_and_nobody_at_the_door_can_tell():
    cries, calm = Keypads().type("08520741"), Keypads().type("25801470")
    assert Reason.DURESS in _reasons(cries)
    assert replace(cries.answer, message=b"", issued=calm.answer.issued) == replace(calm.answer, message=b"")


def test_after_too_many_wrong_pins_the_right_one_is_not_looked_at_for_a_while():
    site = Keypads(pin={"tries": 3, "for_minutes": 10})
    for _ in range(3):
        assert _reasons(site.type("1111")) == {Reason.PIN_WRONG}
    assert _reasons(site.type("25801470")) == {Reason.MAX_ATTEMPTS}
    site.advance(minutes=10)
    assert site.type("25801470").answer.verdict is Verdict.GRANTED


def test_a_right_pin_makes_wrong_ones_forgotten():
    site = Keypads(pin={"tries": 2, "for_minutes": 10})
    site.type("1111")
    assert site.type("25801470").answer.verdict is Verdict.GRANTED
    assert _reasons(site.type("1111")) >= {Reason.PIN_WRONG}
    assert Reason.MAX_ATTEMPTS not in _reasons(site.type("25801470"))


def test_the_right_pin_leaves_nothing_of_the_wrong_ones_on_record():
    site = Keypads(pin={"tries": 2, "for_minutes": 10})
    for _ in range(2):
        site.type("1111")
    site.advance(minutes=10)
    site.type("1111")
    ((_, usage),) = site.type("25801470").remembered.usage
    assert (usage.pin_tries, usage.pin_blocked_until) == (0, None)


def _with_a_spare(site: Keypads) -> BadgeId:
    """Give the sergeant a second badge."""
    spare, sergeant = issue("spare", "army"), site.holders["sergeant"]
    both = replace(sergeant, pin=RECORD, version=3, badges=(*sergeant.badges, spare.badge.id))
    site.enter("spare", spare)
    site.enter("sergeant", site.badges["sergeant"], both)
    return spare.badge.id


def test_wrong_pins_are_counted_over_all_badges_of_their_holder():
    site = Keypads(pin={"tries": 3, "for_minutes": 10})
    spare, own = _with_a_spare(site), BADGES["sergeant"].badge.id
    for who in ("sergeant", "spare"):
        assert _reasons(site.type("1111", who=who)) == {Reason.PIN_WRONG}
    third = dict(site.type("1111", who="sergeant").remembered.usage)
    assert {badge: usage.pin_tries for badge, usage in third.items()} == {own: 0, spare: 0}
    for who in ("sergeant", "spare"):
        assert _reasons(site.type("25801470", who=who)) == {Reason.MAX_ATTEMPTS}
    site.advance(minutes=10)
    assert _reasons(site.type("1111", who="spare")) == {Reason.PIN_WRONG}
    right = dict(site.type("25801470", who="sergeant").remembered.usage)
    assert {(usage.pin_tries, usage.pin_blocked_until) for usage in right.values()} == {(0, None)}
    assert right.keys() == {own, spare}
    for who in ("spare", "sergeant"):
        assert _reasons(site.type("1111", who=who)) >= {Reason.PIN_WRONG}


def test_wrong_pins_of_one_holder_are_not_anothers():
    site = Keypads(pin={"tries": 2, "for_minutes": 10})
    private = replace(site.holders["private"], pin=RECORD, version=2)
    site.enter("private", site.badges["private"], private)
    for _ in range(2):
        site.type("1111")
    assert site.type("25801470", who="private").answer.verdict is Verdict.GRANTED


def test_a_pin_that_comes_with_a_badge_that_is_not_believed_is_not_looked_at():
    site = Keypads(pin={"tries": 2, "for_minutes": 10})
    for _ in range(5):
        stale = site.type("1111", beacon=bytes(16))
        assert _reasons(stale) == {Reason.STALE_PROOF, Reason.WRONG_PROOF, Reason.PIN_MISSING}
    assert site.type("25801470").answer.verdict is Verdict.GRANTED


def test_a_pin_sealed_for_another_door_is_none():
    assert _reasons(Keypads().type("25801470", sealed_for="inner")) == {Reason.PIN_WRONG}


def test_a_service_without_a_desk_for_pins_believes_none():
    site = Keypads()
    site.flow.pin_desk = None
    assert _reasons(site.type("25801470")) == {Reason.PIN_WRONG}


def test_a_pin_stands_in_no_entry_and_in_no_receipt():
    site = Keypads()
    site.type("25801470")
    assert "25801470" not in repr([(draft.public, draft.personal) for draft in site.drafts])
