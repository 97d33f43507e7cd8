"""What gives more, one edit at a time: what a trust list says of keys, agreements and the service."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.enrolment import fingerprint
from gatekeeper.core.trust import KeyState, Trust, TrustListing, Use, read_trust
from gatekeeper.core.widening import trust_gains
from gatekeeper.model.ids import GateId, TenantId, ZoneId
from gatekeeper.model.people import Agreement
from tests.support.sites import cosigned_agreement, ground, key_of, listed, signed_trust, trusted

SCHOOL = TenantId("school")


def listing_gains(
    change: Callable[[TrustListing], TrustListing], *, first_change: Any = None
) -> tuple[str, ...]:
    before = listed() if first_change is None else first_change(listed())
    return trust_gains(_trust(before), _trust(replace(change(before), version=2)))


def _trust(listing: TrustListing) -> Trust:
    found = read_trust(signed_trust(listing), anchor=ground().anchor, not_below=0)
    assert isinstance(found, Trust), found
    return found


def of_school(**changes: Any) -> Callable[[TrustListing], TrustListing]:
    """The school's part of the list, written otherwise."""

    def change(listing: TrustListing) -> TrustListing:
        school = replace(listing.tenants[SCHOOL], **changes)
        return replace(listing, tenants={**listing.tenants, SCHOOL: school})

    return change


def agreed(**changes: Any) -> Callable[[TrustListing], TrustListing]:
    """Another agreement with the school."""
    former = ground().trust.agreements[SCHOOL]
    document = cosigned_agreement(replace(former, **changes), by=("army signing", "school signing"))
    return of_school(agreement=document)


def issuer(state: KeyState, *, since: datetime | None = None, name: str = "school issuer") -> Any:
    return trusted(name, use=Use.ISSUER, owner=SCHOOL, state=state, since=since)


def shown(key: str) -> str:
    """The fingerprint of a key, as it is compared."""
    return fingerprint(key_of(key).public_der)


EARLY, LATE = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
BOTH = (issuer(KeyState.ACTIVE), issuer(KeyState.ACTIVE, name="school second issuer"))

GIVES: list[tuple[Any, tuple[str, ...]]] = [
    (agreed(ceiling=4), ("school: a ceiling of 4, not 3",)),
    (agreed(zones=frozenset({ZoneId("yard"), ZoneId("armoury")})), ("school: armoury is agreed",)),
    (agreed(until=datetime(2028, 1, 1, tzinfo=UTC)), ("school: the agreement lasts longer",)),
    (agreed(since=datetime(2025, 1, 1, tzinfo=UTC)), ("school: the agreement lasts longer",)),
    (agreed(badge_life=timedelta(days=400)), ("school: badges live longer",)),
    (of_school(issuers=BOTH), ("school: another issuer key",)),
    (of_school(epoch=0), ("school: withdrawn badges return",)),
    (
        lambda listing: replace(
            listing, services=(*listing.services, (Use.DECISION, trusted("other", use=Use.DECISION, owner="service")))
        ),
        ("a key of the service for decision",),
    ),
    (
        lambda listing: replace(
            listing, gates={**listing.gates, GateId("front"): trusted("other", use=Use.GATE, owner="front")}
        ),
        (f"another key of gate front: {shown('other')}",),
    ),
    (
        lambda listing: replace(
            listing, gates={**listing.gates, GateId("back"): trusted("back", use=Use.GATE, owner="back")}
        ),
        (f"a key of gate back: {shown('back')}",),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), GIVES, ids=[said[0] for _, said in GIVES])
def test_a_trust_list_says_what_it_gives(change: Any, said: tuple[str, ...]):
    assert listing_gains(change) == said


TAKES: dict[str, Callable[[TrustListing], TrustListing]] = {
    "nothing": lambda listing: listing,
    "a lower ceiling": agreed(ceiling=2),
    "fewer zones": agreed(zones=frozenset()),
    "a shorter time": agreed(until=datetime(2026, 7, 1, tzinfo=UTC)),
    "no agreement": of_school(agreement=None),
    "withdrawn badges": of_school(epoch=2),
    "a revoked issuer": of_school(issuers=(issuer(KeyState.REVOKED),)),
    "a retired issuer": of_school(issuers=(issuer(KeyState.VERIFY_ONLY),)),
    "a revoked gate": lambda listing: replace(
        listing,
        gates={
            **listing.gates,
            GateId("front"): replace(listing.gates[GateId("front")], state=KeyState.REVOKED),
        },
    ),
    "no gate": lambda listing: replace(listing, gates={}),
    "a tenant less": lambda listing: replace(
        listing, tenants={name: one for name, one in listing.tenants.items() if name != SCHOOL}
    ),
}


@pytest.mark.parametrize("change", TAKES.values(), ids=TAKES)
def test_a_trust_list_that_only_takes_gives_nothing(change: Callable[[TrustListing], TrustListing]):
    assert listing_gains(change) == ()


KEYS: list[tuple[Any, Any, bool]] = [
    (issuer(KeyState.VERIFY_ONLY), issuer(KeyState.ACTIVE), True),
    (issuer(KeyState.REVOKED), issuer(KeyState.VERIFY_ONLY), True),
    (issuer(KeyState.REVOKED, since=EARLY), issuer(KeyState.REVOKED, since=LATE), True),
    (issuer(KeyState.REVOKED), issuer(KeyState.REVOKED, since=EARLY), True),
    (issuer(KeyState.REVOKED, since=LATE), issuer(KeyState.REVOKED, since=EARLY), False),
    (issuer(KeyState.REVOKED, since=LATE), issuer(KeyState.REVOKED), False),
    (issuer(KeyState.ACTIVE), issuer(KeyState.REVOKED, since=LATE), False),
    (issuer(KeyState.REVOKED, since=LATE), issuer(KeyState.REVOKED, since=LATE), False),
    (issuer(KeyState.REVOKED), issuer(KeyState.REVOKED), False),
]


@pytest.mark.parametrize(("before", "after", "more"), KEYS)
def test_a_key_that_counts_for_more_gives_more(before: Any, after: Any, *, more: bool):
    said = listing_gains(of_school(issuers=(after,)), first_change=of_school(issuers=(before,)))
    assert (said != ()) is more


def service(state: KeyState) -> Callable[[TrustListing], TrustListing]:
    """A key to seal PINs for, in a state."""
    sealing = (Use.SEAL, trusted("seal", use=Use.SEAL, owner="service", state=state))

    def change(listing: TrustListing) -> TrustListing:
        others = [one for one in listing.services if one[0] is not Use.SEAL]
        return replace(listing, services=(*others, sealing))

    return change


def test_a_key_of_the_service_that_counts_again_gives_more():
    assert listing_gains(service(KeyState.ACTIVE), first_change=service(KeyState.VERIFY_ONLY)) == (
        "a key of the service for seal",
    )
    assert listing_gains(service(KeyState.REVOKED), first_change=service(KeyState.ACTIVE)) == ()


@pytest.mark.parametrize(("since", "more"), [(EARLY, True), (None, False)])
def test_a_revoked_key_that_is_new_gives_what_it_signed_before_and_nothing_when_that_is_nothing(
    since: datetime | None, *, more: bool
):
    second = issuer(KeyState.REVOKED, since=since, name="school second issuer")
    said = listing_gains(of_school(issuers=(issuer(KeyState.ACTIVE), second)))
    assert (said != ()) is more


def test_a_new_tenant_hides_nothing_of_what_the_others_gain():
    def without_army_first(listing: TrustListing) -> TrustListing:
        return replace(
            listing, tenants={name: one for name, one in listing.tenants.items() if name != "club"}
        )

    def club_first(listing: TrustListing) -> TrustListing:
        raised = agreed(ceiling=4)(listing)
        return replace(raised, tenants={"club": listed().tenants[TenantId("club")], **raised.tenants})

    said = listing_gains(club_first, first_change=without_army_first)
    assert set(said) == {"club is a tenant", "school: a ceiling of 4, not 3"}


def test_an_agreement_where_there_was_none_gives_more():
    said = listing_gains(agreed(), first_change=of_school(agreement=None))
    assert said == ("school: an agreement",)


def test_another_signing_key_gives_more():
    key = trusted("school second signing", use=Use.TENANT, owner=SCHOOL)
    agreement = Agreement(
        tenant=SCHOOL, ceiling=1, zones=frozenset(), since=EARLY, until=LATE, badge_life=timedelta(1)
    )
    document = cosigned_agreement(agreement, by=("army signing", "school second signing"))
    assert listing_gains(of_school(signing=key, agreement=document)) == ("school: another signing key",)
