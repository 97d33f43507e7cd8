"""Who signs a change from the command line, and how it is handed in: the operator's key is read here, and nowhere else.

The operator is the one who is named (`--operator`, or the setting), else the only one whose key is on this machine and
whose roles fit. What a change amounts to is known to the engine only: here it is guessed from its content, so that a
person is told early who would be needed.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import site_folder
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import (
    BadgeStateChange,
    ChangeContent,
    HoldChange,
    LockdownChange,
    LogExportChange,
    OpeningChange,
    SuspensionChange,
)
from gatekeeper.core.enact import DEEDS
from gatekeeper.core.operators import Deed, Operator, Operators
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.core.writes import ChangeOutcome
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import OperatorId, SiteId, TenantId
from gatekeeper.service.administration.operators import (
    OperatorError,
    Signer,
    choose,
    key_of_operator,
    keys_of_operators,
)

__all__ = [
    "HandedIn",
    "Signed",
    "believed",
    "hand_in",
    "hand_over",
    "outcome_of",
    "patiently",
    "second_signer",
    "sign",
    "signer_for",
    "the_signer",
]

_T = TypeVar("_T")
_PATIENCE_SECONDS: Final = 10
_LOOK_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """A change as it was handed in, and what became of it; None while no engine has looked at it."""

    digest: bytes
    signer: Operator
    outcome: ChangeOutcome | None


async def believed(
    reading: PostgresReading, settings: Settings, site: SiteId
) -> tuple[Trust, dict[OperatorId, Operator]]:
    """The trust list in force and the operators whom it believes. Raises SettingError."""
    document = await reading.document(site, "trust")
    if document is None:
        raise SettingError(f"The database holds no site {site}.")
    trust = read_trust(document, anchor=site_folder(settings, site).read_anchor(), not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
    return trust, dict(Operators(await reading.operators(site)).believed(trust=trust))


async def signer_for(
    reading: PostgresReading,
    settings: Settings,
    site: SiteId,
    content: ChangeContent,
    *,
    tenant: TenantId | None,
    operator: str | None = None,
    deeds: tuple[Deed, ...] = (),
) -> Signer:
    """Who signs a change about a tenant's matter, or the site's (None). Raises OperatorError with what to do."""
    trust, operators = await believed(reading, settings, site)
    chosen = choose(
        operators,
        keys_of_operators(settings.data, site),
        named=operator or settings.operator,
        deeds=deeds or _likely(content),
        about=tenant,
        host=trust.host,
        now=datetime.now(UTC),
    )
    return the_signer(settings, site, chosen)


async def second_signer(
    reading: PostgresReading,
    settings: Settings,
    site: SiteId,
    *,
    deeds: tuple[Deed, ...],
    author: OperatorId,
    operator: str | None,
) -> Signer:
    """Who approves what an author has proposed. Raises OperatorError with what to do."""
    trust, operators = await believed(reading, settings, site)
    chosen = choose(
        operators,
        keys_of_operators(settings.data, site),
        named=operator or settings.operator,
        deeds=deeds,
        about=None,
        host=trust.host,
        but=author,
        second=True,
        now=datetime.now(UTC),
    )
    return the_signer(settings, site, chosen)


def the_signer(settings: Settings, site: SiteId, operator: Operator) -> Signer:
    """An operator with the key that is on this machine. Raises OperatorError when it is not, or is another's."""
    keys = keys_of_operators(settings.data, site)
    place = key_of_operator(operator.id)
    if not keys.holds(place):
        raise OperatorError(f"The key of {operator.id} is not here: {keys.root / place}.")
    key = keys.read_key(place)
    if key.kid != operator.key.kid:
        raise OperatorError(f"{keys.root / place} is not the key that the site knows {operator.id} by.")
    return Signer(operator=operator, key=key, site=site)


def _likely(content: ChangeContent) -> tuple[Deed, ...]:
    match content:
        case LockdownChange(on=on):
            return (Deed.LOCK_DOWN if on else Deed.RELEASE,)
        case SuspensionChange(on=on):
            return (Deed.SUSPEND_TENANT if on else Deed.REINSTATE_TENANT,)
        case BadgeStateChange(state=state):
            return (Deed.REINSTATE_BADGE if state is BadgeState.ACTIVE else Deed.STOP_BADGE,)
        case LogExportChange(openings=True):
            return (Deed.EXPORT_MOVEMENTS,)
        case LogExportChange(holder=holder):
            return (Deed.EXPORT_LOG if holder is None else Deed.LOOK_UP,)
        case HoldChange(on=on):
            return (Deed.PLACE_HOLD if on else Deed.LIFT_HOLD,)
        case OpeningChange():
            return (Deed.OPEN_DOOR,)  # who may open one of a high level is the same
        case _:
            return DEEDS[type(content)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A change as an operator has signed it, and its id."""

    change: bytes
    document: bytes

    @property
    def digest(self) -> bytes:
        """By what a proposal of it is known."""
        return digest_of(self.document)


def sign(signer: Signer, content: ChangeContent) -> Signed:
    """Sign a change that names nobody."""
    change = secrets.token_bytes(16)
    return Signed(change=change, document=signer.sign(content, change_id=change, at=datetime.now(UTC)))


async def hand_over(reading: PostgresReading, site: SiteId, signed: Signed) -> ChangeOutcome | None:
    """Hand a signed change in, and wait for what becomes of it; the same change twice is one."""
    await reading.submit(site, change=signed.change, document=signed.document, name=None)
    return await outcome_of(reading, site, signed.change)


async def hand_in(reading: PostgresReading, signer: Signer, content: ChangeContent) -> HandedIn:
    """Sign a change that names nobody, hand it in, and wait for what becomes of it."""
    signed = sign(signer, content)
    outcome = await hand_over(reading, signer.site, signed)
    return HandedIn(digest=signed.digest, signer=signer.operator, outcome=outcome)


async def outcome_of(reading: PostgresReading, site: SiteId, change_id: bytes) -> ChangeOutcome | None:
    """What became of a change; None when no engine has looked at it in time."""
    return await patiently(lambda: reading.outcome(site, change_id))


async def patiently(ask: Callable[[], Awaitable[_T | None]]) -> _T | None:
    """Ask for what another process does until it is there; None when it takes too long."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (found := await ask()) is None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
    except TimeoutError:
        return None
    return found
