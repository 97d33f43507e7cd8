"""The lot for searches: bound before it is drawn, shown afterwards, and the same for whoever draws again."""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from gatekeeper.core.draw import Draws, number
from gatekeeper.core.flow import Recorded
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.model.reasons import Reason
from tests.support.clocks import FAR_FROM_GREENWICH, running_in
from tests.support.sites import HOST, NOON, SITE, SmallSite, key_of, site_document

SECRET = bytes(range(32))
DRAWS = Draws(SECRET)


class Searching(SmallSite):
    """A small site that searches one in so many who come into the yard."""

    def __init__(self, one_in: int) -> None:
        super().__init__()
        document = site_document()
        document["zone"][1]["rules"] = {"search": {"one_in": one_in}}
        source = sign_policy(document, site=SITE, key=key_of(f"{HOST} signing"))
        policy = compile_from(source, trust=self.flow.trust)
        assert not isinstance(policy, PolicyRefused), policy
        self.flow.adopt(policy, source=source, trust=self.flow.trust)
        self.flow.draws = DRAWS


def _drawn(recorded: Recorded) -> bool:
    assert recorded.decision is not None
    return Reason.SEARCH_SELECTED in recorded.decision.reasons


def test_each_day_has_a_seed_of_its_own_that_nobody_without_the_secret_knows():
    seeds = {DRAWS.seed(date(2026, 1, 1) + timedelta(days=day)) for day in range(400)}
    assert len(seeds) == 400
    assert Draws(bytes(32)).seed(date(2026, 1, 1)) not in seeds


def test_one_in_so_many_is_drawn():
    seed = DRAWS.seed(NOON.date())
    drawn = sum(number(seed, hashlib.sha256(str(scan).encode()).digest()) % 20 == 0 for scan in range(40_000))
    assert 1_850 < drawn < 2_150  # 2,000 expected; three and a half deviations


def test_the_number_is_the_first_six_bytes_of_the_hmac_so_that_every_reader_of_json_reads_it_whole():
    seed = DRAWS.seed(NOON.date())
    for scan in range(100):
        digest = hashlib.sha256(str(scan).encode()).digest()
        mac = hmac.new(seed, digest, hashlib.sha256).hexdigest()
        assert number(seed, digest) == int(mac[:12], 16)


def test_who_is_drawn_is_let_in_and_told():
    recorded = Searching(1).tap("front-in", "sergeant")
    assert _drawn(recorded)
    assert recorded.decision is not None
    assert recorded.decision.granted


def test_nobody_is_drawn_on_the_way_out_or_where_no_zone_asks():
    site = Searching(1)
    site.walk("front-in", "sergeant")
    assert not _drawn(site.tap("barrack-in", "sergeant"))
    assert not _drawn(site.tap("front-out", "sergeant"))


def test_the_log_binds_the_seed_before_the_first_lot_of_a_day_and_shows_it_on_the_next():
    site = Searching(1)
    first = site.tap("front-in", "sergeant")
    assert [draft.kind for draft in first.drafts] == ["search.seed", "access.granted"]
    assert [draft.seq for draft in first.drafts] == [0, 1]
    assert first.receipt.seq == 1
    bound = first.drafts[0].public
    assert [draft.kind for draft in site.tap("front-in", "private").drafts] == ["access.granted"]
    site.advance(days=1)
    shown = site.tap("front-in", "teacher").drafts[0].public
    assert shown["revealed_day"] == bound["day"]
    assert hashlib.sha256(bytes.fromhex(shown["revealed_seed"])).hexdigest() == bound["commitment"]


def test_whoever_has_the_log_can_draw_again():
    site = Searching(3)
    taps = [site.tap("front-in", who) for who in ("sergeant", "private", "teacher")]
    site.advance(days=1)
    seed = bytes.fromhex(site.tap("front-in", "pupil").drafts[0].public["revealed_seed"])
    for tap in taps:
        again = number(seed, tap.receipt.digest)
        personal = tap.drafts[-1].personal
        assert personal is not None
        assert personal["facts"]["past"]["draw"] == again
        assert _drawn(tap) is (again % 3 == 0)


@pytest.fixture(params=FAR_FROM_GREENWICH)
def _far_from_greenwich(request: pytest.FixtureRequest) -> Iterator[None]:
    """A service that runs where the day is another one."""
    with running_in(request.param):
        yield


@pytest.mark.usefixtures("_far_from_greenwich")
@pytest.mark.parametrize("hour", [0, 12, 23])
def test_a_day_is_one_of_utc_wherever_the_service_runs(hour: int):
    now = datetime(2026, 6, 3, hour, 30, tzinfo=UTC)
    assert DRAWS.announcement(now)["day"] == "2026-06-03"
    assert DRAWS.number(bytes(32), now) == number(DRAWS.seed(date(2026, 6, 3)), bytes(32))


@pytest.mark.usefixtures("_far_from_greenwich")
def test_the_log_binds_a_seed_once_a_day_wherever_the_service_runs():
    site = Searching(1)
    days = []
    for _ in range(8):
        days += [draft.public["day"] for draft in site.tap("front-in", "sergeant").drafts[:-1]]
        site.advance(hours=6)
    assert days == ["2026-06-03", "2026-06-04", "2026-06-05"]


def test_a_site_that_searches_nobody_says_nothing_of_seeds():
    site = SmallSite()
    site.flow.draws = DRAWS
    assert [draft.kind for draft in site.tap("front-in", "sergeant").drafts] == ["access.granted"]


def test_the_secret_does_not_show():
    assert SECRET.hex() not in repr(DRAWS)
    assert str(SECRET) not in repr(DRAWS)
