"""Who has which badges of a snapshot."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from devices.core.holders import Holders
from gatekeeper.model.ids import BadgeId
from tests.contract.left_alone import snapshots
from tests.contract.vector_site import FRONT

NUMBERS = [0, 1, 7, 256, (1 << 32) - 1]


@given(st.dictionaries(st.binary(min_size=16, max_size=16), st.sampled_from(NUMBERS), max_size=12))
def test_all_badges_of_a_holder_are_found_and_nobody_elses(owners: dict[bytes, int]):
    rows = b"".join(badge + owner.to_bytes(4, "big") + bytes(4) for badge, owner in sorted(owners.items()))
    holders = Holders(replace(snapshots()[FRONT], rows=rows))
    for number in (*NUMBERS, 2):
        theirs = {BadgeId(badge.hex()) for badge, owner in owners.items() if owner == number}
        assert holders.badges_of(number) == theirs
