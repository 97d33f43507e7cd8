"""What is kept how long, told at the command line; and legal holds, placed by one person and lifted by two."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("retention"), postgres_server, broker) as registry:
        yield registry


def kept(registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """What is said of the host's own periods, by kind."""
    said = registry("retention", "show", "--json")
    assert said.code == 0, said
    return {row["what"]: row for row in said.document["kept"] if row["tenant"] is None}


def test_what_is_kept_how_long_is_shown_with_when_the_oldest_goes(registry: Registry):
    rows = kept(registry)
    assert {what: row["days"] for what, row in rows.items()} == {
        "entries": 2557,
        "personal": 180,
        "people": 180,
        "visitors": 180,
        "refused": 30,
        "receipts": 30,
    }
    oldest = datetime.fromisoformat(rows["personal"]["oldest"])
    assert datetime.fromisoformat(rows["personal"]["goes"]) == oldest + timedelta(days=180)
    assert datetime.fromisoformat(rows["entries"]["goes"]) > datetime.fromisoformat(rows["personal"]["goes"])
    assert rows["people"]["oldest"] is None, "nobody's registration has ended"
    said = registry("retention", "show")
    assert said.code == 0
    assert "personal parts" in said.out
    assert said.err == ""


def test_one_person_places_a_hold_and_two_lift_it(registry: Registry):
    before = registry.log_size()
    said = registry("hold", "place", "tenant:school", "--reason", "case 7")
    assert (said.code, said.err) == (0, f"Done: tenant:school is held; entry {before} of the log.\n")
    (hold,) = registry("hold", "list", "--json").document["holds"]
    assert (hold["scope"], hold["reason"], hold["entry"]) == ("tenant:school", "case 7", before)
    assert kept(registry)["entries"]["held"], "a body is a leaf of the school's tree too"
    assert not kept(registry)["personal"]["held"]
    shown = registry("retention", "show")
    assert shown.err == f"Held: tenant:school, by entry {before}.\n"

    proposed = registry("hold", "lift", "tenant:school", "--reason", "case 7 is closed")
    assert proposed.code == 0
    assert proposed.err.startswith("Proposed; ")
    assert registry("hold", "list", "--json").document["holds"] != [], "one person alone lifts none"
    agreed = registry("proposal", "approve")
    assert agreed.code == 0, agreed
    assert registry("hold", "list", "--json").document["holds"] == []
    assert not kept(registry)["entries"]["held"]


def test_a_hold_on_nothing_is_misused_and_one_that_is_not_placed_cannot_be_lifted(registry: Registry):
    said = registry("hold", "place", "zone:yard", "--reason", "case 8")
    assert (said.code, said.err) == (
        2,
        "zone:yard is no scope: write site, tenant:<tenant> or holder:<holder>.\n",
    )
    said = registry("hold", "lift", "site", "--reason", "case 9")
    assert said.code == 1
    assert said.err == "Refused: hold-unknown. Nothing is held under this scope.\n"
    said = registry("hold", "list")
    assert said.code == 0
