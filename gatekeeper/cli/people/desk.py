"""A tenant's desk from the command line: opened on what the site holds now, and what it signs is handed to the engine.

Only the keys of one tenant are read: those of the tenant that is named, or whose holder or badge is meant, or the only
one whose keys are in the site's folder. Who changes something holds the tenant's folder meanwhile, so that two registrars
never make the same version twice.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.signing import outcome_of, signer_for
from gatekeeper.cli.host.waiting import end, waits
from gatekeeper.cli.options import run
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import (
    CHANGE_TYPE,
    MAX_CHANGE_BYTES,
    ChangeContent,
    ChangeRefusal,
    HolderChange,
)
from gatekeeper.core.memory import Usage
from gatekeeper.core.operators import Deed, may
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.presence import Presence
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.model.ids import BadgeId, HolderId, SiteId, TenantId, ZoneId
from gatekeeper.model.policy import SitePolicy
from gatekeeper.ports import Loaded, SiteLostError
from gatekeeper.service.administration.directory import Directory, KnownBadge, PeopleError, Registered
from gatekeeper.service.administration.folder import SiteFolder, issuer_of
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.administration.operators import OperatorError, Signer
from gatekeeper.service.administration.people import Desk, Registration, issuer_at
from gatekeeper.service.sealed import open_names, seal_name

__all__ = [
    "OpenDesk",
    "Paper",
    "TenantOption",
    "at_desk",
    "conclude",
    "conclude_all",
    "hand_in",
    "is_made",
    "may_be_made",
    "outcome_document",
    "paper_of",
    "refusal",
    "tell",
]

TenantOption = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="Whose desk; not needed where a holder or badge tells, or the keys of one tenant only are here.",
    ),
]

_UNDER_WAY: Final = 512
_KEYS_AT_ONCE: Final = 64
_ATTEMPTS: Final = 64
_TRIES: Final = 5
_BOUNDS: Final = cose.Bounds(max_bytes=MAX_CHANGE_BYTES, max_depth=6, max_items=512)
_HINTS: Final = {
    "registration-old": "Somebody changed this holder meanwhile: run the command again.",
    "change-stale": "Check the clock of this machine, or run the command again.",
    "order-late": "Check the clock of this machine, or say it again.",
}


@dataclass(frozen=True, kw_only=True)
class OpenDesk:
    """A tenant's desk, and what the site knows beside it."""

    settings: Settings
    folder: SiteFolder
    tenant: TenantId
    trust: Trust
    policy: SitePolicy
    directory: Directory
    usage: Mapping[BadgeId, Usage]
    presences: Mapping[HolderId, Presence]
    waiting: frozenset[HolderId]
    """Holders of whom a change was handed in that no engine has looked at yet."""

    @property
    def site(self) -> SiteId:
        """Which site."""
        return self.trust.site

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the site."""
        return ZoneInfo(self.policy.time_zone)

    @cached_property
    def desk(self) -> Desk:
        """Where something is signed: only here is the tenant's issuer key read. Raises SiteFolderError and PeopleError."""
        key = self.folder.read_key(issuer_of(self.tenant))
        return Desk(
            issuer=issuer_at(self.tenant, key, trust=self.trust),
            trust=self.trust,
            policy=self.policy,
            directory=self.directory,
        )

    def person(self, name: str) -> Registered:
        """One of the tenant's people, of whom nothing is under way. Raises PeopleError."""
        if name in self.waiting:
            raise PeopleError(
                f"A change of {name} was handed in and waits for an engine: start one (gatekeeper serve), then go on."
            )
        return self.directory.get(HolderId(name))

    def badges(self, name: str) -> tuple[KnownBadge, ...]:
        """A badge by its id, or all that a holder holds. Raises PeopleError."""
        directory = self.directory
        if directory.find(HolderId(name)) is not None:
            return tuple(one for one in directory.badges_of(HolderId(name)) if one.held)
        try:
            return (directory.badge(BadgeId(name)),)
        except PeopleError:
            raise PeopleError(f"{self.tenant} has no badge and no holder {name}.") from None

    def called(self, holder: HolderId) -> str:
        """Somebody's name and id, for a person."""
        found = self.directory.find(holder)
        return f"{found.name} ({holder})" if found is not None and found.name else str(holder)

    def status_index(self) -> int:
        """The next place in the tenant's status list; given once and never again, whatever becomes of the badge."""
        place = f"tenants/{self.tenant}/status-index"
        written = self.folder.read(place).strip() if self.folder.holds(place) else b"0"
        if not written.isdigit():
            raise PeopleError(f"{self.folder.root / place} holds no number any more: remove it, and go on.")
        index = max(int(written), self.directory.free_status_index)
        self.folder.write_private(place, b"%d\n" % (index + 1))
        return index

    def say_if_inside(self, holders: Iterable[HolderId]) -> None:
        """Say who is on the ground by the log, and may not be let out any more by what is done now."""
        parents = {zone.id: zone.parent for zone in self.policy.zones}
        for holder in dict.fromkeys(holders):
            here = self.presences.get(holder)
            zone: ZoneId | None = None if here is None else here.zone
            while zone is not None and zone != self.policy.outside:
                zone = parents.get(zone)
                if zone is None and here is not None:
                    say(
                        f"{self.called(holder)} is in {here.zone} by the log, since {show_time(here.since, self.zone)}: "
                        "see them out, their badge may not."
                    )


# -- opening ------------------------------------------------------------------------------------------------------------


@contextmanager
def at_desk(
    settings: Settings, *, tenant: str | None, about: str | None = None, changes: bool = False
) -> Iterator[OpenDesk]:
    """Open a tenant's desk; `about` is a holder or badge that tells which, `changes` holds it against others."""
    site = the_site(settings)
    folder = site_folder(settings, site)
    stored = run(_load(settings, site))
    trust = _believed(stored.loaded, folder)
    whose = _whose(tenant, about, stored.loaded, folder, trust)
    own = SiteFolder(folder.root / "tenants" / whose)
    with own.alone() if changes and own.root.is_dir() else nullcontext():
        if changes:
            stored = run(_load(settings, site))
        yield _open(settings, folder, whose, stored)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The site as it stands, the changes that wait, and the keys of its people."""

    loaded: Loaded
    waiting: Sequence[bytes]
    keys: Mapping[HolderId, bytes]


async def _load(settings: Settings, site: SiteId) -> _Stored:
    """What is stored of the site. Reads anew when an engine takes it over meanwhile."""
    async with databases(settings) as (dsn, vault_dsn):
        ledger = PostgresLedger(dsn)
        try:
            for _ in range(_TRIES):
                async with PostgresReading.opened(dsn) as reading:
                    epoch = await reading.epoch(site)
                if epoch is None:
                    break
                try:
                    loaded = await ledger.load(site, epoch=epoch)
                except SiteLostError:
                    continue
                waiting = [change.document for change in await ledger.changes(site)]
                return _Stored(loaded, waiting, await PostgresKeyVault(vault_dsn).keys(site))
        finally:
            await ledger.close()
    raise SettingError(f"The database holds no site {site}.")


def _believed(loaded: Loaded, folder: SiteFolder) -> Trust:
    trust = read_trust(loaded.trust, anchor=folder.read_anchor(), not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
    return trust


def _policy(loaded: Loaded, trust: Trust) -> SitePolicy:
    policy = read_policy(loaded.policy, trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingError(f"The policy is not believed: {policy.code.sentence}")
    return policy.written


def _whose(
    given: str | None, about: str | None, loaded: Loaded, folder: SiteFolder, trust: Trust
) -> TenantId:
    known = sorted(trust.listing.tenants)
    if given is not None:
        if given not in trust.listing.tenants:
            raise PeopleError(f"The site has no tenant {given}; it has {', '.join(known)}.")
        return TenantId(given)
    owner = None if about is None else _owner(loaded, about)
    here = [tenant for tenant in known if folder.holds(issuer_of(tenant))]
    if owner is not None or len(here) == 1:
        return owner or here[0]
    if about is None:
        raise PeopleError(f"Name the tenant with --tenant: {', '.join(here or known)}.")
    raise PeopleError(f"The site has no badge and no holder {about}.")


def _owner(loaded: Loaded, name: str) -> TenantId | None:
    holder = next((row.tenant for row in loaded.holders if row.record.id == name), None)
    return holder or next((row.tenant for row in loaded.badges if row.record.id == name), None)


def _open(settings: Settings, folder: SiteFolder, tenant: TenantId, stored: _Stored) -> OpenDesk:
    loaded = stored.loaded
    trust = _believed(loaded, folder)
    sealed = {row.record.id: row.name for row in loaded.holders if row.tenant == tenant}
    return OpenDesk(
        settings=settings,
        folder=folder,
        tenant=tenant,
        trust=trust,
        policy=_policy(loaded, trust),
        directory=Directory(
            tenant=tenant,
            trust=trust,
            holders=loaded.holders,
            badges=loaded.badges,
            names=open_names(sealed, keys=stored.keys, site=trust.site),
            forgotten=loaded.erased,
        ),
        usage=loaded.usage,
        presences={presence.holder: presence for presence in loaded.presences},
        waiting=frozenset(filter(None, map(_registers, stored.waiting))),
    )


def _registers(change: bytes) -> HolderId | None:
    """Whom a waiting change says to register; whether it is believed, the engine will say."""
    parsed = cose.parse(change, typ=CHANGE_TYPE, bounds=_BOUNDS)
    if isinstance(parsed, cose.Refused) or parsed.payload is None:
        return None
    match cose.decode(parsed.payload, bounds=_BOUNDS):
        case {3: "holder", 6: {1: str(holder)}}:
            return HolderId(holder)
        case _:
            return None


# -- handing in ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A change to be signed and handed in; `number` gives its id, by how many were refused before it."""

    content: ChangeContent
    name: str | None
    number: Callable[[int], bytes]


def paper_of(what: Registration | ChangeContent, number: Callable[[int], bytes] | None = None) -> Paper:
    """A registration with its name, or any other change; with an id of its own unless one is given."""
    own = secrets.token_bytes(16)
    numbered = number or (lambda _: own)
    if isinstance(what, Registration):
        return Paper(content=what.change, name=what.name, number=numbered)
    if isinstance(what, HolderChange):
        raise TypeError("a registration is handed in with its name")
    return Paper(content=what, name=None, number=numbered)


def hand_in(
    at: OpenDesk, papers: Iterable[Paper], told: Callable[[int], None] | None = None
) -> list[ChangeOutcome | None]:
    """Sign changes and hand them in, in order; what became of each, or None for those that no engine looked at yet."""
    return run(_hand_in(at, papers, told or (lambda _: None)))


async def _hand_in(
    at: OpenDesk, papers: Iterable[Paper], told: Callable[[int], None]
) -> list[ChangeOutcome | None]:
    async with databases(at.settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        counter = _Counter(at, reading, PostgresKeyVault(vault_dsn), told)
        if isinstance(papers, Sequence):
            await counter.find_signers(papers)
        coming = iter(papers)
        while some := list(islice(coming, _KEYS_AT_ONCE)):
            await counter.find_keys(some)
            for paper in some:
                await counter.take(paper)
        await counter.wait(until=0)
        return counter.outcomes


def tell(outcome: ChangeOutcome | None) -> None:
    """Tell what became of a change; exit 1 when it was refused, 4 when it waits."""
    if outcome is None:
        raise waits()
    if outcome.code == APPLIED:
        say(f"Done; entry {outcome.seq} of the log.")
    else:
        say(refusal(outcome))
        raise typer.Exit(1)


def conclude(outcome: ChangeOutcome | None, document: Mapping[str, Any], *, json_output: bool) -> None:
    """Tell what became of a change, to a person or as JSON with what it was about; ends as `tell` does."""
    if not json_output:
        tell(outcome)
        return
    json_line({**document, **outcome_document(outcome)})
    end([outcome])


def conclude_all(
    outcomes: Sequence[ChangeOutcome | None], about: Sequence[dict[str, Any]], *, json_output: bool
) -> None:
    """Tell what became of several changes; exit 1 when any was refused, 4 when any waits."""
    if json_output:
        changes = [{**one, **outcome_document(outcome)} for one, outcome in zip(about, outcomes, strict=True)]
        json_line({"changes": changes})
    else:
        for outcome in filter(None, outcomes):
            with suppress(typer.Exit):
                tell(outcome)
        if waiting := sum(outcome is None for outcome in outcomes):
            waits(waiting)
    end(outcomes)


def outcome_document(outcome: ChangeOutcome | None) -> dict[str, Any]:
    """What became of a change, as JSON; `waiting` when no engine looked at it yet."""
    if outcome is None:
        return {"outcome": "waiting", "detail": "", "entry": None}
    return {"outcome": outcome.code, "detail": outcome.detail, "entry": outcome.seq}


def is_made(outcome: ChangeOutcome | None) -> bool:
    """Whether a change is made."""
    return outcome is not None and outcome.code == APPLIED


def may_be_made(outcome: ChangeOutcome | None) -> bool:
    """Whether a change is made, or waits and may yet be."""
    return outcome is None or is_made(outcome)


def refusal(outcome: ChangeOutcome) -> str:
    """Why a change was refused, and what to do about it."""
    known = {code.value: code.sentence for code in ChangeRefusal}
    why, detail = known.get(outcome.code, ""), outcome.detail
    if why and detail:
        why, detail = f"{why.removesuffix('.')} ({detail.removesuffix('.')}).", ""
    parts = [why, detail, _HINTS.get(outcome.code, "")]
    return " ".join([f"Refused: {outcome.code}.", *(_sentence(part) for part in parts if part)])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


class _Counter:
    """Hands changes in while not too many are under way; stops waiting for good when nobody answers."""

    def __init__(
        self, at: OpenDesk, reading: PostgresReading, vault: PostgresKeyVault, told: Callable[[int], None]
    ) -> None:
        self.outcomes: list[ChangeOutcome | None] = []
        self._at = at
        self._reading = reading
        self._told = told
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._somebody_answers = True
        self._signers: dict[type, Signer] = {}
        self._vault = vault
        self._keys: Mapping[HolderId, bytes] = {}

    async def find_keys(self, papers: Sequence[Paper]) -> None:
        """Have a key for everybody who is given a name here: it is made before they are registered."""
        named = [
            paper.content.holder for paper in papers if paper.name and isinstance(paper.content, HolderChange)
        ]
        self._keys = await self._vault.ensure(self._at.site, named) if named else {}
        forgotten = sorted(set(named) - self._keys.keys())
        if forgotten:
            raise PeopleError(
                f"{', '.join(forgotten)} was forgotten, for good: register whoever comes back under another id."
            )

    def _sealed_name(self, paper: Paper) -> bytes | None:
        if not paper.name or not isinstance(paper.content, HolderChange):
            return None
        holder = paper.content.holder
        return seal_name(paper.name, key=self._keys[holder], site=self._at.site, holder=holder)

    async def find_signers(self, papers: Sequence[Paper]) -> None:
        """Make sure that all of them can be signed, and by one who may, before the first of several is handed in."""
        for paper in papers:
            who, at = (await self._signer(paper.content)).operator, self._at
            registers = len(papers) > 1 and isinstance(paper.content, HolderChange)
            if registers and not may(who, Deed.REGISTER_HOLDER, about=at.tenant, host=at.trust.host):
                raise OperatorError(
                    f"{who.id} may register nobody for {at.tenant}: name another with --operator."
                )

    async def take(self, paper: Paper) -> None:
        change, outcome = await self._submit(paper)
        self.outcomes.append(outcome)
        if outcome is None:
            self._under_way.append((len(self.outcomes) - 1, change))
        if len(self._under_way) >= _UNDER_WAY:
            await self.wait(until=_UNDER_WAY // 2)

    async def wait(self, *, until: int) -> None:
        while self._somebody_answers and len(self._under_way) > until:
            place, change = self._under_way.popleft()
            self.outcomes[place] = outcome = await outcome_of(self._reading, self._at.site, change)
            self._somebody_answers = outcome is not None
            self._told(place + 1)

    async def _submit(self, paper: Paper) -> tuple[bytes, ChangeOutcome | None]:
        """Hand one in under its first id that was not refused; an outcome when it was made before."""
        for attempt in range(_ATTEMPTS):
            change = paper.number(attempt)
            before = await self._reading.outcome(self._at.site, change)
            if before is not None and before.code == APPLIED:
                return change, before
            if before is None:
                signer = await self._signer(paper.content)
                document = signer.sign(paper.content, change_id=change, at=datetime.now(UTC))
                await self._reading.submit(
                    self._at.site, change=change, document=document, name=self._sealed_name(paper)
                )
                return change, None
        raise PeopleError("This was refused too often: see `gatekeeper watch`, and change what it says.")

    async def _signer(self, content: ChangeContent) -> Signer:
        """Who signs changes of this kind about the tenant's people. Raises OperatorError before any is handed in."""
        kind, at = type(content), self._at
        if kind not in self._signers:
            self._signers[kind] = await signer_for(
                self._reading, at.settings, at.site, content, tenant=at.tenant
            )
        return self._signers[kind]
