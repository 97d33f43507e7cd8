"""The people of an example site, made from a seed: the same seed gives the same people, on any machine.

Names, ids and card numbers are drawn; keys and PINs never are, for a key that a seed can make is no secret. Nobody here
exists. A larger site has the same people, and further ones in the same proportions, numbered after them.
The first bicycle and the first sportsman carry the card numbers that Tasmota's own documentation shows, so that its
example messages open a door.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.card_numbers import wiegand_card
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.site_file import Population, PopulationGroup

__all__ = ["Person", "generate", "grown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A simulated holder (a person or a vehicle) with one badge."""

    holder: HolderId
    name: str
    tenant: TenantId
    kind: HolderKind
    clearance: int
    profiles: tuple[ProfileId, ...]
    host: HolderId | None

    # The badge; whether a PIN goes with it.
    badge: BadgeId
    assurance: Assurance
    card: Card | None
    has_pin: bool

    # What the simulator makes of a day.
    routine: str
    home: ZoneId


def generate(population: Population, *, people: int | None = None) -> tuple[Person, ...]:
    """Make the people of a population, numbered `h-00001` onwards in the order of its groups.

    `people` is how many there shall be, those of the file at least; the further ones are numbered on. Raises ValueError
    when the file has more.
    """
    drawing = random.Random(population.seed)  # noqa: S311 - people, not secrets
    cards = _Cards(drawing)
    made = list(_received(_drawn(population.groups, 1, drawing, cards), ()))
    if people is not None:
        drawing = random.Random(f"{population.seed}/further")  # noqa: S311 - people, not secrets
        more = grown(population, people=people)
        made += _received(_drawn(more, len(made) + 1, drawing, cards.drawn_by(drawing)), made)
    return tuple(made)


def _drawn(
    groups: Iterable[PopulationGroup], first: int, drawing: random.Random, cards: "_Cards"
) -> list[Person]:
    everyone = (group for group in groups for _ in range(group.count))
    return [
        _person(number, group, drawing, cards.next_for(group)) for number, group in enumerate(everyone, first)
    ]


def grown(population: Population, *, people: int) -> tuple[PopulationGroup, ...]:
    """The further people of a site with so many: its groups with how many more each has, by largest remainder."""
    there = sum(group.count for group in population.groups)
    if people < there or not there:
        raise ValueError(f"the file has {there} people")
    shares = [(people - there) * group.count for group in population.groups]
    counts = [share // there for share in shares]
    left = people - there - sum(counts)
    by_remainder = sorted(range(len(shares)), key=lambda at: (-(shares[at] % there), at))
    for at in by_remainder[:left]:
        counts[at] += 1
    return tuple(replace(group, count=count) for group, count in zip(population.groups, counts, strict=True))


def _received(people: Sequence[Person], before: Sequence[Person]) -> Iterator[Person]:
    """Give each visitor somebody of their tenant who receives them: one who works where they go, else anyone."""
    staff: dict[tuple[TenantId, ZoneId | None], list[HolderId]] = {}
    for person in (*before, *people):
        if person.kind is HolderKind.STAFF:
            for home in (person.home, None):
                staff.setdefault((person.tenant, home), []).append(person.holder)
    received: Counter[tuple[TenantId, ZoneId]] = Counter()
    for person in people:
        if person.kind is not HolderKind.VISITOR:
            yield person
            continue
        where = (person.tenant, person.home)
        hosts = staff.get(where) or staff.get((person.tenant, None))
        yield replace(person, host=hosts[received[where] // _GROUP % len(hosts)]) if hosts else person
        received[where] += 1


def _person(number: int, group: PopulationGroup, drawing: random.Random, card: Card | None) -> Person:
    is_vehicle = group.kind is HolderKind.VEHICLE
    return Person(
        holder=HolderId(f"h-{number:05}"),
        name=f"Voertuig {number:05}" if is_vehicle else _name(drawing),
        tenant=group.tenant,
        kind=group.kind,
        clearance=group.clearance,
        profiles=group.profiles,
        host=None,
        badge=BadgeId(drawing.randbytes(16).hex()),
        assurance=Assurance(group.assurance),
        card=card,
        has_pin=group.pin,
        routine=group.routine,
        home=group.home,
    )


def _name(drawing: random.Random) -> str:
    return f"{drawing.choice(_GIVEN_NAMES)} {drawing.choice(_FAMILY_NAMES)}"


_GROUP: Final = 8  # visitors that one host receives
_WIEGAND_BITS: Final = 34
_WIEGAND_HOMES: Final = frozenset(
    {ZoneId("sports-hall")}
)  # its readers speak Wiegand; elsewhere cards are MIFARE
_FIRST_CARDS: Final[Mapping[ZoneId, Card]] = MappingProxyType(
    {
        ZoneId("bicycle-shed"): Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")),
        ZoneId("sports-hall"): wiegand_card(4_302_741_608, _WIEGAND_BITS),
    }
)


class _Cards:
    """Draws card numbers, none of them twice."""

    def __init__(self, drawing: random.Random) -> None:
        self._drawing = drawing
        self._given = set[Card]()

    def drawn_by(self, drawing: random.Random) -> "_Cards":
        """Draw from another source, and none of those again."""
        other = _Cards(drawing)
        other._given = self._given
        return other

    def next_for(self, group: PopulationGroup) -> Card | None:
        """A card for one more of a group; None where badges are more than a number."""
        if group.assurance != Assurance.CARD_NUMBER:
            return None
        card = next(card for card in self._draw(group.home) if card not in self._given)
        self._given.add(card)
        return card

    def _draw(self, home: ZoneId) -> Iterator[Card]:
        if home in _FIRST_CARDS:
            yield _FIRST_CARDS[home]
        while True:
            yield self._wiegand() if home in _WIEGAND_HOMES else self._mifare()

    def _wiegand(self) -> Card:
        """32 bits between two of parity: the first makes its half even, the last makes its half odd."""
        middle = self._drawing.getrandbits(_WIEGAND_BITS - 2)
        first, last = (middle >> 16).bit_count() % 2, 1 - (middle & 0xFFFF).bit_count() % 2
        return wiegand_card(first << 33 | middle << 1 | last, _WIEGAND_BITS)

    def _mifare(self) -> Card:
        """Seven bytes of the maker NXP (0x04), or four of an older card (ISO/IEC 14443-3, 6.5.4)."""
        if self._drawing.getrandbits(1):
            return Card(CardTechnology.MIFARE, b"\x04" + self._drawing.randbytes(6))
        first = self._drawing.choice(_FIXED_FIRST_BYTES)
        return Card(CardTechnology.MIFARE, bytes((first,)) + self._drawing.randbytes(3))


_FIXED_FIRST_BYTES: Final = tuple(byte for byte in range(0x10, 0xF0) if byte & 0x0F != 0x08)

_GIVEN: Final = (
    "Aaltje Abel Aïsha Albert Anneke Anouk Arend Aukje Bart Bauke Berend Bilal Boudewijn Bram Carlijn Cees Chaima "
    "Coen Dagmar Daan Derk Diego Dilara Douwe Eelco Eline Elif Emre Esther Evert Fadime Fatma Femke Fleur Floris Frouke "
    "Geert Gerrit Giulia Greetje Hamza Hanneke Harm Hendrik Hidde Hilde Ibrahim Ilse Imane Ingmar Iris Jacoba Jan "
    "Janneke Jasmijn Jelle Jitske Joost Jurre Karin Kees Khadija Klaas Koen Lars Latifa Leonie Lieke Lotte Luuk "
    "Maaike Machteld Malika Marieke Marten Mehmet Meike Merel Milan Mohamed Naomi Nienke Nordin Odette Okke Pieter "
    "Pleun Quinten Rachid Rani Reinder Rens Rik Roelof Rosa Ruben Saar Sanne Samira Sietske Sjoerd Stijn Suze Tess "
    "Thijs Tjitske Tristan Ümit Veerle Wessel Wietske Willem Xander Yara Yusuf Zeynep Zoë"
)
_FAMILY: Final = (
    "Abbink, Achterberg, Akkerman, El Amrani, van Assen, Bakema, ten Berge, Boersma, van den Bosch, Bouzid, "
    "Brinkman, de Bruin, Buitenhuis, Çelik, Damhof, van Dalen, van der Deen, Demir, Dijkhuis, Douma, Eefting, "
    "Elzinga, Evenhuis, Feenstra, Fokkema, Gerritsma, de Graaf, Groenewold, Haddad, ter Haar, Hazelhoff, "
    "van der Heide, Hoekstra, Hofstee, Huizinga, Idrissi, Jalink, Jansma, de Jonge, Kamminga, Kaya, Keizer, "
    "Kloosterman, Koopmans, Kruizinga, Lammers, van Lingen, Loonstra, Manuputty, Meijering, Mulder, Nanninga, "
    "Nijboer, Nijland, Oosterveld, Ottens, Öztürk, Pattiwael, Pestman, Postma, Raghoebar, Reitsma, van Rhee, Rozema, "
    "Sahin, Santing, Schipper, Sewnath, Sikkema, Smit, Spakman, Tahiri, Tamminga, Terpstra, Timmer, Tuinstra, "
    "Uiterwijk, van der Veen, Veldkamp, Venema, Visser, de Vries, Wagenaar, Wiersma, Wolthuis, de Wit, Yildiz, "
    "Ypma, Zandstra, Zuidema, van Zuilen"
)
_GIVEN_NAMES: Final = tuple(_GIVEN.split())
_FAMILY_NAMES: Final = tuple(_FAMILY.split(", "))
