"""The log of the vectors' site, from its founding to the last change: every kind of entry, in the order of a real log.

Nonces and salts, which are chance elsewhere, follow from the place of the entry, so that the log is the same wherever it is
made. What a gate does not say in the session is said here by hand.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, seal_body, seal_personal, tenant_tree
from gatekeeper.core.change import (
    AlertChange,
    ApprovalChange,
    BadgeStateChange,
    ChangeContent,
    ErasureChange,
    ExportChange,
    Exported,
    ForgivenessChange,
    HoldChange,
    HolderChange,
    LockdownChange,
    LookUpChange,
    OpeningChange,
    OperatorChange,
    PolicyChange,
    RebootChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
)
from gatekeeper.core.commands import Unsent
from gatekeeper.core.custody import erase_again
from gatekeeper.core.drafting import draft_of_asking, draft_of_certificate, draft_of_mismatch, draft_of_unsent
from gatekeeper.core.enrolment import EnrolmentRequest, enrolment_request, read_enrolment
from gatekeeper.core.hearing import Heard, LinkState, draft_of_hearing
from gatekeeper.core.log_export import AtDoor
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.proposals import PROPOSAL_LASTS, digest_of
from gatekeeper.core.register import HolderRecord, holder_payload
from gatekeeper.core.retention import Digest, Expired, draft_of_expiry
from gatekeeper.core.supervise import APPLIED, PROPOSED, StoredHolder, Writes, expire_proposals
from gatekeeper.core.trust import trust_payload
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, OperatorId
from gatekeeper.model.messages import ClockQuality, Passage, PassageOutcome, Verdict
from gatekeeper.model.retention import Kept
from gatekeeper.service.administration.ceremony import Founding
from gatekeeper.service.administration.opening import _believe, _drafts
from gatekeeper.transparency import Tree, leaf_hash
from tests.contract.play import Play, boot_of, moment, scan_of, signed_as
from tests.contract.session import played
from tests.contract.vector_site import (
    FOUNDED,
    FRONT,
    INNER,
    NOON,
    OPENING_ENTRIES,
    SCHOOL,
    SITE,
    anchor,
    cosign_trust,
    fresh_flow,
    key_of,
    listing,
    operator,
    operator_document,
    operator_records,
    people,
    policy_document,
    policy_text,
    sign_holder,
    trust_document,
)
from tests.support.changes import WHOLE_LOG


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry as it is stored, and its personal part in the clear."""

    draft: Draft
    body: bytes
    personal: bytes | None


def founding() -> Founding:
    """The site as it was founded."""
    holders = tuple(
        StoredHolder(
            record=HolderRecord(id=person.holder.id, document=person.registration),
            tenant=person.holder.tenant,
            name=b"",
            badges=person.holder.badges,
        )
        for person in people().values()
    )
    return Founding(
        anchor=anchor(),
        trust=trust_document(),
        policy=policy_document(),
        holders=holders,
        names={},
        badges=(),
        operators=operator_records(),
    )


@cache
def whole_log() -> tuple[Entry, ...]:
    """The whole log."""
    play = played()
    _unsaid(play)
    _changes(play)
    drafts = [*_opening(), *play.drafts]
    assert [draft.seq for draft in drafts] == list(range(len(drafts)))
    return tuple(_sealed(drafts))


def trees(entries: tuple[Entry, ...]) -> Mapping[str, Tree]:
    """The trees that the entries make."""
    grown: dict[str, Tree] = {}
    for entry in entries:
        for name in _places(entry.draft, {}):
            grown.setdefault(name, Tree.empty()).append([leaf_hash(entry.body)])
    return grown


def _opening() -> Iterator[Draft]:
    yield from _drafts(founding(), *_believe(founding()), FOUNDED)
    yield Draft(
        kind=Kind.ENGINE_STARTED,
        at=NOON,
        seq=OPENING_ENTRIES - 1,
        tenants=(),
        public={"epoch": 2, "policy": fresh_flow().policy.version.hex()},
        person=None,
        personal=None,
    )


def _unsaid(play: Play) -> None:
    """What the session leaves out: a denial made alone, doors unused and held, messages that never came, and a number used twice."""
    boot, beacon = boot_of(FRONT, 2), play.beacons.counted(moment(8000))[0]
    known = next(step.up for step in play.steps if step.up.name == "scan-by-digest")
    said: list[tuple[int, Any]] = [
        (3, scan_of(FRONT, boot=boot, sequence=3, beacon=beacon, offline_verdict=Verdict.DENIED)),
        (4, _passage(boot, 4, PassageOutcome.NOT_TAKEN, hashlib.sha256(known.wire).digest())),
        (5, _passage(boot, 5, PassageOutcome.HELD_OPEN, None)),
        (6, _passage(boot, 6, PassageOutcome.EXITED, None)),
        (90, _passage(boot, 90, PassageOutcome.FORCED, None)),
    ]
    for number, message in said:
        sent = signed_as(message, FRONT, name=f"number {number}", says="")
        play.brings(FRONT, sent, sent.name, sent.says, at=19_000 + number)
    play.contradicts(FRONT, _passage(boot, 90, PassageOutcome.TAKEN, None), at=19_100)


def _passage(boot: Any, sequence: int, outcome: PassageOutcome, scan: bytes | None) -> Passage:
    return Passage(
        boot=boot,
        sequence=sequence,
        gate_at=None,
        clock=ClockQuality.NONE,
        access_point=AccessPointId("front-in"),
        outcome=outcome,
        scan=scan,
    )


def _changes(play: Play) -> None:
    """One change of each kind, and every way that one can go which takes two people."""
    pupil, sergeant = people()["pupil"], people()["sergeant"]
    renewed = replace(pupil.holder, version=2)
    document = sign_holder(holder_payload(renewed, site=SITE), tenant="school")
    narrower = policy_text()
    narrower["zone"][2]["level"] = 1
    newer = replace(listing(), version=2)
    release = LockdownChange(scope=f"gate:{INNER}", on=False)
    patrol = operator("patrol")
    made = _Made(play)
    made(BadgeStateChange(badge=pupil.badge.id, state=BadgeState.LOST))
    made(HolderChange(holder=renewed.id, document=document, badges=()), by="registrar")
    made(AlertChange(state="tense"))
    made(LockdownChange(scope=f"gate:{INNER}", on=True))
    made(WithdrawalChange(digest=made.proposed(release)))
    made(ApprovalChange(digest=made.proposed(release)), by="deputy")
    made(SuspensionChange(tenant=SCHOOL, on=True))
    made(SuspensionChange(tenant=SCHOOL, on=False))
    made(ForgivenessChange(holder=sergeant.holder.id))
    made(PolicyChange(document=sign_policy(narrower, site=SITE, key=key_of("army-signing"))))
    wider = PolicyChange(document=sign_policy(policy_text(), site=SITE, key=key_of("army-signing")))
    made(ApprovalChange(digest=made.proposed(wider)), by="deputy")
    made(TrustChange(document=cosign_trust(trust_payload(newer))))
    appointed = OperatorChange(operator=patrol.id, document=operator_document(patrol))
    made(ApprovalChange(digest=made.proposed(appointed)), by="deputy")
    dismissed = replace(patrol, version=2, revoked=True)
    made(OperatorChange(operator=patrol.id, document=operator_document(dismissed)))
    listed = ExportChange(tenant=SCHOOL, what=Exported.HOLDERS, reason="yearly review of who is registered")
    made(ApprovalChange(digest=made.proposed(listed, by="registrar")), by="deputy")
    _taken_and_kept(made)
    made(LockdownChange(scope="zone:house", on=True))
    made.proposed(LockdownChange(scope="zone:house", on=False))
    later = moment(20_000) + PROPOSAL_LASTS
    play.drafts += expire_proposals(play.flow, now=later, writes=Writes())
    play.drafts += _over(play, later)
    play.drafts += _enrolled(play, later)
    play.drafts += _altered(play, later)
    play.drafts += _silent(play, later)
    play.drafts += _unsent(play, later)


def _over(play: Play, now: datetime) -> Iterator[Draft]:
    """What is over its period goes: the first passages of a tenant's people, and bytes that were refused."""
    parts, letters = Digest(Kept.PERSONAL), Digest(Kept.REFUSED)
    for number in (OPENING_ENTRIES, OPENING_ENTRIES + 1):
        parts.add(number, _chance("commitment", number))
    letters.add(1, hashlib.sha256(b"not CBOR").digest())
    for digest, tenant, placed in (
        (parts, SCHOOL, {"first": OPENING_ENTRIES, "last": OPENING_ENTRIES + 1}),
        (letters, None, {"first": None, "last": None}),
    ):
        said = Expired(
            kind=Kept.PERSONAL if tenant else Kept.REFUSED,
            tenant=tenant,
            before=NOON,
            count=digest.count,
            digest=digest.value(),
            **placed,
        )
        yield draft_of_expiry(said, play.flow.policy, at=now, seq=play.flow.next_seq)
        play.flow.next_seq += 1


def _enrolled(play: Play, now: datetime) -> Iterator[Draft]:
    """A gate asks for its place, gets its certificate, and later the next one."""
    document = enrolment_request(site=SITE, gate=FRONT, key=key_of("front"), tls=b"a key for TLS")
    asked = read_enrolment(document)
    assert isinstance(asked, EnrolmentRequest)
    yield draft_of_asking(asked, invited_by=OperatorId("officer"), at=now, seq=play.flow.next_seq)
    play.flow.next_seq += 1
    for renewal in (False, True):
        yield draft_of_certificate(
            asked, serial=7, until=now + timedelta(days=7), renewal=renewal, at=now, seq=play.flow.next_seq
        )
        play.flow.next_seq += 1


def _unsent(play: Play, now: datetime) -> Iterator[Draft]:
    """The broker went away as a door was being opened, and the database took too long as a gate was to start anew."""
    orders = [draft for draft in play.drafts if draft.kind in {Kind.DOOR_COMMANDED, Kind.GATE_COMMANDED}]
    for ordered, unsent in zip(orders, Unsent, strict=True):
        yield draft_of_unsent(ordered, unsent, at=now, seq=play.flow.next_seq)
        play.flow.next_seq += 1


def _altered(play: Play, now: datetime) -> Iterator[Draft]:
    """The integrity watch finds what does not belong there: an entry of the site's tree, a tile of a tenant's."""
    for tree, part, level, tenant in (("site", "entry", 0, None), ("tenant:school", "tile", 1, SCHOOL)):
        seq = play.flow.next_seq
        yield draft_of_mismatch(tree, part=part, level=level, index=7, tenant=tenant, at=now, seq=seq)
        play.flow.next_seq += 1


def _silent(play: Play, now: datetime) -> Iterator[Draft]:
    """A gate falls silent and is heard again; another is silent of which the engine never knew when it was there."""
    heard = Heard(state=LinkState.SILENT, since=now, heard_at=now - timedelta(seconds=42))
    for kind, gate, known in (
        (Kind.GATE_SILENT, FRONT, heard),
        (Kind.GATE_HEARD, FRONT, heard),
        (Kind.GATE_SILENT, INNER, replace(heard, heard_at=None)),
        (Kind.GATE_HEARD, INNER, replace(heard, heard_at=None)),
    ):
        yield draft_of_hearing(kind, gate, known, at=now, seq=play.flow.next_seq)
        play.flow.next_seq += 1


def _taken_and_kept(made: "_Made") -> None:
    """What is taken out of the log, looked up, kept and forgotten."""
    pupil, sergeant = people()["pupil"].holder.id, people()["sergeant"].holder.id
    made(WHOLE_LOG)
    some = replace(
        WHOLE_LOG,
        tree="tenant:school",
        since=FOUNDED,
        until=NOON,
        doors=(AccessPointId("front-in"),),
        decisions=(AtDoor.DENIED, AtDoor.GRANTED),
        holder=pupil,
    )
    made(some, by="officer")
    opened = made.proposed(replace(some, openings=True, reason="complaint 12"), by="registrar")
    made(ApprovalChange(digest=opened), by="deputy")
    made(LookUpChange(holder=sergeant, purpose="complaint 13"))
    made(OpeningChange(access_point=AccessPointId("front-in"), reason="a pram at the gate"))
    made(RebootChange(gate=FRONT, reason="it hangs"))
    for scope in ("site", "tenant:school", f"holder:{pupil}"):
        made(HoldChange(scope=scope, on=True, reason="case 7"))
        lifted = made.proposed(HoldChange(scope=scope, on=False, reason="case 7 is closed"))
        made(ApprovalChange(digest=lifted), by="deputy")
    erased = made.proposed(ErasureChange(holder=pupil, reason="left the school"), by="registrar")
    made(ApprovalChange(digest=erased), by="deputy")
    # The van came back with a restored database, and the vault knows that it was forgotten.
    van, play = people()["van"].holder.id, made.play
    again = erase_again(van, play.flow, Writes(), now=moment(20_000))
    assert again is not None
    play.drafts.append(again)


@dataclass(slots=True)
class _Made:
    """Changes by the officer of the day, or by another, each under a number of its own."""

    play: Play
    number: int = 1  # one was the guard's word

    def __call__(self, content: ChangeContent, *, by: str = "officer") -> None:
        """One that must be made."""
        self._hand_in(content, by, APPLIED)

    def proposed(self, content: ChangeContent, *, by: str = "officer") -> bytes:
        """One that must wait for a second person; give its digest."""
        return digest_of(self._hand_in(content, by, PROPOSED))

    def _hand_in(self, content: ChangeContent, by: str, code: str) -> bytes:
        self.number += 1
        signed, done = self.play.change(content, by=by, number=self.number, at=20_000)
        assert done.outcome.code == code, done.outcome
        return signed


def _sealed(drafts: list[Draft]) -> Iterator[Entry]:
    sizes: dict[str, int] = {}
    for draft in drafts:
        places = _places(draft, sizes)
        sizes.update({name: index + 1 for name, index in places.items()})
        personal = seal_personal(draft, salt=_chance("salt", draft.seq))
        body = seal_body(draft, site=SITE, trees=places, nonce=_chance("nonce", draft.seq), personal=personal)
        yield Entry(draft=draft, body=body, personal=personal)


def _places(draft: Draft, sizes: Mapping[str, int]) -> dict[str, int]:
    names = [SITE_TREE, *map(tenant_tree, draft.tenants)]
    return {name: sizes.get(name, 0) for name in names}


def _chance(what: str, seq: int) -> bytes:
    return hashlib.sha256(f"gatekeeper vectors, {what} of entry {seq}".encode()).digest()[:16]


__all__ = ["NOBODY", "Entry", "founding", "trees", "whole_log"]
