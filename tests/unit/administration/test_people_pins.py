"""PINs at a tenant's desk: which will do, and what of a registration they change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cli.people.pins import easily_guessed
from gatekeeper.core.facts import Factor
from gatekeeper.core.pin import PinChecker, make_pin_record
from gatekeeper.core.register import read_holder
from gatekeeper.service.administration.directory import PeopleError
from tests.support.site_files import Site
from tests.unit.administration.people import ANNA, BO, Rows, anna, desk_of

PEPPER, SALT = b"p" * 32, b"s" * 16


@pytest.mark.parametrize("pin", ["0000", "99999999", "1234", "45678", "7890", "9876", "10987"])
def test_one_digit_again_and_again_and_digits_in_a_row_are_guessed(pin: str):
    assert easily_guessed(pin)


@pytest.mark.parametrize("pin", ["0001", "1235", "1212", "2580", "1357", "12344321"])
def test_what_has_a_turn_in_it_will_do(pin: str):
    assert not easily_guessed(pin)


@given(pin=st.text("0123456789", min_size=4, max_size=8))
def test_hardly_any_pin_is_refused(pin: str):
    rows = [start[at : at + len(pin)] for start in ("0123456789" * 2, "9876543210" * 2) for at in range(10)]
    assert easily_guessed(pin) == (pin in rows or len(set(pin)) == 1)


def test_a_pin_is_all_that_its_registration_says_anew(standing_fort: Site):
    rows = Rows(standing_fort).register("school", [(ANNA, anna())])
    before = rows.desk("school").directory.get(ANNA)
    record = make_pin_record("25801470", duress="08520741", pepper=PEPPER, salt=SALT)
    registration = rows.desk("school").register_pin(ANNA, record)
    believed = read_holder(registration.change.document, trust=standing_fort.trust)
    assert believed == replace(before.holder, version=2, pin=record)
    assert (registration.name, registration.change.badges) == ("Anna de Vries", ())
    assert PinChecker(PEPPER).check(b"08520741", believed.pin) is Factor.DURESS


def test_a_pin_is_taken_away_as_it_is_given(standing_fort: Site):
    rows = Rows(standing_fort).register("school", [(ANNA, anna())])
    rows.take(
        rows.desk("school").register_pin(ANNA, make_pin_record("2580", duress=None, pepper=PEPPER, salt=SALT))
    )
    assert rows.desk("school").register_pin(ANNA, None).holder.pin is None


def test_nobody_who_is_not_registered_has_a_pin(standing_fort: Site):
    with pytest.raises(PeopleError, match="school has no holder p-bo"):
        desk_of(standing_fort, "school").register_pin(BO, None)
