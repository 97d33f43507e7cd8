"""The trust list: what makes it believed, what each missing signature costs, and what a believed one says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.trust import (
    AGREEMENT_TYPE,
    TRUST_TYPE,
    Anchor,
    KeyState,
    TenantTrust,
    Trust,
    TrustedKey,
    TrustListing,
    TrustRefusal,
    TrustRefused,
    Use,
    agreement_payload,
    read_trust,
    trust_payload,
)
from gatekeeper.cose import cbor
from gatekeeper.model.fields import UINT
from gatekeeper.model.ids import GateId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import Agreement
from tests.support.sites import (
    HOST,
    SITE,
    cosigned_agreement,
    ground,
    key_of,
    listed,
    signed_trust,
    trusted,
)

CLUB, SCHOOL = TenantId("club"), TenantId("school")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def read(document: bytes, *, anchor: Anchor | None = None, not_below: int = 0) -> Trust | TrustRefused:
    return read_trust(document, anchor=anchor or ground().anchor, not_below=not_below)


def believed(**changes: Any) -> Trust:
    trust = read(signed_trust(listed(**changes)))
    assert isinstance(trust, Trust), trust
    return trust


def code(document: bytes, **context: Any) -> TrustRefusal:
    refused = read(document, **context)
    assert isinstance(refused, TrustRefused)
    assert refused.code.sentence.endswith(".")
    return refused.code


def tenant(name: TenantId, **changes: Any) -> dict[TenantId, TenantTrust]:
    return {**listed().tenants, name: replace(listed().tenants[name], **changes)}


def gate(name: str, key: TrustedKey) -> dict[GateId, TrustedKey]:
    return {**listed().gates, GateId(name): key}


# -- who must sign ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "roots",
    [("root 1", "root 2"), ("root 1", "root 3"), ("root 2", "root 3"), ("root 1", "root 2", "root 3")],
)
def test_two_of_three_roots_in_any_company_make_a_trust_list(roots: tuple[str, ...]):
    assert isinstance(read(signed_trust(listed(), by=roots)), Trust)


@pytest.mark.parametrize("root", ["root 1", "root 2", "root 3"])
def test_one_root_alone_makes_none(root: str):
    assert read(signed_trust(listed(), by=[root])) == TrustRefused(
        code=TrustRefusal.THRESHOLD, detail="1 of 2"
    )


@pytest.mark.parametrize("other", ["stranger", "army signing", "root 4"])
def test_a_signature_beside_the_roots_spoils_it(other: str):
    assert code(signed_trust(listed(), by=["root 1", "root 2", other])) is TrustRefusal.SIGNATURE


def test_what_a_list_says_of_threshold_and_roots_counts_for_nothing_against_the_anchor():
    easier = listed(threshold=1, roots=(key_of("stranger").public_der,))
    assert code(signed_trust(easier, by=["root 1"])) is TrustRefusal.THRESHOLD
    assert code(signed_trust(easier, by=["stranger"])) is TrustRefusal.SIGNATURE


def test_the_anchor_says_how_many():
    strict, lenient = (replace(ground().anchor, threshold=threshold) for threshold in (3, 1))
    assert code(signed_trust(listed()), anchor=strict) is TrustRefusal.THRESHOLD
    assert isinstance(read(signed_trust(listed(), by=["root 3"]), anchor=lenient), Trust)


def test_every_altered_byte_is_found():
    document = signed_trust(listed())
    for at in range(0, len(document), 23):
        altered = document[:at] + bytes([document[at] ^ 1]) + document[at + 1 :]
        assert isinstance(read(altered), TrustRefused), f"byte {at}"


@pytest.mark.parametrize("document", [b"", b"\xff", b"\x82\x40\x80", b"{}"])
def test_bytes_that_are_no_document_are_refused(document: bytes):
    assert code(document) is TrustRefusal.SIGNATURE


def test_a_list_of_another_site_is_refused_by_its_signature_and_by_its_name():
    elsewhere = replace(ground().anchor, site=SiteId("castle"))
    assert code(signed_trust(listed()), anchor=elsewhere) is TrustRefusal.SIGNATURE
    assert read(signed_trust(listed(site=SiteId("castle")))) == TrustRefused(
        code=TrustRefusal.OTHER_SITE, detail="castle"
    )


def test_an_agreement_or_a_policy_is_no_trust_list():
    payload = trust_payload(listed())
    keys = [key_of("root 1"), key_of("root 2")]
    document = cose.cosign(payload, keys=keys, typ=AGREEMENT_TYPE, external_aad=SITE.encode())
    assert code(document) is TrustRefusal.SIGNATURE


@pytest.mark.parametrize(
    ("version", "held", "good"), [(4, 4, True), (5, 4, True), (3, 4, False), (0, 1, False)]
)
def test_a_list_is_never_older_than_the_one_that_is_held(version: int, held: int, good: bool):  # noqa: FBT001
    found = read(signed_trust(listed(version=version)), not_below=held)
    if good:
        assert isinstance(found, Trust)
    else:
        assert found == TrustRefused(code=TrustRefusal.ROLLBACK, detail=f"{version} < {held}")


# -- what a believed list says ----------------------------------------------------------------------------------------


def test_a_believed_list_is_read_as_it_was_written():
    trust = believed(version=12)
    assert trust.listing == listed(version=12)
    assert (trust.site, trust.host, trust.version) == (SITE, HOST, 12)
    assert trust.document == signed_trust(listed(version=12))
    assert {record.owner for record in trust.gates.values()} == set(listed().gates)
    assert {record.owner for record in trust.issuers.values()} == set(listed().tenants)
    assert [record.kid for record in trust.log_keys] == [key_of("log").kid]
    assert list(trust.decisions) == [key_of("decision").kid]
    assert trust.agreements.keys() == {SCHOOL, CLUB}


def test_every_key_has_the_use_and_the_owner_of_its_place():
    trust = believed()
    assert all(record.use == Use.GATE for record in trust.gates.values())
    assert all(record.use == Use.TENANT for record in trust.tenants.values())
    assert all(record.use == Use.ISSUER for record in trust.issuers.values())
    assert all(record.use == Use.DECISION for record in trust.decisions.values())


def test_an_epoch_is_the_tenants_and_zero_for_nobodys():
    trust = believed(tenants=tenant(SCHOOL, epoch=9))
    assert (trust.epoch(SCHOOL), trust.epoch(CLUB), trust.epoch(TenantId("navy"))) == (9, 1, 0)


@pytest.mark.parametrize("state", KeyState)
def test_a_gates_key_counts_while_it_is_active(state: KeyState):
    trust = believed(gates=gate("front", trusted("front", use=Use.GATE, owner="front", state=state)))
    assert (key_of("front").kid in trust.gates) is (state is KeyState.ACTIVE)
    assert GateId("front") in trust.listing.gates


@pytest.mark.parametrize("state", KeyState)
def test_a_tenants_signing_key_counts_until_it_is_revoked(state: KeyState):
    signing = trusted("school signing", use=Use.TENANT, owner="school", state=state)
    trust = believed(tenants=tenant(SCHOOL, signing=signing, agreement=None))
    assert (key_of("school signing").kid in trust.tenants) is (state is not KeyState.REVOKED)


@pytest.mark.parametrize("state", KeyState)
def test_a_services_key_counts_until_it_is_revoked(state: KeyState):
    services = tuple(
        (use, trusted(use.value, use=use, owner="service", state=state)) for use in (Use.DECISION, Use.LOG)
    )
    trust = believed(services=services)
    counts = state is not KeyState.REVOKED
    assert (bool(trust.decisions), bool(trust.log_keys)) == (counts, counts)


@pytest.mark.parametrize("state", [KeyState.VERIFY_ONLY, KeyState.REVOKED])
def test_pins_are_sealed_for_the_last_key_that_is_active(state: KeyState):
    def sealing(*keys: tuple[str, KeyState]) -> tuple[tuple[Use, TrustedKey], ...]:
        seals = [
            (Use.SEAL, trusted(name, use=Use.SEAL, owner="service", state=found)) for name, found in keys
        ]
        return (*listed().services, *seals)

    both = sealing(("seal 1", KeyState.ACTIVE), ("seal 2", KeyState.ACTIVE))
    assert believed(services=both).seal_key == trusted("seal 2", use=Use.SEAL, owner="service").record
    last_retired = sealing(("seal 1", KeyState.ACTIVE), ("seal 2", state))
    assert believed(services=last_retired).seal_key == both[-2][1].record
    assert believed(services=sealing(("seal 1", state))).seal_key is None


def test_a_key_that_nobody_can_seal_for_spoils_the_list():
    edwards = cose.SigningKey.generate(cose.Algorithm.ED25519)
    record = edwards.record(use=Use.SEAL, owner="service")
    key = TrustedKey(record=record, state=KeyState.ACTIVE, revoked_from=None)
    refused = read(signed_trust(listed(services=(*listed().services, (Use.SEAL, key)))))
    assert refused == TrustRefused(code=TrustRefusal.KEY, detail="seal: key-form")


def test_a_revoked_issuer_is_listed_with_the_instant_from_which_or_from_always():
    since = NEW_YEAR + timedelta(days=30)
    issuers = (
        trusted("school issuer", use=Use.ISSUER, owner="school", state=KeyState.REVOKED, since=since),
        trusted("school's second", use=Use.ISSUER, owner="school", state=KeyState.REVOKED),
        trusted("school's third", use=Use.ISSUER, owner="school", state=KeyState.VERIFY_ONLY),
    )
    trust = believed(tenants=tenant(SCHOOL, issuers=issuers))
    assert trust.revoked_issuers == {
        key_of("school issuer").kid: since,
        key_of("school's second").kid: datetime.fromtimestamp(0, UTC),
    }


@pytest.mark.parametrize(
    ("state", "since", "at", "counts"),
    [
        (KeyState.ACTIVE, None, NEW_YEAR, True),
        (KeyState.VERIFY_ONLY, None, NEW_YEAR, True),
        (KeyState.REVOKED, None, NEW_YEAR, False),
        (KeyState.REVOKED, NEW_YEAR, NEW_YEAR, False),
        (KeyState.REVOKED, NEW_YEAR, NEW_YEAR - timedelta(seconds=1), True),
    ],
)
def test_a_revoked_key_counts_for_what_it_signed_before(
    state: KeyState,
    since: datetime | None,
    at: datetime,
    counts: bool,  # noqa: FBT001
):
    key = trusted("school issuer", use=Use.ISSUER, owner="school", state=state, since=since)
    assert key.counted_at(at) is counts


# -- keys -------------------------------------------------------------------------------------------------------------


TWICE: dict[str, Callable[[], TrustListing]] = {
    "one key for two gates": lambda: listed(gates=gate("inner", listed().gates[GateId("front")])),
    "one key for gate and service": lambda: listed(
        gates=gate("front", trusted("decision", use=Use.GATE, owner="front"))
    ),
    "one key for signing and issuing": lambda: listed(
        tenants=tenant(SCHOOL, issuers=(trusted("school signing", use=Use.ISSUER, owner="school"),))
    ),
    "one issuer for two tenants": lambda: listed(
        tenants=tenant(SCHOOL, issuers=(trusted("club issuer", use=Use.ISSUER, owner="school"),))
    ),
    "one key to decide and to log": lambda: listed(
        services=tuple((use, trusted("service", use=use, owner="service")) for use in (Use.DECISION, Use.LOG))
    ),
}


@pytest.mark.parametrize("what", TWICE)
def test_a_key_has_one_owner_and_one_use(what: str):
    assert code(signed_trust(TWICE[what]())) is TrustRefusal.KEY


def test_a_key_that_may_not_be_used_spoils_the_list():
    fields = cbor.decode(trust_payload(listed()), bounds=WIDE)
    front = fields[7]["front"]
    x_off_the_curve = front[1][:-1] + bytes([front[1][-1] ^ 1])
    for spki in (x_off_the_curve, front[1][:-1], b"", front[1] + b"\0"):
        fields[7]["front"] = [front[0], spki, *front[2:]]
        assert code(signed_fields(fields)) is TrustRefusal.KEY


# -- content ----------------------------------------------------------------------------------------------------------

WIDE = cbor.Bounds(max_bytes=1_000_000, max_depth=8, max_items=10_000)


def signed_fields(fields: object) -> bytes:
    payload = fields if isinstance(fields, bytes) else cbor.encode(fields)
    keys = [key_of("root 1"), key_of("root 2")]
    return cose.cosign(payload, keys=keys, typ=TRUST_TYPE, external_aad=SITE.encode())


def altered(change: Callable[[dict[int, Any]], object]) -> bytes:
    fields = cbor.decode(trust_payload(listed()), bounds=WIDE)
    change(fields)
    return signed_fields(fields)


def test_the_fields_of_the_contract_are_read():
    assert isinstance(read(altered(lambda _fields: None)), Trust)


def test_a_long_list_and_great_numbers_are_read():
    gates = {
        GateId(f"gate-{number}"): trusted(f"gate {number}", use=Use.GATE, owner=f"gate-{number}")
        for number in range(200)
    }
    school = replace(listed().tenants[SCHOOL], epoch=UINT)
    written = listed(version=UINT, gates=gates, tenants={**listed().tenants, SCHOOL: school})
    found = read(signed_trust(written))
    assert isinstance(found, Trust)
    assert (found.version, found.epoch(SCHOOL), len(found.listing.gates)) == (UINT, UINT, 200)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x80", b"\xa0", b"\x01"])
def test_signed_bytes_that_are_no_list_are_malformed(payload: bytes):
    assert code(signed_fields(payload)) is TrustRefusal.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        *(lambda fields, left=left: fields.pop(left) for left in range(9)),
        lambda fields: fields.update({9: 0}),
        lambda fields: fields.update({0: 2}),
        lambda fields: fields.update({0: True}),
        lambda fields: fields.update({1: "No Name"}),
        lambda fields: fields.update({2: "1"}),
        lambda fields: fields.update({2: True}),
        lambda fields: fields.update({2: -1}),
        lambda fields: fields.update({3: 1 << 62}),
        lambda fields: fields.update({3: None}),
        lambda fields: fields.update({4: "2"}),
        lambda fields: fields.update({5: [1]}),
        lambda fields: fields.update({5: [b"short"]}),
        lambda fields: fields.update({6: []}),
        lambda fields: fields.update({6: ["army"]}),
        lambda fields: fields[6].update({"Not A Name": fields[6]["army"]}),
        lambda fields: fields[6].update({"army": fields[6]["army"][:3]}),
        lambda fields: fields[6]["army"].__setitem__(3, -1),
        lambda fields: fields[6].update({"army": [*fields[6]["army"][:3], True]}),
        lambda fields: fields[6]["school"].__setitem__(2, "text"),
        lambda fields: fields[6]["school"].__setitem__(1, None),
        lambda fields: fields[6]["school"][0].__setitem__(0, -65535),
        lambda fields: fields[6]["school"][0].__setitem__(2, 3),
        lambda fields: fields[6]["school"][0].__setitem__(3, 1 << 62),
        lambda fields: fields[7].update({"front": []}),
        lambda fields: fields[7].update({"front": "key"}),
        lambda fields: fields[7].update({7: fields[7]["front"]}),
        lambda fields: fields[8].append(["unheard-of", fields[8][0][1]]),
        lambda fields: fields[8].append([1]),
    ],
)
def test_a_list_with_one_wrong_field_is_malformed(change: Callable[[dict[int, Any]], object]):
    assert code(altered(change)) is TrustRefusal.MALFORMED


# -- agreements -------------------------------------------------------------------------------------------------------

WORD = Agreement(
    tenant=SCHOOL,
    ceiling=2,
    zones=frozenset({ZoneId("yard"), ZoneId("shed")}),
    since=NEW_YEAR,
    until=NEW_YEAR + timedelta(days=365),
    badge_life=timedelta(days=90),
)
BOTH = ("army signing", "school signing")


def agreed(document: bytes | None) -> Trust | TrustRefused:
    return read(signed_trust(listed(tenants=tenant(SCHOOL, agreement=document))))


def test_an_agreement_is_read_as_host_and_tenant_signed_it():
    trust = agreed(cosigned_agreement(WORD, by=BOTH))
    assert isinstance(trust, Trust)
    assert trust.agreements[SCHOOL] == WORD


def test_a_tenant_may_be_listed_without_an_agreement_and_has_none():
    trust = agreed(None)
    assert isinstance(trust, Trust)
    assert trust.agreements.keys() == {CLUB}


def test_the_host_has_no_agreement_whatever_is_listed():
    word = replace(WORD, tenant=HOST)
    trust = believed(tenants=tenant(HOST, agreement=cosigned_agreement(word, by=["army signing"])))
    assert HOST not in trust.agreements


REFUSED_AGREEMENTS: dict[str, bytes] = {
    "the host alone": cosigned_agreement(WORD, by=["army signing"]),
    "the tenant alone": cosigned_agreement(WORD, by=["school signing"]),
    "the tenant and another tenant": cosigned_agreement(WORD, by=["school signing", "club signing"]),
    "a third beside the two": cosigned_agreement(WORD, by=[*BOTH, "club signing"]),
    "the issuer for the tenant": cosigned_agreement(WORD, by=["army signing", "school issuer"]),
    "roots": cosigned_agreement(WORD, by=["root 1", "root 2"]),
    "another tenant's": cosigned_agreement(replace(WORD, tenant=CLUB), by=["army signing", "club signing"]),
    "about another tenant": cosigned_agreement(replace(WORD, tenant=CLUB), by=BOTH),
    "for another site": cosigned_agreement(WORD, by=BOTH, site=SiteId("castle")),
    "above the highest level": cosigned_agreement(replace(WORD, ceiling=6), by=BOTH),
    "nonsense": b"nonsense",
    "nothing": b"",
}


@pytest.mark.parametrize("what", REFUSED_AGREEMENTS)
def test_an_agreement_that_is_not_the_word_of_both_spoils_the_list(what: str):
    assert agreed(REFUSED_AGREEMENTS[what]) == TrustRefused(code=TrustRefusal.AGREEMENT, detail=SCHOOL)


@pytest.mark.parametrize(
    "spoilt",
    [
        {0: 2},
        {0: True},
        {1: "castle"},
        {2: "club"},
        {3: -1},
        {3: True},
        {4: "yard"},
        {4: [1]},
        {4: ["No Name"]},
        {5: 1 << 62},
        {6: None},
        {7: -1},
        {7: (1 << 64) - 1},
        {8: 0},
    ],
)
def test_a_signed_agreement_with_one_wrong_field_spoils_the_list(spoilt: dict[int, Any]):
    fields = cbor.decode(agreement_payload(WORD, site=SITE))
    keys = [key_of(name) for name in BOTH]
    document = cose.cosign(
        cbor.encode({**fields, **spoilt}), keys=keys, typ=AGREEMENT_TYPE, external_aad=SITE.encode()
    )
    assert agreed(document) == TrustRefused(code=TrustRefusal.AGREEMENT, detail=SCHOOL)


def test_an_agreement_signed_with_a_key_that_is_revoked_counts_no_more():
    signing = trusted("school signing", use=Use.TENANT, owner="school", state=KeyState.REVOKED)
    document = signed_trust(listed(tenants=tenant(SCHOOL, signing=signing)))
    assert code(document) is TrustRefusal.AGREEMENT
