"""Forgetting, to the end: what a commit begins, and what may take long or lies in another database.

    person.erased, rows deleted: one commit -> receipts and sealed parts name nobody -> the key is destroyed -> done

Each step can be taken twice, so that an engine which is killed between two is followed by one that takes them again. It goes
both ways: who is forgotten in the log has no key when an engine starts, even where the vault was restored; and who has no key
any more is forgotten in the log again, even where the log was restored.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
import structlog
from cryptography.exceptions import InvalidTag

from gatekeeper.core.audit import Kind, commitment, read_body
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import KeyVault, Ledger, StoredEntry
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.sealed import seal_name

__all__ = ["Forgetting"]

_ROWS_AT_ONCE: Final = 1000
_NAMES_AT_ONCE: Final = 1000

_log = structlog.get_logger("gatekeeper.engine")


class Forgetting:
    """What an engine does about who is forgotten, beside the way of a scan."""

    def __init__(self, site: SiteId, *, ledger: Ledger, vault: KeyVault) -> None:
        self._site = site
        self._ledger = ledger
        self._vault = vault

    async def reconcile(self, erased: frozenset[HolderId]) -> frozenset[HolderId]:
        """Destroy the keys of who is forgotten in the log; give those whom only the vault knows to be forgotten."""
        destroyed = await self._vault.destroyed(self._site)
        for holder in sorted(erased - destroyed):
            await self._destroy(holder)
        return destroyed - erased

    async def finish(self) -> None:
        """Take what is left of who was forgotten, a little at a time, and then their keys."""
        for holder in await self._ledger.unforgotten(self._site):
            while await self._ledger.let_go(self._site, holder, most=_ROWS_AT_ONCE) == _ROWS_AT_ONCE:
                pass
            # INVARIANT: nobody is told that somebody is forgotten before the key is gone.
            if await self._destroy(holder):
                await self._ledger.forgotten(self._site, holder)
                _log.info("person forgotten", site=self._site)

    async def _destroy(self, holder: HolderId) -> bool:
        """Destroy a key, if an entry says so under that very key: a row alone destroys nothing."""
        key = (await self._vault.keys_of(self._site, [holder])).get(holder)
        entry = await self._ledger.erasure(self._site, holder)
        if key is not None and not (entry is not None and _says(entry, holder, key, self._site)):
            _log.warning("a row says that a person was forgotten, and no entry does", site=self._site)
            return False
        await self._vault.destroy(self._site, [holder])
        return True

    async def seal_plain_names(self, keys: Mapping[HolderId, bytes]) -> Mapping[HolderId, bytes]:
        """Seal the names that a former version kept as they are; give the keys that were made for it."""
        made: dict[HolderId, bytes] = {}
        while plain := await self._ledger.plain_names(self._site, most=_NAMES_AT_ONCE):
            made |= await self._vault.ensure(self._site, _strangers(plain, keys))
            known = {**keys, **made}
            sealed = {
                holder: seal_name(name, key=known[holder], site=self._site, holder=holder)
                if holder in known
                else b""
                for holder, name in plain.items()
            }
            await self._ledger.seal_names(self._site, sealed)
        return made


def _strangers(plain: Mapping[HolderId, str], keys: Mapping[HolderId, bytes]) -> Sequence[HolderId]:
    return [holder for holder in plain if holder not in keys]


def _says(entry: StoredEntry, holder: HolderId, key: bytes, site: SiteId) -> bool:
    """Whether an entry says of this person that they were forgotten.

    INVARIANT: who can write to the log's database, and has no person's key, destroys nobody's.
    """
    body = read_body(entry.body, site=site, seq=entry.seq)
    if body is None or body["kind"] != Kind.PERSON_ERASED or entry.personal is None:
        return False
    try:
        opened = open_personal(entry.personal, key=key, site=site, seq=entry.seq)
    except (InvalidTag, ValueError):
        return False
    return commitment(opened) == body.get("personal") and orjson.loads(opened)["holder"] == holder
