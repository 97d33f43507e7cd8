"""A one-time code lets one gate hand in its request, once, within ten minutes."""

import re
from datetime import timedelta
from functools import partial

from gatekeeper.core.invitation import read_invitation
from gatekeeper.model.ids import GateId, OperatorId
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.identity.invitations import INVITATION_LASTS, find_invitation, invite, use_up
from tests.support.operators import operator_key
from tests.support.sites import NOON, SmallSite

GATE, OTHER, ADMIN = GateId("front"), GateId("inner"), OperatorId("admin")
WRONG = "0000-0000-0000-0000"
KEY = operator_key(ADMIN)
FLOW = SmallSite().flow
believe = partial(read_invitation, trust=FLOW.trust, operators=FLOW.operators, now=NOON)


found = partial(find_invitation, believe=believe)


def test_a_code_is_good_until_it_is_used_up_and_says_who_invited(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code)
    for _ in range(2):
        assert found(folder, GATE, code, now=NOON) == ADMIN
    use_up(folder, GATE)
    assert found(folder, GATE, code, now=NOON) is None
    use_up(folder, GATE)


def test_a_code_is_read_as_people_type_it(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert found(folder, GATE, typed, now=NOON) == ADMIN


def test_a_code_is_bound_to_the_name_of_one_gate(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    invite(folder, OTHER, by=ADMIN, key=KEY, now=NOON)
    assert found(folder, OTHER, code, now=NOON) is None
    assert found(folder, GATE, code, now=NOON) == ADMIN


def test_a_code_lasts_ten_minutes(folder: SiteFolder):
    assert timedelta(minutes=10) == INVITATION_LASTS
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    assert found(folder, GATE, code, now=NOON + INVITATION_LASTS) is None
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    last = NOON + INVITATION_LASTS - timedelta(microseconds=1)
    assert found(folder, GATE, code, now=last) == ADMIN


def test_a_stranger_s_wrong_codes_do_not_end_the_right_one(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    for _ in range(50):
        assert found(folder, GATE, WRONG, now=NOON) is None
    assert found(folder, GATE, code, now=NOON) == ADMIN


def test_another_invitation_takes_the_place_of_the_former(folder: SiteFolder):
    former = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    assert former != code
    assert found(folder, GATE, former, now=NOON) is None
    assert found(folder, GATE, code, now=NOON) == ADMIN


def test_nobody_is_invited_by_default(folder: SiteFolder):
    assert found(folder, GATE, "", now=NOON) is None
    assert found(folder, GATE, WRONG, now=NOON) is None


def test_the_code_itself_is_kept_nowhere_and_only_the_owner_reads_the_rest(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    for file in folder.root.rglob("*"):
        if file.is_file():
            assert code not in file.read_text(errors="replace")
            assert code.replace("-", "") not in file.read_text(errors="replace")
    (kept,) = folder.root.glob("invitations/*")
    assert kept.stat().st_mode & 0o077 == 0


def test_an_invitation_that_was_spoiled_is_none(folder: SiteFolder):
    code = invite(folder, GATE, by=ADMIN, key=KEY, now=NOON)
    folder.write_private(f"invitations/{GATE}.cose", b"\xd2\x84")
    assert found(folder, GATE, code, now=NOON) is None
