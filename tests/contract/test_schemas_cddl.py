"""The CDDL and the code allow the same: each payload in both directions, and nothing in the file that no payload uses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core import change as changes
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.log_export import AtDoor
from gatekeeper.core.operators import HOST_ROLES, Operator, Operators, Role, operator_payload, read_operator
from gatekeeper.core.register import holder_payload, read_holder
from gatekeeper.core.trust import Use, agreement_payload
from gatekeeper.cose.status_list import StatusList, read_status_list
from gatekeeper.model.badges import Assurance, Badge, BadgeState, Card, CardTechnology, claims_of, read_badge
from gatekeeper.model.ids import BadgeId, HolderId, OperatorId, TenantId
from gatekeeper.model.messages import (
    Answer,
    Beacon,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Command,
    CommandKind,
    Hello,
    Link,
    LogCheckpoint,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from gatekeeper.model.people import Agreement, Holder, HolderKind, PinRecord
from gatekeeper.model.snapshot import (
    KnownCards,
    LocalPassback,
    Snapshot,
    SnapshotClass,
    SnapshotPoint,
    Standing,
)
from tests.contract import cddl, left_alone, readers, specimens, vector_site

MESSAGES: dict[str, Any] = {
    "scan": Scan,
    "passage": Passage,
    "status": Status,
    "hello": Hello,
    "link": Link,
    "decision": Answer,
    "command": Command,
    "beacon": Beacon,
    "checkpoint": LogCheckpoint,
}
EXAMPLES = specimens.payloads()
_SIGNED_LIST = left_alone.sign_status_list(EXAMPLES["status-list"][1])
WHOLE = tuple(
    rule for rule, (_, body) in cddl.rules().items() if rule.endswith(("-message", "-document", "-token"))
)


def decoded(payload: bytes) -> Any:
    return cose.decode(payload, bounds=cddl.ROOMY)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_every_payload_that_the_code_reads_is_in_the_file_under_its_typ():
    described = {}
    for _, body in cddl.rules().values():
        if isinstance(body, cddl.Word) and len(body.given) == 2:
            described[body.given[1].name] = body.given[0].value
    assert described == {rule: typ for rule, (typ, _) in readers.PAYLOADS.items()}


def test_every_rule_is_used_and_every_name_is_a_rule():
    first, *_ = cddl.rules()
    entered = {first, *WHOLE}
    reached: set[str] = set()
    waiting = list(entered)
    while waiting:
        name = waiting.pop()
        if name in reached or name in cddl.PRELUDE:
            continue
        reached.add(name)
        parameters, body = cddl.rules()[name]
        waiting += [used for used in cddl.names_in(body) if used not in parameters]
    assert reached == set(cddl.rules())


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("clock-quality", ClockQuality),
        ("technology", CardTechnology),
        ("outcome", PassageOutcome),
        ("status-kind", StatusKind),
    ],
)
def test_numbers_have_the_names_that_the_code_gives_them(group: str, kind: Any):
    assert cddl.names_of(group) == {one.name.lower().replace("_", "-"): one.value for one in kind}


def test_kinds_of_holders_and_states_of_badges_are_those_of_the_code():
    assert cddl.names_of("holder-kind") == {kind.value: kind.number for kind in HolderKind}
    assert {one.value for one in cddl.rules()["badge-state"][1].among} == set(BadgeState)


def test_uses_of_keys_and_roles_of_operators_are_those_of_the_code():
    assert {one.value for one in cddl.rules()["use"][1].among} == set(Use)
    roles = [one.value for one in cddl.rules()["role"][1].among]
    assert sorted(roles) == sorted(Role)
    assert set(roles[-len(HOST_ROLES) :]) == HOST_ROLES


def test_verdicts_are_those_of_the_code():
    _, answers = cddl.rules()["decision"]
    verdicts = [cddl.rules()[one.name][1] for one in answers.among]
    numbered = [entry.of for verdict in verdicts for entry in verdict.entries if entry.key == cddl.Literal(3)]
    single = {one.value for one in numbered if isinstance(one, cddl.Literal)}
    assert single | set(cddl.names_of("not-granted").values()) == set(Verdict)


# -- what the code writes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_specimen_is_allowed_and_read(name: str):
    rule, payload = EXAMPLES[name]
    assert cddl.allows(rule, decoded(payload))
    assert cddl.pycddl_allows(rule, decoded(payload))
    assert readers.refusal(rule, payload) is None


def octets(least: int, most: int) -> st.SearchStrategy[bytes]:
    return cddl.edged(least, most).flatmap(lambda size: st.just(bytes(size)) | st.just(b"\xff" * size))


names = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
milliseconds = cddl.edged(0, 253_402_300_799_000).map(
    lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
)
seconds = st.integers(0, 253_402_300_799).map(lambda at: datetime.fromtimestamp(at, UTC))
long_ago = st.just(datetime.min.replace(tzinfo=UTC))
durations = cddl.edged(0, 86_400_000).map(lambda ms: timedelta(milliseconds=ms))
sha256 = st.binary(min_size=32, max_size=32)
cards = st.builds(Card, st.sampled_from(CardTechnology), octets(1, 16))
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64) | st.just("é" * 64)
upward = {
    "boot": st.binary(min_size=8, max_size=8),
    "sequence": cddl.edged(1, 1 << 53),
    "gate_at": st.none() | milliseconds,
    "clock": st.sampled_from(ClockQuality),
}
proofs = st.builds(
    Proof,
    gate_random=st.binary(min_size=16, max_size=16),
    signature=st.binary(min_size=64, max_size=64) | st.binary(min_size=96, max_size=96),
)
answers = {
    "message": sha256,
    "gate": names,
    "reason": cddl.edged(0, 65535),
    "issued": milliseconds,
    "policy": sha256,
    "entry": cddl.edged(0, 1 << 53),
}
connected = {"boot": st.binary(min_size=8, max_size=8), "connection": cddl.edged(1, 1 << 53)}
briefly = cddl.edged(0, 5000).map(lambda ms: timedelta(milliseconds=ms))
patiently = cddl.edged(0, 60_000).map(lambda ms: timedelta(milliseconds=ms))
ordered = {
    "boot": st.binary(min_size=8, max_size=8),
    "sequence": cddl.edged(1, 1 << 53),
    "gate": names,
    "issued": milliseconds,
    "valid": cddl.edged(0, 10_000).map(lambda ms: timedelta(milliseconds=ms)),
    "operator": names,
    "second": st.none() | names,
    "entry": cddl.edged(0, 1 << 53),
}
WRITTEN: dict[str, st.SearchStrategy[Any]] = {
    "scan": st.builds(
        Scan,
        **upward,
        access_point=names,
        credential=st.builds(ByCard, cards)
        | st.builds(ByToken, octets(1, 1024))
        | st.builds(ByDigest, sha256),
        beacon=st.binary(min_size=16, max_size=16),
        proof=st.none() | proofs,
        round_trip=st.none() | durations,
        offline_verdict=st.sampled_from([None, Verdict.DENIED, Verdict.GRANTED]),
        offline_policy=st.none() | sha256,
        sealed_pin=st.none() | octets(89, 89),
    ),
    "passage": st.builds(
        Passage,
        **upward,
        access_point=names,
        outcome=st.sampled_from(PassageOutcome),
        scan=st.none() | sha256,
    ),
    "status": st.builds(Status, **upward, kind=st.sampled_from(StatusKind), access_point=st.none() | names)
    | st.builds(
        Status,
        **upward,
        kind=st.sampled_from([StatusKind.POLICY_REFUSED, StatusKind.COMMAND_REFUSED]),
        access_point=st.none() | names,
        command=st.none() | sha256,
        why=st.none() | names,
        count=st.none() | cddl.edged(2, 1 << 53),
    )
    | st.builds(
        Status,
        **upward,
        kind=st.sampled_from([StatusKind.OPENED_ITSELF, StatusKind.JOURNAL_FULL]),
        access_point=st.none() | names,
        count=st.none() | cddl.edged(2, 1 << 53),
    ),
    "hello": st.builds(
        Hello,
        **upward,
        agent=texts,
        policy=st.none() | sha256,
        checkpoint=st.none() | octets(0, 2048),
    ),
    "link": st.builds(
        Link,
        **connected,
        up=st.just(True),  # noqa: FBT003 - a value, not a switch
        snapshot=st.none() | sha256,
        beacon=st.binary(min_size=16, max_size=16),
    )
    | st.builds(
        Link,
        **connected,
        up=st.just(False),  # noqa: FBT003 - likewise
        snapshot=st.none(),
        beacon=st.none(),
    ),
    "decision": st.builds(
        Answer, **answers, verdict=st.just(Verdict.GRANTED), valid=briefly, unlock=durations
    )
    | st.builds(Answer, **answers, verdict=st.just(Verdict.WAITING), valid=patiently, unlock=st.none())
    | st.builds(
        Answer,
        **answers,
        verdict=st.sampled_from([Verdict.DENIED, Verdict.RECORDED]),
        valid=briefly,
        unlock=st.none(),
    ),
    "command": st.builds(
        Command, **ordered, kind=st.just(CommandKind.OPEN), access_point=names, unlock=durations
    )
    | st.builds(
        Command,
        **ordered,
        kind=st.sampled_from([CommandKind.LOCK_DOWN, CommandKind.RELEASE]),
        access_point=st.none() | names,
        unlock=st.none(),
    )
    | st.builds(
        Command, **ordered, kind=st.just(CommandKind.REBOOT), access_point=st.none(), unlock=st.none()
    ),
    "beacon": st.builds(
        Beacon,
        site=names,
        value=st.binary(min_size=16, max_size=16),
        issued=milliseconds,
        period=durations,
    ),
    "checkpoint": st.builds(LogCheckpoint, site=names, note=octets(1, 2048), at=milliseconds),
}


@pytest.mark.parametrize("rule", MESSAGES)
@settings(max_examples=50)
@given(st.data())
def test_what_gate_and_service_write_is_allowed_and_read_back(rule: str, data: st.DataObject):
    message = data.draw(WRITTEN[rule])
    payload = message.payload()
    assert cddl.allows(rule, decoded(payload))
    assert cddl.pycddl_allows(rule, decoded(payload))
    assert MESSAGES[rule].read(payload) == message


@pytest.mark.parametrize("rule", MESSAGES)
@settings(max_examples=50)
@given(st.data())
def test_what_the_file_allows_is_read_and_written_again_the_same(rule: str, data: st.DataObject):
    payload = cddl.written(data.draw(cddl.values(rule)))
    assert MESSAGES[rule].read(payload).payload() == payload


scopes = st.frozensets(texts, max_size=3)
weeks = cddl.edged(0, 604_800).map(lambda length: timedelta(seconds=length))
places_in_log = cddl.edged(0, 1 << 53)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    points = draw(
        st.lists(
            st.builds(
                SnapshotPoint,
                id=names,
                longest=weeks,
                unlock=cddl.edged(0, 60_000).map(lambda ms: timedelta(milliseconds=ms)),
                scopes=scopes,
                target=names,
                passback=st.none()
                | st.builds(LocalPassback, within=st.none() | weeks, zones=st.frozensets(names, max_size=3)),
            ),
            max_size=3,
            unique_by=lambda point: point.id,
        )
    )
    stretches = st.sets(st.integers(0, 253_402_300_799), max_size=6).map(sorted)
    hours = draw(st.lists(stretches.map(lambda found: tuple(found[: len(found) & ~1])), max_size=3))
    rights = (
        st.dictionaries(st.sampled_from(points), st.integers(0, len(hours) - 1))
        if points and hours
        else st.just({})
    )
    classes = draw(
        st.lists(
            st.builds(
                SnapshotClass,
                tenant=names,
                hours=rights.map(lambda of: {point.id: place for point, place in of.items()}),
            ),
            max_size=3,
        )
    )
    rows = b""
    if classes:
        badges_here = sorted(draw(st.sets(st.binary(min_size=16, max_size=16), max_size=4)))
        numbers = st.integers(0, (1 << 32) - 1)
        rows = b"".join(
            badge
            + draw(numbers).to_bytes(4, "big")
            + draw(st.integers(0, len(classes) - 1)).to_bytes(4, "big")
            for badge in badges_here
        )
    since = draw(st.integers(0, 253_402_300_000))
    return Snapshot(
        site=draw(names),
        gate=draw(names),
        version=draw(places_in_log),
        issued=draw(milliseconds),
        since=since,
        until=draw(st.integers(since + 1, 253_402_300_799)),
        alert=draw(cddl.edged(0, 255)),
        points={point.id: point for point in points},
        hours=tuple(hours),
        classes=tuple(classes),
        rows=rows,
        cards=KnownCards.of(draw(st.dictionaries(cards, octets(1, 1024), max_size=3))),
    )


@settings(max_examples=100)
@given(snapshots())
def test_a_snapshot_is_allowed_and_read_back(snapshot: Snapshot):
    payload = snapshot.payload()
    assert cddl.allows("snapshot", decoded(payload))
    assert cddl.pycddl_allows("snapshot", decoded(payload))
    assert Snapshot.read(payload) == snapshot


standings = st.builds(
    Standing,
    site=names,
    version=places_in_log,
    issued=milliseconds,
    alert=cddl.edged(0, 255),
    lockdowns=scopes,
    suspended=st.frozensets(names, max_size=3),
    statuses=st.dictionaries(names, st.just(_SIGNED_LIST), max_size=3),
    trust=cddl.edged(0, (1 << 64) - 1),
    snapshots=st.dictionaries(names, places_in_log, max_size=3),
)


@settings(max_examples=100)
@given(standings)
def test_a_standing_is_allowed_and_read_back(standing: Standing):
    payload = standing.payload()
    assert cddl.allows("standing", decoded(payload))
    assert cddl.pycddl_allows("standing", decoded(payload))
    assert Standing.read(payload) == standing


@settings(max_examples=50)
@given(cddl.values("standing"))
def test_every_standing_that_the_file_allows_is_read(value: Any):
    assert isinstance(Standing.read(cose.encode(value)), Standing)


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 5000), st.integers(0, 15), max_size=50),
    names,
    names,
    st.integers(0, 253_402_300_799),
)
def test_a_status_list_is_allowed_and_read_back(
    statuses: dict[int, int], site: str, tenant: str, issued: int
):
    listed = StatusList.of(f"site:{site}/t:{tenant}", statuses, issued=issued)
    assert cddl.allows("status-list", decoded(listed.payload()))
    assert cddl.pycddl_allows("status-list", decoded(listed.payload()))
    assert read_status_list(listed.payload()) == listed


badge_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
bound_keys = st.sampled_from(["badge-sergeant", "badge-teacher"])


@st.composite
def badges(draw: Callable[..., Any]) -> Badge:
    begins = draw(st.integers(0, 253_402_300_000))
    ends = draw(st.integers(begins + 1, 253_402_300_799))
    identity = draw(badge_ids)
    assurance = draw(st.sampled_from(Assurance))
    bound = assurance >= Assurance.KEY_BOUND
    status = draw(st.integers(0, 1 << 63))
    return Badge(
        id=identity,
        site=draw(names),
        tenant=draw(names),
        not_before=datetime.fromtimestamp(begins, UTC),
        expires=datetime.fromtimestamp(ends, UTC),
        issued=draw(seconds),
        ceiling=draw(st.integers(0, 5)),
        assurance=assurance,
        kind=draw(st.sampled_from(HolderKind)),
        epoch=draw(st.integers(0, 1 << 63)),
        requires_trusted_time=draw(st.booleans()),
        confirmation=vector_site.key_of(draw(bound_keys)).record(use="badge", owner=identity)
        if bound
        else None,
        card=draw(cards) if assurance is Assurance.CARD_NUMBER else None,
        status_index=status if ends - begins > 86_400 else draw(st.sampled_from([None, status])),
        max_uses=draw(st.none() | cddl.edged(1, 1 << 53)),
        duress=draw(st.booleans()),
    )


@settings(max_examples=100)
@given(badges())
def test_what_a_tenant_issues_is_allowed_and_read_back(badge: Badge):
    claims = claims_of(badge)
    assert cddl.allows("badge-claims", claims)
    assert cddl.pycddl_allows("badge-claims", claims)
    assert read_badge(cose.encode(claims)) == badge


def _in_their_order(certificates: dict[str, datetime]) -> tuple[tuple[str, datetime], ...]:
    """As a map in deterministic CBOR has them: short names first."""
    return tuple(sorted(certificates.items(), key=lambda one: cose.encode(one[0])))


@settings(max_examples=100)
@given(
    st.builds(
        Holder,
        id=names,
        tenant=st.just("school"),
        kind=st.sampled_from(HolderKind),
        clearance=st.integers(0, 5),
        profiles=st.lists(names, max_size=4).map(tuple),
        badges=st.lists(badge_ids, max_size=4).map(tuple),
        since=seconds | long_ago,
        until=seconds | long_ago,
        version=st.integers(0, 1 << 63),
        certificates=st.dictionaries(names, seconds, max_size=3).map(_in_their_order),
        host=st.none() | names,
        pin=st.none()
        | st.builds(
            PinRecord, salt=st.binary(min_size=16, max_size=16), digest=sha256, duress=st.none() | sha256
        ),
        photo=st.none() | sha256,
    )
)
def test_a_registration_is_allowed_and_read_back(holder: Holder):
    payload = holder_payload(holder, site=vector_site.SITE)
    assert cddl.allows("holder", decoded(payload))
    assert cddl.pycddl_allows("holder", decoded(payload))
    document = vector_site.sign_holder(payload, tenant="school")
    assert read_holder(document, trust=vector_site.trust()) == holder


@settings(max_examples=50)
@given(
    st.builds(
        Agreement,
        tenant=st.just("school"),
        ceiling=st.integers(0, 5),
        zones=st.frozensets(names, max_size=4),
        since=seconds,
        until=seconds,
        badge_life=st.integers(0, 86_399_999_999_999).map(lambda life: timedelta(seconds=life)),
    )
)
def test_an_agreement_is_allowed_and_read(agreement: Agreement):
    payload = agreement_payload(agreement, site=vector_site.SITE)
    assert cddl.allows("agreement", decoded(payload))
    assert cddl.pycddl_allows("agreement", decoded(payload))
    assert readers.refusal("agreement", payload) is None


@st.composite
def operators(draw: Callable[..., Any]) -> Operator:
    begins = draw(st.integers(-62_135_596_800, 253_402_300_000))
    ends = draw(st.integers(begins + 1, 253_402_300_799))
    tenant = draw(st.sampled_from(["army", "school"]))
    roles = sorted(Role if tenant == "army" else set(Role) - HOST_ROLES)
    identity = draw(names)
    key = vector_site.key_of(draw(st.sampled_from(["front", "inner", "badge-teacher"])))
    return Operator(
        id=OperatorId(identity),
        tenant=TenantId(tenant),
        roles=frozenset(draw(st.sets(st.sampled_from(roles), min_size=1))),
        key=key.record(use="operator", owner=identity),
        since=datetime.fromtimestamp(begins, UTC),
        until=datetime.fromtimestamp(ends, UTC),
        version=draw(st.integers(0, 1 << 63)),
        revoked=draw(st.booleans()),
    )


@settings(max_examples=100)
@given(operators())
def test_an_operator_is_allowed_and_read_back(operator: Operator):
    payload = operator_payload(operator, site=vector_site.SITE)
    assert cddl.allows("operator", decoded(payload))
    assert cddl.pycddl_allows("operator", decoded(payload))
    document = vector_site.sign_operator(payload, tenant=operator.tenant)
    assert read_operator(document, trust=vector_site.trust()) == operator


reasons = st.text(min_size=1, max_size=200).filter(is_reason) | st.text(
    "ab \u00e9\u2013\u2019", min_size=1, max_size=200
).filter(is_reason)


@st.composite
def log_exports(draw: st.DrawFn) -> changes.LogExportChange:
    since, until = sorted(draw(st.tuples(milliseconds, milliseconds)))
    bounded = draw(st.booleans()) and since < until
    tree = draw(st.just("site") | names.map("tenant:".__add__))
    return changes.LogExportChange(
        tree=tree,
        since=since if bounded or draw(st.booleans()) else None,
        until=until if bounded else None,
        doors=tuple(sorted(draw(st.sets(names, max_size=4)))),
        decisions=tuple(sorted(draw(st.sets(st.sampled_from(AtDoor))))),
        holder=draw(st.none() | names),
        openings=draw(st.booleans()),
        reason=draw(reasons),
    )


contents = (
    st.builds(changes.BadgeStateChange, badge=badge_ids, state=st.sampled_from(BadgeState))
    | st.builds(changes.SuspensionChange, tenant=names, on=st.booleans())
    | st.builds(changes.ForgivenessChange, holder=names)
    | st.builds(changes.GuardChange, entry=cddl.edged(0, (1 << 64) - 1), yes=st.booleans())
    | st.builds(changes.OperatorChange, operator=names, document=st.binary(max_size=300))
    | st.builds(changes.ApprovalChange, digest=sha256)
    | st.builds(changes.WithdrawalChange, digest=sha256)
    | st.builds(
        changes.ExportChange,
        tenant=names,
        what=st.sampled_from(changes.Exported),
        reason=reasons,
    )
    | log_exports()
    | st.builds(changes.LookUpChange, holder=names, purpose=reasons)
    | st.builds(changes.ErasureChange, holder=names, reason=reasons)
    | st.builds(
        changes.HoldChange,
        scope=st.just("site")
        | st.sampled_from(["tenant:", "holder:"]).flatmap(lambda of: names.map(of.__add__)),
        on=st.booleans(),
        reason=reasons,
    )
    | st.builds(changes.OpeningChange, access_point=names, reason=reasons)
    | st.builds(changes.RebootChange, gate=names, reason=reasons)
    | st.builds(changes.AlertChange, state=names)
    | st.builds(
        changes.LockdownChange,
        scope=st.just("site") | st.sampled_from(["zone:", "gate:"]).flatmap(lambda of: names.map(of.__add__)),
        on=st.booleans(),
    )
    | st.builds(changes.PolicyChange, document=st.binary(max_size=300))
    | st.builds(changes.TrustChange, document=st.binary(max_size=300))
    | st.builds(
        changes.HolderChange,
        holder=names,
        document=st.binary(max_size=300),
        badges=st.lists(
            st.builds(
                changes.BadgeIssue, badge=badge_ids, token=st.binary(max_size=300), card=st.none() | cards
            ),
            max_size=3,
        ).map(tuple),
    )
)


@settings(max_examples=100)
@given(contents, st.sampled_from(["officer", "deputy", "registrar"]), milliseconds)
def test_a_change_is_allowed_and_read_back(content: changes.ChangeContent, author: str, at: datetime):
    document = changes.sign_change(
        content,
        site=vector_site.SITE,
        change_id=bytes(16),
        author=author,
        at=at,
        key=vector_site.key_of(f"operator-{author}"),
    )
    payload = specimens.payload_of(document)
    assert cddl.allows("change", decoded(payload))
    assert cddl.pycddl_allows("change", decoded(payload))
    known = Operators(vector_site.operator_records())
    read = changes.read_change(document, trust=vector_site.trust(), operators=known, now=vector_site.NOON)
    assert isinstance(read, changes.Change)
    assert (read.content, read.author, read.at) == (content, author, at)


def _new(token_bytes: int) -> changes.BadgeIssue:
    return changes.BadgeIssue(badge=BadgeId("00" * 16), token=bytes(token_bytes), card=None)


NEW = _new(0)


@pytest.mark.parametrize(
    ("content", "most"),
    [
        (lambda size: changes.PolicyChange(document=bytes(size)), 1_050_000),
        (lambda size: changes.TrustChange(document=bytes(size)), 1_050_000),
        (lambda size: changes.OperatorChange(operator=OperatorId("o"), document=bytes(size)), 1024),
        (
            lambda size: changes.ExportChange(
                tenant=TenantId("t"), what=changes.Exported.HOLDERS, reason="é" * size
            ),
            200,
        ),
        (lambda size: changes.HolderChange(holder=HolderId("h"), document=bytes(size), badges=()), 8192),
        (lambda size: changes.HolderChange(holder=HolderId("h"), document=b"", badges=(NEW,) * size), 32),
        (lambda size: changes.HolderChange(holder=HolderId("h"), document=b"", badges=(_new(size),)), 1024),
    ],
)
def test_what_a_change_carries_may_be_so_long_and_no_longer(
    content: Callable[[int], changes.ChangeContent], most: int
):
    how: dict[str, Any] = {
        "site": vector_site.SITE,
        "change_id": bytes(16),
        "author": "officer",
        "at": vector_site.NOON,
    }
    for size, allowed in ((most, True), (most + 1, False)):
        payload = changes._payload(content(size), **how)
        assert cddl.allows("change", decoded(payload)) is allowed
        assert (readers.refusal("change", payload) is None) is allowed


def _in_order(content: dict[int, Any]) -> None:
    """What the file says in a comment: lists rise, and what is exported ends after it begins."""
    content[4], content[5] = sorted(set(content[4])), sorted(set(content[5]))
    if content[2] is not None and content[3] is not None and content[2] >= content[3]:
        content[3] = None


@settings(max_examples=100)
@given(cddl.values("change"))
def test_every_change_that_the_file_allows_is_read(value: Any):
    value[1], value[5] = vector_site.SITE, "officer"
    if value[3] == "log-export":
        _in_order(value[6])
    assert readers.refusal("change", cose.encode(value)) is None
