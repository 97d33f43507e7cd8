"""Operators: the people who change a running site, as their tenants signed them; and who of them may say what.

    operator   COSE_Sign1 by its tenant's signing key, typ application/pacs-operator+cose, external AAD the site
               {0 1, 1 site, 2 operator, 3 [roles, rising], 4 [algorithm, SPKI], 5 from, 6 until, 7 version, 8 revoked}

An operator is an account of one tenant, and its name is taken on the whole site: no two people sign as one. A row in a
database gives no right: an operator counts when its tenant signed it, as holders do (see `register`). `WORDS` is the one
table of who may say what: by role, about one's own tenant or about everything, and whether a second person must agree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.core.trust import Trust, Use
from gatekeeper.cose import cbor
from gatekeeper.model.fields import UINT, WRONG, each, exactly, name, second, typed, whole
from gatekeeper.model.ids import OperatorId, SiteId, TenantId

__all__ = [
    "HOST_ROLES",
    "OPERATOR_TYPE",
    "OPERATOR_USE",
    "WORDS",
    "Deed",
    "Operator",
    "OperatorRecord",
    "Operators",
    "Role",
    "Word",
    "may",
    "may_second",
    "operator_payload",
    "read_operator",
]

OPERATOR_TYPE: Final = "application/pacs-operator+cose"
OPERATOR_USE: Final = "operator"


class Role(StrEnum):
    """What an operator is there for."""

    GUARD = "guard"
    AUDITOR = "auditor"
    TENANT_ADMIN = "tenant-admin"
    REGISTRAR = "registrar"
    SECURITY_OFFICER = "security-officer"
    SITE_ADMIN = "site-admin"
    MAINTENANCE = "maintenance"


HOST_ROLES: Final = frozenset({Role.GUARD, Role.SECURITY_OFFICER, Role.SITE_ADMIN, Role.MAINTENANCE})
"""Roles that are about the whole site: of the host's people only."""


class Deed(StrEnum):
    """What a change amounts to on the site as it is."""

    ANSWER_FOR_A_FACE = "answer for a face"
    FORGIVE = "forgive a holder"
    RAISE_ALERT = "raise the alert state"
    LOWER_ALERT = "lower the alert state"
    LOCK_DOWN = "lock down"
    RELEASE = "release a lockdown"
    SUSPEND_TENANT = "suspend a tenant"
    REINSTATE_TENANT = "reinstate a tenant"
    STOP_BADGE = "stop a badge"
    REINSTATE_BADGE = "reinstate a badge"
    LET_BADGE_GO = "let go a badge that the host stopped"
    REGISTER_HOLDER = "register a holder"
    CHANGE_POLICY = "change the policy"
    WIDEN_POLICY = "change the policy so that it gives more"
    CHANGE_TRUST = "change the trust list"
    WIDEN_TRUST = "change the trust list so that it gives more"
    WITHDRAW_OPERATOR = "take from an operator"
    GRANT_OPERATOR = "give to an operator"
    EXPORT_PEOPLE = "export people or badges"
    EXPORT_LOG = "export the log"
    EXPORT_MOVEMENTS = "export the log with what it says of persons"
    LOOK_UP = "look up where a person was"
    ERASE = "forget a person"
    PLACE_HOLD = "place a legal hold"
    LIFT_HOLD = "lift a legal hold"
    OPEN_DOOR = "open a door from afar"
    OPEN_HIGH_DOOR = "open a door of a high level from afar"
    REBOOT_GATE = "start a gate anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Who may do something: host's operators with one of `host`, about anybody; any with one of `own`, about their tenant.

    `second`: it is a proposal until another of the host's operators, with one of these roles, agrees; empty: it is done.
    """

    host: frozenset[Role] = frozenset()
    own: frozenset[Role] = frozenset()
    second: frozenset[Role] = frozenset()


_WATCH: Final = frozenset({Role.GUARD, Role.SECURITY_OFFICER})
_OFFICER: Final = frozenset({Role.SECURITY_OFFICER})
_ADMIN: Final = frozenset({Role.SITE_ADMIN})
_AUDIT: Final = frozenset({Role.AUDITOR})
_TENANT: Final = frozenset({Role.TENANT_ADMIN})
_DESK: Final = _TENANT | {Role.REGISTRAR}
_SECOND: Final = frozenset({Role.SECURITY_OFFICER, Role.SITE_ADMIN})

WORDS: Final[Mapping[Deed, Word]] = MappingProxyType(
    {
        Deed.ANSWER_FOR_A_FACE: Word(host=_WATCH),
        Deed.FORGIVE: Word(host=_WATCH),
        Deed.RAISE_ALERT: Word(host=_WATCH),
        Deed.LOWER_ALERT: Word(host=_OFFICER),
        Deed.LOCK_DOWN: Word(host=_WATCH),
        Deed.RELEASE: Word(host=_OFFICER, second=_SECOND),
        Deed.SUSPEND_TENANT: Word(host=_OFFICER),
        Deed.REINSTATE_TENANT: Word(host=_OFFICER),
        Deed.STOP_BADGE: Word(host=_OFFICER, own=_DESK),
        Deed.REINSTATE_BADGE: Word(own=_DESK),
        Deed.LET_BADGE_GO: Word(host=_OFFICER),
        Deed.REGISTER_HOLDER: Word(own=_DESK),
        Deed.CHANGE_POLICY: Word(host=_ADMIN),
        Deed.WIDEN_POLICY: Word(host=_ADMIN, second=_SECOND),
        Deed.CHANGE_TRUST: Word(host=_ADMIN),
        Deed.WIDEN_TRUST: Word(host=_ADMIN, second=_SECOND),
        Deed.WITHDRAW_OPERATOR: Word(host=_SECOND, own=_TENANT),
        Deed.GRANT_OPERATOR: Word(host=_ADMIN, second=_SECOND),
        Deed.EXPORT_PEOPLE: Word(own=_DESK, second=_SECOND),
        Deed.EXPORT_LOG: Word(host=_AUDIT, own=_AUDIT),
        Deed.EXPORT_MOVEMENTS: Word(host=_AUDIT, own=_AUDIT, second=_SECOND),
        Deed.LOOK_UP: Word(host=_AUDIT | _OFFICER, own=_TENANT),
        Deed.ERASE: Word(host=_ADMIN, own=_TENANT, second=_SECOND),
        Deed.PLACE_HOLD: Word(host=_OFFICER),
        Deed.LIFT_HOLD: Word(host=_OFFICER, second=_SECOND),
        Deed.OPEN_DOOR: Word(host=_WATCH),
        Deed.OPEN_HIGH_DOOR: Word(host=_WATCH, second=_SECOND),
        Deed.REBOOT_GATE: Word(host=_OFFICER | {Role.MAINTENANCE}),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator as its tenant signed it."""

    id: OperatorId
    tenant: TenantId
    roles: frozenset[Role]
    key: cose.KeyRecord
    since: datetime
    until: datetime
    version: int
    revoked: bool

    def in_force(self, now: datetime) -> bool:
        """Half-open: in force at `since`, no longer at `until`, and never once revoked."""
        return not self.revoked and self.since <= now < self.until

    def within(self, former: "Operator") -> bool:
        """Whether this gives nothing that the former version did not: the same key, no further role, no longer time."""
        if self.revoked:
            return True
        return (
            not former.revoked
            and self.key == former.key
            and self.roles <= former.roles
            and former.since <= self.since
            and self.until <= former.until
        )


def may(operator: Operator, deed: Deed, *, about: TenantId | None, host: TenantId) -> bool:
    """Whether an operator may do something about a tenant, or about the site (None)."""
    word = WORDS[deed]
    for_all = operator.tenant == host and not operator.roles.isdisjoint(word.host)
    return for_all or (about == operator.tenant and not operator.roles.isdisjoint(word.own))


def may_second(operator: Operator, deed: Deed, *, host: TenantId) -> bool:
    """Whether an operator may be the second person; that it is another one is for `proposals` to see to."""
    return operator.tenant == host and not operator.roles.isdisjoint(WORDS[deed].second)


# -- the document -------------------------------------------------------------------------------------------------------


def operator_payload(operator: Operator, *, site: SiteId) -> bytes:
    """The content of an operator's document, to be signed by the tenant's signing key."""
    return cbor.encode(
        {
            0: 1,
            1: site,
            2: operator.id,
            3: sorted(operator.roles),
            4: [int(operator.key.algorithm), operator.key.public_der],
            5: int(operator.since.timestamp()),
            6: int(operator.until.timestamp()),
            7: operator.version,
            8: operator.revoked,
        }
    )


def read_operator(document: bytes, *, trust: Trust) -> Operator | None:
    """Believe an operator's document, or None when no tenant of this site signed it."""
    verified = cose.verify(
        document, keys=trust.tenants, typ=OPERATOR_TYPE, use=Use.TENANT, external_aad=trust.site.encode()
    )
    if isinstance(verified, cose.Refused):
        return None
    content = cbor.decode(verified.payload)
    try:
        return _operator(content, TenantId(verified.key.owner), trust)
    except WRONG:
        return None


def _operator(read: object, tenant: TenantId, trust: Trust) -> Operator | None:
    content: dict[int, Any] = typed(read, dict)
    if content.keys() != set(range(9)) or whole(content[0]) != 1 or name(content[1]) != trust.site:
        return None
    operator = OperatorId(name(content[2]))
    roles = each(content[3], lambda role: Role(typed(role, str)))
    algorithm, spki = exactly(content[4], 2)
    since, until = second(content[5]), second(content[6])
    # INVARIANT: there is one spelling of a document, and no operator without a role or a time.
    if list(roles) != sorted(set(roles)) or not roles or since >= until:
        return None
    # INVARIANT: no tenant makes a guard, an officer or an administrator of the site.
    if tenant != trust.host and not HOST_ROLES.isdisjoint(roles):
        return None
    return Operator(
        id=operator,
        tenant=tenant,
        roles=frozenset(roles),
        key=cose.KeyRecord.of(
            typed(spki, bytes),
            algorithm=cose.Algorithm(typed(algorithm, int)),
            use=OPERATOR_USE,
            owner=operator,
        ),
        since=since,
        until=until,
        version=whole(content[7], UINT),
        revoked=typed(content[8], bool),
    )


# -- the operators of a site --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecord:
    """An operator as stored: whose it is and the signed document, not yet believed."""

    id: OperatorId
    tenant: TenantId
    document: bytes


@dataclass(frozen=True, slots=True)
class _Read:
    """What was believed under one version of the trust list."""

    version: int
    operators: Mapping[OperatorId, Operator]
    ring: cose.KeyRing


class Operators:
    """The operators of a site. Owned by one engine; what was verified is remembered for one version of the trust list."""

    def __init__(self, records: Iterable[OperatorRecord] = ()) -> None:
        self._records = {record.id: record for record in records}
        self._read: _Read | None = None

    def put(self, record: OperatorRecord) -> None:
        """Enter or replace an operator."""
        self._records[record.id] = record
        self._read = None

    def believed(self, *, trust: Trust) -> Mapping[OperatorId, Operator]:
        """All operators whom their tenants signed, whether in force or not."""
        return self._under(trust).operators

    def ring(self, *, trust: Trust) -> cose.KeyRing:
        """The keys of all of them."""
        return self._under(trust).ring

    def _under(self, trust: Trust) -> "_Read":
        if self._read is None or self._read.version != trust.version:
            operators = self._believe(trust)
            ring = cose.key_ring(operator.key for operator in operators.values())
            self._read = _Read(trust.version, operators, ring)
        return self._read

    def _believe(self, trust: Trust) -> Mapping[OperatorId, Operator]:
        found = [
            operator
            for record in self._records.values()
            if (operator := read_operator(record.document, trust=trust)) is not None
            and (operator.id, operator.tenant) == (record.id, record.tenant)
        ]
        # INVARIANT: a key that two operators claim, or that has another use on the site, is nobody's.
        keys = [operator.key.kid for operator in found]
        return {
            operator.id: operator
            for operator in found
            if keys.count(operator.key.kid) == 1 and not _is_listed(operator.key.kid, trust)
        }

    def tenant_of(self, operator: OperatorId) -> TenantId | None:
        """Whose operator has this name, whatever has become of it."""
        known = self._records.get(operator)
        return known.tenant if known is not None else None

    def document(self, operator: OperatorId) -> bytes | None:
        """The document under this name, believed or not; None for a name that nobody has."""
        known = self._records.get(operator)
        return known.document if known is not None else None

    def key_taken(self, operator: Operator, *, trust: Trust) -> bool:
        """Whether an operator's key has another use already: another operator's, or one in the trust list."""
        others = self.believed(trust=trust).values()
        taken = any(one.key.kid == operator.key.kid and one.id != operator.id for one in others)
        return taken or _is_listed(operator.key.kid, trust)

    def can_grant(self, *, trust: Trust, now: datetime, after: Operator | None = None) -> bool:
        """Whether there are two of the host's people who together can make an operator; `after`: once this one counts."""
        known = dict(self.believed(trust=trust))
        if after is not None:
            known[after.id] = after
        able = [one for one in known.values() if one.tenant == trust.host and one.in_force(now)]
        word = WORDS[Deed.GRANT_OPERATOR]
        return any(
            one is not other and one.roles & word.host and other.roles & word.second
            for one in able
            for other in able
        )


def _is_listed(kid: bytes, trust: Trust) -> bool:
    others = {key.record.kid for _, key in trust.listing.services}
    others |= {key.record.kid for key in trust.listing.gates.values()}
    others |= {cose.key_id(root) for root in trust.listing.roots}
    return kid in trust.tenants or kid in trust.issuers or kid in others
