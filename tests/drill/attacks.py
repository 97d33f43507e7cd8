"""What is done to the log: each deed clumsily (the rows only), cleverly (all that follows from them too), and with stolen keys.

Where not said otherwise it is done to what was committed before the checkpoint that is remembered.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from gatekeeper.core.audit import instant, timestamp
from tests.drill.ground import EARLY, SEEN, Ground, gone_on
from tests.drill.hand import Row, cut_off, lay_back, sealed, sign_anew, take_out
from tests.support.fort import PUPIL

__all__ = ["ATTACKS", "Attack"]

Attack = Callable[[Ground], Awaitable[Ground]]
"""Does it; gives the log as it is when an auditor comes."""
_Deed = Callable[[list[Row]], object]

_PLACE: Final = 42
_LATE_PLACE: Final = 242
_DAY: Final = timedelta(days=1)


# -- the deeds --------------------------------------------------------------------------------------------------------


def _alter(rows: list[Row], place: int = _PLACE) -> None:
    rows[place].body["gate"] = "another"


def _back_date(rows: list[Row]) -> None:
    body = rows[_PLACE].body
    body["at"] = timestamp(instant(body["at"]) - _DAY)


def _delete(rows: list[Row]) -> None:
    del rows[_PLACE]


def _insert(rows: list[Row]) -> None:
    body = rows[_PLACE].body
    nonce = secrets.token_hex(16)
    rows.insert(_PLACE, replace(rows[_PLACE], body={**body, "trees": {**body["trees"]}, "nonce": nonce}))


def _swap(rows: list[Row]) -> None:
    rows[_PLACE], rows[_PLACE + 80] = rows[_PLACE + 80], rows[_PLACE]


# -- how thoroughly ---------------------------------------------------------------------------------------------------


def _rows_only(sql: str) -> Attack:
    async def attack(ground: Ground) -> Ground:
        await ground.run(sql.format(place=_PLACE, other=_PLACE + 80))
        return ground

    return attack


def _rebuilt(deed: _Deed) -> Attack:
    """Numbers, tiles and heads follow; the signed checkpoints are left as they were, for he has no key."""

    async def attack(ground: Ground) -> Ground:
        rows = await take_out(ground.fort)
        deed(rows)
        await lay_back(ground.fort, rows)
        return ground

    return attack


def _signed(deed: _Deed) -> Attack:
    """With the log's key: every checkpoint is signed anew."""

    async def attack(ground: Ground) -> Ground:
        await _rebuilt(deed)(ground)
        await sign_anew(ground.fort)
        return ground

    return attack


def _signed_by_engine(deed: _Deed) -> Attack:
    """Without any key: the checkpoints are deleted, and the engine that starts next signs what it finds."""

    async def attack(ground: Ground) -> Ground:
        await _rebuilt(deed)(ground)
        await ground.run("DELETE FROM checkpoint WHERE site_id = $1")
        return await gone_on(ground)

    return attack


def _cut_off(size: int) -> Attack:
    async def attack(ground: Ground) -> Ground:
        await cut_off(ground.fort, size)
        return await gone_on(ground)

    return attack


# -- personal parts ---------------------------------------------------------------------------------------------------


async def _swap_parts(ground: Ground) -> Ground:
    await ground.run(
        "UPDATE personal SET sealed = other.sealed, person = other.person FROM personal AS other"
        " WHERE personal.site_id = $1 AND other.site_id = $1 AND (personal.seq, other.seq) IN (($2, $3), ($3, $2))",
        *(_PLACE, _PLACE + 80),
    )
    return ground


async def _swap_parts_with_keys(ground: Ground) -> Ground:
    rows = await take_out(ground.fort)
    one, other = rows[_PLACE], rows[_PLACE + 80]
    await _file(ground, replace(one, person=other.person, plaintext=other.plaintext))
    await _file(ground, replace(other, person=one.person, plaintext=one.plaintext))
    return ground


async def _make_up_part(ground: Ground) -> Ground:
    row = (await take_out(ground.fort))[_PLACE]
    await _file(ground, replace(row, person=PUPIL, plaintext=b'{"holder":"pupil","number":42}'))
    return ground


async def _file(ground: Ground, row: Row) -> None:
    await ground.run(
        "UPDATE personal SET person = $4, sealed = $5 WHERE site_id = $1 AND seq = $2 AND at = $3",
        *sealed(ground.fort, row),
    )


# -- all of it --------------------------------------------------------------------------------------------------------

_ALTER: Final = """
    UPDATE entry SET body = convert_to(replace(convert_from(body, 'UTF8'), 'front', 'other'), 'UTF8')
    WHERE site_id = $1 AND seq = {place}
"""
_BACK_DATE: Final = """
    UPDATE entry
    SET at = at - interval '1 year', body = convert_to(regexp_replace(convert_from(body, 'UTF8'), '"at":"....', '"at":"2001'), 'UTF8')
    WHERE site_id = $1 AND seq = {place}
"""
_DELETE: Final = "DELETE FROM entry WHERE site_id = $1 AND seq = {place}"
_INSERT: Final = """
    INSERT INTO entry
    SELECT site_id, seq, at + interval '1 microsecond', kind, body, tenant, tenant_index, owner, owner_index
    FROM entry WHERE site_id = $1 AND seq = {place}
"""
_SWAP: Final = """
    UPDATE entry SET body = other.body FROM entry AS other
    WHERE entry.site_id = $1 AND other.site_id = $1 AND (entry.seq, other.seq) IN (({place}, {other}), ({other}, {place}))
"""
_CUT_OFF: Final = "DELETE FROM entry WHERE site_id = $1 AND seq >= {place}"

_DEEDS: Final[dict[str, tuple[str, _Deed]]] = {
    "an entry altered": (_ALTER, _alter),
    "an entry back-dated": (_BACK_DATE, _back_date),
    "an entry deleted": (_DELETE, _delete),
    "an entry put in": (_INSERT, _insert),
    "two entries swapped": (_SWAP, _swap),
}
_STOLEN: Final = "all made to fit and signed with the stolen log key"

ATTACKS: Final[dict[str, Attack]] = {
    **{f"{name}, rows only": _rows_only(sql) for name, (sql, _) in _DEEDS.items()},
    **{f"{name}, all made to fit": _rebuilt(deed) for name, (_, deed) in _DEEDS.items()},
    **{f"{name}, {_STOLEN}": _signed(deed) for name, (_, deed) in _DEEDS.items()},
    f"an entry altered that is younger than what is remembered, {_STOLEN}": _signed(
        lambda rows: _alter(rows, _LATE_PLACE)
    ),
    "an entry altered, all made to fit and no key stolen: the checkpoints deleted, the engine started anew": _signed_by_engine(
        _alter
    ),
    "the end cut off, rows only": _rows_only(_CUT_OFF),
    "the end cut off, all made to fit; the engine goes on": _cut_off(100),
    "rolled back to a signed head older than what is remembered; the engine goes on": _cut_off(EARLY),
    "rolled back to the very head that is remembered; the engine goes on": _cut_off(SEEN),
    "two personal parts swapped": _swap_parts,
    "two personal parts swapped, with the vault's keys": _swap_parts_with_keys,
    "a personal part made up, with the vault's keys": _make_up_part,
}
"""By what the table in SECURITY.md calls them."""
