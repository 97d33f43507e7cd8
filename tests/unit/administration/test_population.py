"""The people of an example site: the same from the same seed, and with cards that readers know."""

from collections import Counter
from dataclasses import replace

import pytest

from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.card_numbers import wiegand_card
from gatekeeper.model.ids import ZoneId, is_name
from gatekeeper.model.people import HolderKind
from gatekeeper.model.site_file import Population, read_population, read_site
from gatekeeper.service.administration.population import Person, generate, grown
from tests.support.site_files import example_site

PINNED = {"communications-room", "server-room"}


@pytest.fixture(scope="module")
def population() -> Population:
    return read_population(example_site())


@pytest.fixture(scope="module")
def people(population: Population) -> tuple[Person, ...]:
    return generate(population)


def first_at(people: tuple[Person, ...], home: str) -> Person:
    return next(person for person in people if person.home == home and person.card is not None)


def test_a_seed_makes_the_same_people_every_time(population: Population, people: tuple[Person, ...]):
    assert generate(population) == people
    assert generate(replace(population, seed=population.seed + 1)) != people


def test_these_people_stay_the_same_from_version_to_version(people: tuple[Person, ...]):
    assert (people[0].name, people[0].badge) == ("Anouk Achterberg", "59f43e4cee7f05f5f5c3a8018c14a51a")


def test_the_example_site_has_five_hundred_people_with_a_badge_each(people: tuple[Person, ...]):
    assert len(people) == len({person.holder for person in people}) == 500
    assert len({person.badge for person in people}) == 500
    assert all(is_name(person.holder) and len(bytes.fromhex(person.badge)) == 16 for person in people)
    assert people[41].holder == "h-00042"


def test_every_group_has_its_people(population: Population, people: tuple[Person, ...]):
    left = list(people)
    for group in population.groups:
        members, left = left[: group.count], left[group.count :]
        for person in members:
            assert (person.tenant, person.kind, person.clearance) == (
                group.tenant,
                group.kind,
                group.clearance,
            )
            assert (person.profiles, person.routine, person.home) == (
                group.profiles,
                group.routine,
                group.home,
            )
            assert person.assurance == group.assurance
    assert left == []


def test_people_have_many_names_and_vehicles_have_none(people: tuple[Person, ...]):
    names = [person.name for person in people if person.kind is not HolderKind.VEHICLE]
    assert len(set(names)) > 0.9 * len(names)
    assert all(person.name.startswith("Voertuig ") for person in people if person.kind is HolderKind.VEHICLE)


def test_card_numbers_stand_at_assurance_0_only_and_none_twice(people: tuple[Person, ...]):
    assert all((person.card is not None) == (person.assurance is Assurance.CARD_NUMBER) for person in people)
    cards = [person.card for person in people if person.card is not None]
    assert len(cards) == len(set(cards)) == 25


def test_the_examples_of_tasmotas_documentation_open_doors(people: tuple[Person, ...]):
    assert first_at(people, "bicycle-shed").card == Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07"))
    assert first_at(people, "sports-hall").card == wiegand_card(4302741608, 34)
    assert wiegand_card(4302741608, 34) == Card(CardTechnology.WIEGAND, bytes.fromhex("010076a068"))


def test_wiegand_numbers_have_their_parity(people: tuple[Person, ...]):
    numbers = [
        int.from_bytes(person.card.number, "big")
        for person in people
        if person.card is not None and person.card.technology is CardTechnology.WIEGAND
    ]
    assert len(numbers) == 15
    for number in numbers:
        assert number < 1 << 34
        assert (number >> 17).bit_count() % 2 == 0
        assert (number & 0x1FFFF).bit_count() % 2 == 1


def test_mifare_numbers_are_four_or_seven_bytes(people: tuple[Person, ...]):
    lengths = {
        len(person.card.number)
        for person in people
        if person.card is not None and person.card.technology is CardTechnology.MIFARE
    }
    assert lengths == {4, 7}


def test_thousands_of_cards_are_all_different(population: Population):
    group = next(group for group in population.groups if group.home == ZoneId("bicycle-shed"))
    crowd = generate(replace(population, groups=(replace(group, count=20_000),)))
    assert len({person.card for person in crowd}) == 20_000


def test_a_larger_site_has_the_same_people_and_further_ones_in_the_same_proportions(
    population: Population, people: tuple[Person, ...]
):
    more = generate(population, people=2000)
    assert more[:500] == people
    assert more == generate(population, people=2000)
    assert len({person.holder for person in more}) == len({person.badge for person in more}) == 2000
    cards = [person.card for person in more if person.card is not None]
    assert len(set(cards)) == len(cards)
    for count in (people, more):
        shares = Counter((person.tenant, person.home, person.assurance) for person in count)
        assert {key: round(4 * times / len(count) * 500) for key, times in shares.items()} == {
            key: 4 * times for key, times in Counter((p.tenant, p.home, p.assurance) for p in people).items()
        }
    assert all(person.has_pin == (person.home in PINNED) for person in more)


@pytest.mark.parametrize("count", [500, 501, 777, 1283, 20_000])
def test_a_site_has_as_many_people_as_it_was_asked_for(count: int, population: Population):
    assert sum(group.count for group in grown(population, people=count)) == count - 500


def test_a_site_never_has_fewer_people_than_its_file(population: Population):
    with pytest.raises(ValueError, match="the file has 500 people"):
        generate(population, people=499)


def test_every_visitor_has_somebody_of_their_tenant_who_receives_them(people: tuple[Person, ...]):
    by_id = {person.holder: person for person in people}
    for person in people:
        if person.kind is HolderKind.VISITOR:
            assert person.host is not None
            assert by_id[person.host].kind is HolderKind.STAFF
            assert by_id[person.host].tenant == person.tenant
        else:
            assert person.host is None


def test_the_guests_of_the_exercise_are_the_foreign_officers(people: tuple[Person, ...]):
    (event,) = read_site(example_site()).rules.events
    officers = {
        person.holder
        for person in people
        if "resilience-guest" in person.profiles and person.assurance is Assurance.KEY_BOUND
    }
    assert event.guests == officers
