"""What is typed goes with the badge that it was typed for, and with no other."""

from devices.hardware.keypad import Keypad
from devices.hardware.wiegand_format import Key


def typed(keypad: Keypad[str], keys: str, *, at: float = 0.0) -> tuple[str, str] | None:
    return [keypad.key(Key(key), at=at) for key in keys][-1]


def test_what_was_typed_first_goes_with_the_next_badge_only():
    keypad = Keypad[str]()
    assert typed(keypad, "1234#") is None
    assert keypad.badge("first", at=9.9) == "1234"
    assert keypad.badge("second", at=9.9) is None


def test_digits_need_no_hash_before_a_badge():
    keypad = Keypad[str]()
    typed(keypad, "1234")
    assert keypad.badge("badge", at=1) == "1234"


def test_what_was_typed_long_ago_is_nobodys():
    keypad = Keypad[str]()
    typed(keypad, "1234")
    assert keypad.badge("badge", at=10.1) is None
    typed(keypad, "12", at=20)
    typed(keypad, "34", at=30.1)
    assert keypad.badge("badge", at=30.2) == "34"


def test_a_star_begins_anew():
    keypad = Keypad[str]()
    typed(keypad, "99*1234")
    assert keypad.badge("badge", at=1) == "1234"


def test_a_badge_denied_for_want_of_a_pin_is_presented_again_with_it_once():
    keypad = Keypad[str]()
    keypad.badge("badge", at=0)
    keypad.asks_for_pin(at=0.5)
    assert typed(keypad, "1234#", at=5) == ("badge", "1234")
    assert typed(keypad, "1234#", at=6) is None


def test_a_badge_that_was_asked_again_may_be_asked_once_more():
    keypad = Keypad[str]()
    keypad.badge("badge", at=0)
    keypad.asks_for_pin(at=0)
    assert typed(keypad, "1234#", at=5) == ("badge", "1234")
    keypad.asks_for_pin(at=6)
    assert typed(keypad, "5678#", at=7) == ("badge", "5678")


def test_nobody_types_against_a_badge_that_was_answered():
    keypad = Keypad[str]()
    keypad.badge("badge", at=0)
    keypad.answered()
    keypad.asks_for_pin(at=1)
    assert typed(keypad, "1234#", at=2) is None


def test_a_pin_that_comes_too_late_presents_nothing():
    keypad = Keypad[str]()
    keypad.badge("badge", at=0)
    keypad.asks_for_pin(at=0)
    assert typed(keypad, "1234#", at=20.1) is None


def test_a_hash_alone_presents_nothing():
    keypad = Keypad[str]()
    keypad.badge("badge", at=0)
    keypad.asks_for_pin(at=0)
    assert typed(keypad, "#", at=1) is None
    assert typed(keypad, "1234#", at=2) == ("badge", "1234")


def test_too_many_digits_stay_too_many():
    keypad = Keypad[str]()
    typed(keypad, "1" * 100)
    assert keypad.badge("badge", at=1) == "1" * 9
