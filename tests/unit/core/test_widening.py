"""What gives more, one edit at a time: what a site file asks for less."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from gatekeeper.core.widening import policy_gains
from gatekeeper.model.policy import Policy
from tests.support.rules_site import document_with
from tests.support.sites import compiled, ground

Edit = Callable[[dict[str, Any]], Any]

RULES: dict[str, dict[str, Any]] = {
    "yard": {
        "anti_passback": "soft",
        "unexpected_location": "soft",
        "occupancy": {"most": 20},
        "guard_check": {"seconds": 20},
        "search": {"one_in": 10},
        "offline": {"hours": 4},
    },
    "barrack": {
        "anti_passback": "hard",
        "passback_forgotten_hours": 12,
        "certificates": ["arms", "fire"],
        "pin": "duty",
        "two_persons": {"seconds": 10},
        "first_person": {"profiles": ["army/keyholder"], "hours": 1},
        "driver": {"seconds": 20},
        "shadow": ["denied-certificate"],
    },
    "armoury": {"pin": "always", "unexpected_location": "hard"},
}
"""A site with a rule of most kinds."""

TABLES: dict[str, Any] = {
    "alert": [
        {"state": "tense", "assurance": 2},
        {"state": "grave", "pin": True, "escort": True, "excluded": ["club"]},
    ],
    "interlock": [{"id": "lock", "access_points": ["barrack-in", "armoury-in"]}],
    "travel": [{"between": ["front-in", "armoury-in"], "seconds": 60}],
    "event": [
        {
            "id": "fair",
            "name": {"en": "Fair", "nl": "Markt"},
            "zones": ["yard"],
            "from": datetime(2026, 6, 1, tzinfo=UTC),
            "until": datetime(2026, 6, 2, tzinfo=UTC),
            "guests": ["pupil"],
            "highest_alert": "calm",
        }
    ],
    "call_up": [
        {
            "id": "spring",
            "profiles": ["club/member"],
            "from": datetime(2026, 5, 1, tzinfo=UTC),
            "until": datetime(2026, 6, 1, tzinfo=UTC),
        }
    ],
    "rules": {
        "lock_out": {"failures": 3, "minutes": 5, "for_minutes": 10},
        "pin": {"tries": 3, "for_minutes": 30},
        "inactivity_days": 90,
        "escort": {"by": ["army/escort"], "seconds": 60, "most": 4},
    },
}


def document() -> dict[str, Any]:
    made = document_with(deepcopy(RULES), **deepcopy(TABLES))
    for name, since in (("duty", "08:00"), ("long-duty", "06:00")):
        windows = [{**LESSONS[0], "from": since}]
        made["schedule"].append({"id": name, "name": {"en": name, "nl": name}, "windows": windows})
    return made


def gains(*edits: Edit, begin: Edit | None = None) -> tuple[str, ...]:
    """What an edited site gives more; `begin` edits what was there before."""
    before, after = document(), document()
    for one in (before, after):
        if begin is not None:
            begin(one)
    for edit in edits:
        edit(after)
    return policy_gains(_policy(before), _policy(after))


def _policy(written: dict[str, Any]) -> Policy:
    return compiled(written, trust=ground().trust)[1]


def zone(name: str, **keys: Any) -> Edit:
    """Write other keys in a zone."""
    return lambda site: _of(site, "zone", name).update(keys)


def rule(name: str, **rules: Any) -> Edit:
    """Write other rules in a zone; None takes one away."""

    def edit(site: dict[str, Any]) -> None:
        held = _of(site, "zone", name).setdefault("rules", {})
        held.update({key: value for key, value in rules.items() if value is not None})
        for key in [key for key, value in rules.items() if value is None]:
            held.pop(key)

    return edit


def everywhere(**rules: Any) -> Edit:
    return rule_of("rules", **rules)


def rule_of(table: str, **keys: Any) -> Edit:
    def edit(site: dict[str, Any]) -> None:
        site[table] = {key: value for key, value in {**site[table], **keys}.items() if value is not None}

    return edit


def first(table: str, **keys: Any) -> Edit:
    """Write other keys in the first of a table."""
    return lambda site: site[table][0].update(keys)


def without(table: str, name: str | None = None) -> Edit:
    def edit(site: dict[str, Any]) -> None:
        site[table] = [one for one in site[table] if name is not None and one.get("id") != name]

    return edit


def grant(profile: str, **keys: Any) -> Edit:
    return lambda site: _of(site, "profile", profile)["grants"][0].update(keys)


def _of(site: dict[str, Any], table: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in site[table] if one["id"] == name)
    return found


LESSONS = [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "17:00"}]

ANNEX = {
    "id": "annex", "name": {"en": "Annex", "nl": "Aanbouw"}, "parent": "yard", "owner": "army", "level": 5, "assurance": 2,
    "anti_passback": "none",
}  # fmt: skip

MORE: list[tuple[Edit, str]] = [
    (zone("yard", level=0), "yard is of level 0, not 1"),
    (zone("yard", assurance=0), "yard asks for assurance 0, not 1"),
    (zone("shed", parent="barrack"), "shed lies elsewhere"),
    (zone("yard", anti_passback="none"), "front-in: anti-passback is laxer"),
    (zone("barrack", anti_passback="soft"), "barrack-in: anti-passback is laxer"),
    (rule("barrack", passback_forgotten_hours=1), "barrack-in: anti-passback is laxer"),
    (rule("yard", unexpected_location=None), "front-in: yard does not ask for the same unexpected location"),
    (rule("armoury", unexpected_location="soft"), "armoury-in: armoury does not ask for the same unexpected location"),
    (rule("yard", occupancy={"most": 30}), "front-in: yard does not ask for the same occupancy"),
    (rule("yard", guard_check=None), "front-in: yard does not ask for the same guard check"),
    (rule("yard", search={"one_in": 20}), "front-in: yard does not ask for the same search"),
    (rule("yard", offline={"hours": 5}), "front-in: yard does not ask for the same word of the service"),
    (rule("yard", offline={"hours": 4, "unseen": "accept"}), "front-in: yard does not ask for the same word of the service"),
    (rule("barrack", offline={"hours": 1}), "barrack-in: barrack does not ask for the same word of the service"),
    (rule("barrack", two_persons=None), "barrack-in: barrack does not ask for the same two persons"),
    (rule("barrack", first_person=None), "barrack-in: barrack does not ask for the same first person"),
    (rule("barrack", driver=None), "barrack-in: barrack does not ask for the same driver"),
    (rule("barrack", certificates=["arms"]), "barrack-in: barrack does not ask for the same certificates"),
    (rule("barrack", pin=None), "barrack-in: a PIN is asked at fewer times"),
    (rule("armoury", pin="duty"), "armoury-in: a PIN is asked at fewer times"),
    (lambda site: _of(site, "schedule", "duty").update(windows=[{**LESSONS[0], "from": "09:00"}]), "barrack-in: a PIN is asked at fewer times"),
    (rule("yard", shadow=["denied-clearance"]), "front-in: only reported: denied-clearance"),
    (without("veto"), "school is not vetoed in armoury"),
    (without("interlock"), "barrack-in: it is interlocked with fewer doors"),
    (without("travel"), "armoury-in: one may come here sooner"),
    (first("travel", seconds=30), "front-in: one may come here sooner"),
    (first("event", guests=["pupil", "van"]), "front-in: an event leads here"),
    (without("call_up"), "reservists are called up at other times"),
    (first("call_up", until=datetime(2026, 7, 1, tzinfo=UTC)), "reservists are called up at other times"),
    (first("alert", assurance=1), "the alert state tense demands less"),
    (lambda site: site["alert"].pop(), "the alert state grave demands less"),
    (lambda site: site["alert"][1].pop("pin"), "the alert state grave demands less"),
    (lambda site: site["alert"][1].pop("escort"), "the alert state grave demands less"),
    (lambda site: site["alert"][1].pop("excluded"), "the alert state grave demands less"),
    (everywhere(lock_out=None), "the lock-out after failures is another"),
    (everywhere(lock_out={"failures": 9, "minutes": 5, "for_minutes": 10}), "the lock-out after failures is another"),
    (everywhere(pin={"tries": 4, "for_minutes": 30}), "a PIN may be tried more often"),
    (everywhere(pin={"tries": 3, "for_minutes": 29}), "a PIN may be tried more often"),
    (everywhere(inactivity_days=91), "badges may lie unused for longer"),
    (everywhere(inactivity_days=None), "badges may lie unused for longer"),
    (everywhere(escort={"by": ["army/soldier"], "seconds": 60, "most": 4}), "others may escort"),
    (grant("pupil", schedule="always"), "school/pupil leads further at 1 access point"),
    (grant("pupil", highest_alert="grave"), "school/pupil leads further at 1 access point"),
    (grant("pupil", access_point="corridor"), "school/pupil leads further at 1 access point"),
    (lambda site: _of(site, "schedule", "lessons").update(windows=[{**LESSONS[0], "until": "18:00"}]), "school/pupil leads further at 4 access points"),
    (lambda site: _of(site, "schedule", "lessons").update(on_special_days=[{"from": "08:00", "until": "09:00"}]), "school/pupil leads further at 4 access points"),
    (lambda site: [_of(site, "schedule", "lessons").pop(key) for key in ("calendar", "on_special_days")], "school/pupil leads further at 4 access points"),
    (lambda site: site["zone"].insert(0, ANNEX), "annex lies in what was agreed with school"),
    (lambda site: site["site"].update(unlock_seconds=5), "front-in: it stays unlocked for longer"),
    (lambda site: site["site"].update(time_zone="Europe/London"), "the time zone is another"),
    (lambda site: _of(site, "access_point", "corridor").update({"from": "yard"}), "corridor leads elsewhere"),
    (lambda site: _of(site, "access_point", "corridor").update(gate="front"), "corridor leads elsewhere"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), MORE, ids=[said for _, said in MORE])
def test_what_asks_less_or_leads_further_gives_more(edit: Edit, said: str):
    assert said in gains(edit)


LESS: dict[str, Edit] = {
    "a higher level": zone("yard", level=2),
    "a higher assurance": zone("yard", assurance=2),
    "anti-passback where there was none": zone("school-house", anti_passback="hard"),
    "harder anti-passback": zone("yard", anti_passback="hard"),
    "a place that is asked for": rule("barrack", unexpected_location="soft"),
    "a place that is demanded": rule("yard", unexpected_location="hard"),
    "a second person": rule("armoury", two_persons={"seconds": 10}),
    "another certificate": rule("barrack", certificates=["arms", "fire", "first-aid"]),
    "a PIN at all times": rule("barrack", pin="always"),
    "a PIN where there was none": rule("yard", pin="duty"),
    "a PIN at more times": rule("barrack", pin="long-duty"),
    "nothing that is only reported": rule("barrack", shadow=None),
    "another veto": lambda site: site["veto"].append(
        {"tenant": "club", "zone": "barrack", "why": {"en": "No", "nl": "Nee"}}
    ),
    "another interlock": lambda site: site["interlock"].append(
        {"id": "second", "access_points": ["front-in", "front-out"]}
    ),
    "a longer way": first("travel", seconds=90),
    "no event": without("event"),
    "a more demanding alert state": first("alert", assurance=3),
    "a PIN that is tried less often": everywhere(pin={"tries": 2, "for_minutes": 60}),
    "badges that lie unused for less": everywhere(inactivity_days=30),
    "a shorter unlocking": lambda site: site["site"].update(unlock_seconds=3),
    "shorter hours": lambda site: _of(site, "schedule", "lessons").update(
        windows=[{**LESSONS[0], "until": "16:00"}], on_special_days=[]
    ),
    "a grant at a calmer state": grant("pupil", highest_alert="calm"),
    "a grant less": lambda site: _of(site, "profile", "pupil")["grants"].pop(),
    "a profile that is gone": without("profile", "armourer"),
    "another name": lambda site: site["site"].update(name={"en": "Keep", "nl": "Burcht"}),
}


@pytest.mark.parametrize("edit", LESS.values(), ids=LESS)
def test_what_asks_more_or_leads_less_far_gives_nothing_more(edit: Edit):
    assert gains(edit) == ()


@pytest.mark.parametrize("edit", [edit for edit, _ in MORE], ids=[said for _, said in MORE])
def test_giving_and_taking_at_once_gives_more(edit: Edit):
    assert gains(edit, zone("shed", level=3))


def test_what_is_new_hides_nothing_of_what_is_asked_less_of_the_others():
    names = {"en": "Navy", "nl": "Marine"}

    def first_of_all(site: dict[str, Any]) -> None:
        site["tenant"].insert(0, {**site["tenant"][-1], "id": "navy", "name": names})
        site["zone"].insert(0, ANNEX)

    assert gains(first_of_all, without("veto"), zone("yard", level=0)) == (
        "navy is a tenant",
        "school is not vetoed in armoury",
        "annex lies in what was agreed with school",
        "yard is of level 0, not 1",
    )


def test_a_site_with_another_list_of_alert_states_gives_more():
    def one_more(site: dict[str, Any]) -> None:
        site["site"]["alert_states"] = [*site["site"]["alert_states"], "dire"]

    assert "host, outside or alert states are others" in gains(one_more)


def test_the_same_site_in_another_order_gives_nothing_more():
    def turned(site: dict[str, Any]) -> None:
        for table in ("schedule", "profile", "zone", "access_point"):
            site[table].reverse()

    assert gains(turned) == ()


def test_a_new_door_is_a_new_way():
    def door(site: dict[str, Any]) -> None:
        known = _of(site, "access_point", "barrack-in")
        site["access_point"].append({**known, "id": "back-door"})

    assert gains(door) == (
        "back-door is an access point",
        "army/soldier leads further at 1 access point",
        "school/teacher leads further at 1 access point",
        "club/member leads further at 1 access point",
        "army/keyholder leads further at 1 access point",
        "army/escort leads further at 1 access point",
        "army/armourer leads further at 1 access point",
        "school/caretaker leads further at 1 access point",
    )


def test_a_new_tenant_and_a_new_profile_give_more():
    names = {"en": "Navy", "nl": "Marine"}
    agreement = {
        "ceiling": 1,
        "zones": ["yard"],
        "from": datetime(2026, 1, 1, tzinfo=UTC),
        "until": datetime(2027, 1, 1, tzinfo=UTC),
        "badge_days": 30,
    }
    assert gains(
        lambda site: site["tenant"].append({"id": "navy", "name": names, "agreement": agreement})
    ) == ("navy is a tenant",)
    ways = [{"access_point": "corridor", "schedule": "always", "highest_alert": "calm"}]
    added = {"id": "cadet", "tenant": "school", "name": names, "grants": ways}
    assert gains(lambda site: site["profile"].append(added)) == (
        "school/cadet leads further at 1 access point",
    )
