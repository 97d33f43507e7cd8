"""The enrolment desk: what it takes in, whom it lets wait, whom it certifies, and whom not any more."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from devices.certificate import Request
from gatekeeper import cose
from gatekeeper.core.audit import Kind
from gatekeeper.core.certificates import CertificateRefusal, gate_of
from gatekeeper.core.enrolment import EnrolmentRefusal, enrolment_request
from gatekeeper.core.operators import Role
from gatekeeper.core.trust import KeyState
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import ANCHOR, SiteFolder
from gatekeeper.service.identity.authority_files import found_authority, read_authority, revoke_certificates
from gatekeeper.service.identity.desk import Certified, Refused, Waits, request_of
from gatekeeper.service.identity.invitations import INVITATION_LASTS
from tests.support.enrolment import ADMIN, GATE, NEW, OTHER, WEEK, Desk, asking, open_desk
from tests.support.operators import account, recorded_account
from tests.support.sites import NOON, SITE, ground, key_of


@pytest.fixture
async def desk(folder: SiteFolder) -> AsyncIterator[Desk]:
    made = Desk(folder)
    async with open_desk(made):
        yield made


def refused(answer: Any) -> EnrolmentRefusal | CertificateRefusal:
    assert isinstance(answer, Refused), answer
    return answer.code


def of(certified: Certified) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certified.certificate)


# -- asking -------------------------------------------------------------------------------------------------------------


async def test_a_request_waits_until_the_trust_list_in_force_has_its_very_key(desk: Desk):
    desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    request = asking()
    waits = await desk.ask(request)
    assert isinstance(waits, Waits)
    assert await desk.desk.look(GATE, waits.digest) == waits
    desk.owner.believes(GATE, cose.SigningKey.generate())
    assert await desk.desk.look(GATE, waits.digest) == waits, "another key of the same gate"
    desk.owner.believes(GATE, NEW, KeyState.REVOKED)
    assert await desk.desk.look(GATE, waits.digest) == waits
    desk.owner.believes(GATE, NEW)
    found = await desk.desk.look(GATE, waits.digest)
    assert isinstance(found, Certified)
    certificate = of(found)
    assert certificate.public_key() == request.key.public_key()
    assert gate_of(certificate, site=SITE) == GATE
    assert read_authority(desk.folder).has_signed(certificate)
    assert certificate.not_valid_after_utc == NOON + WEEK
    assert found.trust == desk.owner.flow.trust.document
    assert await desk.desk.look(GATE, waits.digest) == found, "asked for twice, it is made once"


async def test_what_the_desk_does_stands_in_the_log(desk: Desk):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    asked, certified = desk.owner.drafts
    assert (asked.kind, asked.public["gate"], asked.public["invited_by"]) == (Kind.GATE_ASKED, GATE, ADMIN)
    assert (certified.kind, certified.public["renewal"]) == (Kind.GATE_CERTIFIED, False)
    assert int(certified.public["serial"], 16) == certificate.serial_number
    assert certified.public["tls"] == asked.public["tls"]


async def test_a_gate_that_is_believed_already_needs_a_code_for_its_first_certificate_too(desk: Desk):
    request = asking(key=key_of("front"))
    assert refused(await desk.ask(request, "0000-0000-0000-0000")) is EnrolmentRefusal.CODE
    assert isinstance(await desk.certified(request), Certified)


async def test_without_a_good_code_nothing_is_kept_and_nothing_is_told(desk: Desk):
    elsewhere, unknown = asking(site=SiteId("elsewhere")), asking(GateId("nowhere"))
    for request in (asking(), elsewhere, unknown):
        assert refused(await desk.ask(request, "0000-0000-0000-0000")) is EnrolmentRefusal.CODE
    code = desk.code()
    desk.clock.advance(INVITATION_LASTS)
    assert refused(await desk.ask(asking(), code)) is EnrolmentRefusal.CODE
    assert request_of(desk.folder, GATE) is None
    assert desk.owner.drafts == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asking(site=SiteId("elsewhere")), EnrolmentRefusal.OTHER_SITE),
        (asking(GateId("nowhere")), EnrolmentRefusal.GATE_UNKNOWN),
        (asking(), EnrolmentRefusal.KEY_KNOWN),
    ],
)
async def test_a_good_code_is_not_enough(desk: Desk, request_: Request, code: EnrolmentRefusal):
    assert refused(await desk.ask(request_)) is code
    assert request_of(desk.folder, request_.gate) is None


async def test_both_keys_must_be_in_the_hands_of_who_asks(desk: Desk):
    one, other = asking(), asking()
    mixed = replace(one, csr=other.csr)
    assert refused(await desk.ask(mixed)) is EnrolmentRefusal.TLS_KEY
    of_another_gate = replace(one, csr=asking(OTHER).csr)
    assert refused(await desk.ask(of_another_gate)) is CertificateRefusal.NAME
    without = replace(one, document=enrolment_request(site=SITE, gate=GATE, key=NEW))
    assert refused(await desk.ask(without)) is EnrolmentRefusal.TLS_KEY
    assert refused(await desk.ask(replace(one, document=b""))) is EnrolmentRefusal.STRUCTURE
    assert refused(await desk.ask(replace(one, document=bytes(5000)))) is EnrolmentRefusal.MALFORMED
    assert refused(await desk.ask(replace(one, csr=b""))) is CertificateRefusal.MALFORMED


async def test_another_request_takes_the_place_of_the_one_before(desk: Desk):
    desk.owner.believes(GATE, NEW, KeyState.REVOKED)
    first = await desk.ask(asking())
    second = await desk.ask(asking())
    assert isinstance(first, Waits)
    assert isinstance(second, Waits)
    assert refused(await desk.desk.look(GATE, first.digest)) is EnrolmentRefusal.NOT_WAITING
    assert refused(await desk.desk.look(OTHER, second.digest)) is EnrolmentRefusal.NOT_WAITING
    assert await desk.desk.look(GATE, second.digest) == second


async def test_a_code_that_was_refused_for_another_reason_is_good_when_that_is_out_of_the_way(desk: Desk):
    code = desk.code()
    assert refused(await desk.ask(asking(), code)) is EnrolmentRefusal.KEY_KNOWN
    desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    assert isinstance(await desk.ask(asking(), code), Waits)
    assert refused(await desk.ask(asking(), code)) is EnrolmentRefusal.CODE, "and once only"


@pytest.mark.parametrize("operator", ["officer", "guard", "school", "club", "nobody"])
async def test_a_code_of_an_operator_who_may_admit_no_gate_is_none(desk: Desk, operator: str):
    request = asking(key=key_of("front"))
    assert refused(await desk.ask(request, desk.code_of(operator))) is EnrolmentRefusal.CODE
    assert request_of(desk.folder, GATE) is None
    assert isinstance(await desk.ask(request, desk.code_of("admin")), Waits)


@pytest.mark.parametrize("key", ["officer", "school", "nobody"])
async def test_a_code_in_the_name_of_one_who_may_is_none_without_that_one_s_key(desk: Desk, key: str):
    code = desk.code_of("admin", key=key)
    assert refused(await desk.ask(asking(key=key_of("front")), code)) is EnrolmentRefusal.CODE


async def test_a_code_of_an_operator_who_was_revoked_meanwhile_is_none(desk: Desk):
    code, request = desk.code(), asking(key=key_of("front"))
    gone = account("admin", "army", (Role.SITE_ADMIN,), version=2, revoked=True)
    desk.owner.flow.operators.put(recorded_account(gone, site=SITE, key=key_of("army")))
    assert refused(await desk.ask(request, code)) is EnrolmentRefusal.CODE


async def test_an_invitation_is_for_the_gate_that_it_names_wherever_it_lies(desk: Desk):
    code = desk.code(OTHER)
    moved = desk.folder.read_secret(f"invitations/{OTHER}.cose")
    desk.folder.write_private(f"invitations/{GATE}.cose", moved)
    assert refused(await desk.ask(asking(key=key_of("front")), code)) is EnrolmentRefusal.CODE
    assert isinstance(await desk.ask(asking(OTHER, key=key_of("inner")), code), Waits)


# -- renewing -----------------------------------------------------------------------------------------------------------


async def test_a_certificate_that_counts_leads_to_the_next_with_another_key(desk: Desk):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    desk.clock.advance(timedelta(days=5))
    request = asking(key=key_of("front"))
    found = await desk.renew(certificate, request)
    assert isinstance(found, Certified)
    assert of(found).public_key() == request.key.public_key() != certificate.public_key()
    assert of(found).not_valid_after_utc == desk.clock.now() + WEEK
    assert desk.owner.drafts[-1].public["renewal"] is True


async def test_whoever_copied_a_tls_key_with_its_request_does_not_renew_it(desk: Desk):
    first, second = asking(key=key_of("front")), asking(key=key_of("front"))
    certificate = of(await desk.certified(first))
    assert refused(await desk.renew(certificate, first)) is EnrolmentRefusal.KEY_USED
    following = await desk.renew(certificate, second)
    assert isinstance(following, Certified)
    assert refused(await desk.renew(of(following), first)) is EnrolmentRefusal.KEY_USED, "an older one"
    for until_renewed in (timedelta(days=5), timedelta(days=4)):
        desk.clock.advance(until_renewed)  # the first ends, and its record with it
        following = await desk.renew(of(following), asking(key=key_of("front")))
        assert isinstance(following, Certified)
    assert refused(await desk.renew(of(following), first)) is EnrolmentRefusal.KEY_USED, (
        "and one that has ended"
    )


async def test_a_key_that_was_certified_before_keys_were_written_down_is_not_renewed_with_either(desk: Desk):
    request = asking(key=key_of("front"))
    certificate = of(await desk.certified(request))
    for kept in (desk.folder.root / "ca/keys").iterdir():
        kept.unlink()
    assert refused(await desk.renew(certificate, request)) is EnrolmentRefusal.KEY_USED


async def test_what_a_gate_asked_with_is_for_the_site_s_own_eyes(desk: Desk):
    await desk.certified(asking(key=key_of("front")))
    kept = [desk.folder.root / "enrolments" / GATE / name for name in ("request.cose", "request.csr")]
    assert [file.stat().st_mode & 0o077 for file in kept] == [0, 0]


async def test_who_has_stolen_only_the_certificate_does_not_renew_it(desk: Desk):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    assert refused(await desk.renew(certificate, asking(key=NEW))) is EnrolmentRefusal.IDENTITY


async def test_a_certificate_renews_no_other_gate_s(desk: Desk):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    other = asking(OTHER, key=key_of("inner"))
    assert refused(await desk.renew(certificate, other)) is EnrolmentRefusal.IDENTITY
    assert refused(await desk.renew(None, other)) is EnrolmentRefusal.IDENTITY
    assert isinstance(
        await desk.renew(of(await desk.certified(other)), asking(OTHER, key=key_of("inner"))), Certified
    )


async def test_a_revoked_gate_renews_nothing_and_is_given_nothing(desk: Desk):
    request = asking(key=key_of("front"))
    waits = await desk.ask(request)
    assert isinstance(waits, Waits)
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    assert refused(await desk.renew(certificate, request)) is EnrolmentRefusal.IDENTITY
    desk.owner.believes(GATE, key_of("front"))
    assert isinstance(await desk.renew(certificate, request), Certified), "and believed again it does"


async def test_a_certificate_that_was_taken_back_renews_nothing(desk: Desk):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    assert revoke_certificates(desk.folder, GATE, now=NOON) == 1
    assert refused(await desk.renew(certificate, asking(key=key_of("front")))) is EnrolmentRefusal.IDENTITY


async def test_a_certificate_that_is_not_of_this_desk_s_making_renews_nothing(desk: Desk):
    request = asking(key=key_of("front"))
    made = read_authority(desk.folder).for_gate(GATE, request.key.public_key(), serial=9, now=NOON, life=WEEK)
    assert refused(await desk.renew(made, request)) is EnrolmentRefusal.IDENTITY


# -- the desk itself ----------------------------------------------------------------------------------------------------


async def test_without_an_engine_one_asks_again_and_the_code_is_still_good(folder: SiteFolder):
    made, request = Desk(folder), asking(key=key_of("front"))
    code = made.code()
    assert refused(await made.ask(request, code)) is EnrolmentRefusal.LATER
    async with open_desk(made):
        assert isinstance(await made.ask(request, code), Waits)
    assert refused(await made.desk.look(GATE, "")) is EnrolmentRefusal.LATER


async def test_while_the_folder_is_held_for_a_change_nothing_is_issued(desk: Desk):
    request = asking(key=key_of("front"))
    waits = await desk.ask(request)
    assert isinstance(waits, Waits)
    with desk.folder.alone():
        assert refused(await desk.desk.look(GATE, waits.digest)) is EnrolmentRefusal.LATER
    assert isinstance(await desk.desk.look(GATE, waits.digest), Certified)


async def test_a_stranger_does_not_end_the_code_that_an_installer_holds(desk: Desk):
    desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    code = desk.code()
    for _ in range(19):
        assert refused(await desk.ask(asking(), "0000-0000-0000-0000")) is EnrolmentRefusal.CODE
    assert isinstance(await desk.ask(asking(), code), Waits)


async def test_a_stranger_keeps_no_gate_from_renewing(desk: Desk, tmp_path: Path):
    certificate = of(await desk.certified(asking(key=key_of("front"))))
    for _ in range(40):
        await desk.desk.ask(document=b"x", csr=b"x", code="x")
        await desk.renew(None, asking())
    assert refused(await desk.renew(None, asking())) is EnrolmentRefusal.LATER
    stranger = SiteFolder(tmp_path / "stranger")
    stranger.write(ANCHOR, ground().anchor.to_json().encode())
    theirs = found_authority(stranger, site=SITE, prefix="gk", now=NOON)
    made = theirs.for_gate(GATE, asking().key.public_key(), serial=3, now=NOON, life=WEEK)
    assert refused(await desk.renew(made, asking())) is EnrolmentRefusal.LATER
    assert isinstance(await desk.renew(certificate, asking(key=key_of("front"))), Certified)


async def test_a_gate_keeps_no_other_gate_from_renewing(desk: Desk):
    own = of(await desk.certified(asking(key=key_of("front"))))
    other = of(await desk.certified(asking(OTHER, key=key_of("inner"))))
    answers = [refused(await desk.renew(own, asking())) for _ in range(30)]
    assert answers == [EnrolmentRefusal.IDENTITY] * 20 + [EnrolmentRefusal.LATER] * 10
    assert isinstance(await desk.renew(other, asking(OTHER, key=key_of("inner"))), Certified)


async def test_nobody_tries_many_codes(desk: Desk):
    answers = [refused(await desk.ask(asking(), "0000-0000-0000-0000")) for _ in range(30)]
    assert answers == [EnrolmentRefusal.CODE] * 20 + [EnrolmentRefusal.LATER] * 10
    desk.seconds += 2
    answers = [refused(await desk.ask(asking(), "0000-0000-0000-0000")) for _ in range(3)]
    assert answers == [EnrolmentRefusal.CODE] * 2 + [EnrolmentRefusal.LATER]
