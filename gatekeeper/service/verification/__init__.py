"""Verifying a log: every body is hashed anew, every tree rebuilt, every checkpoint compared.

Nothing that the database says of itself is believed: not its heads, not its tiles, not its indexes. What is trusted is
the log's public key, checkpoints that the verifier saw before, when there are any, and whoever a policy of witnesses names.
`Report.unchecked` says what could not be looked at, so that silence is never taken for proof. Whatever stands in the rows,
nothing here raises.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag

from gatekeeper.core.audit import SITE_TREE, canonical_json, commitment, timestamp
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.retention import Retention
from gatekeeper.ports import StoredEntry
from gatekeeper.service.auditor import Fault, Seen
from gatekeeper.service.auditor.vouching import NEVER_SEEN, why_unsigned
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.verification.brought import Brought, hold_keys
from gatekeeper.service.verification.claims import (
    Claimed,
    Cosigned,
    FiledEntry,
    Report,
    SignedHead,
    WrongHead,
    WrongTile,
)
from gatekeeper.service.verification.deletions import Deletions
from gatekeeper.service.verification.rebuilding import Rebuilding
from gatekeeper.service.verification.vouching import Cosignatures, hold_stamps
from gatekeeper.service.words import counted, shown
from gatekeeper.transparency import Refused, Verifier, open_checkpoint

__all__ = [
    "Brought",
    "Claimed",
    "Cosigned",
    "FiledEntry",
    "Report",
    "SignedHead",
    "WrongHead",
    "WrongTile",
    "verify_log",
]

_SHORTEST_SEALED = 28
"""The nonce and the tag of AES-256-GCM: no personal part is shorter, whoever's it is."""


async def verify_log(
    site: SiteId,
    entries: AsyncIterator[FiledEntry],
    *,
    claimed: Claimed,
    verifiers: Mapping[str, Sequence[Verifier]],
    keys: Mapping[HolderId, bytes] | None,
    periods: Mapping[str, Retention] | None = None,
    brought: Brought | None = None,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Verify a site's log from its bodies, given up to the head that is claimed for it.

    `keys` open personal parts, where the verifier may; None leaves them closed. `periods` are those of every policy, by its
    version (see `periods`): what was deleted is held against them. `brought` is what the log is held against of what
    who verifies knows. Raises CannotCheckError when that cannot be used.
    """
    brought, report = brought or Brought(), Report()
    hold_keys(site, brought, verifiers, report)
    signed = _signed(claimed, verifiers, report)
    cosignatures = Cosignatures(
        claimed, signed=signed, verifiers=verifiers, policy=brought.policy, report=report
    )
    deletions = Deletions(claimed, periods, report)
    seen = {tree: brought.seen(tree) for tree in brought.trees}
    rebuilding = Rebuilding(claimed, signed=signed, seen=seen, deletions=deletions, report=report)
    personal = _PersonalParts(site, keys, report)
    async for filed in entries:
        body = _read(filed.entry, site, report)
        rebuilding.add(filed, body)
        deletions.entry(filed.entry, body)
        personal.add(filed.entry, body)
        if progress is not None:
            progress(report.entries)
    rebuilding.finish()
    deletions.finish()
    cosignatures.finish(rebuilding.sizes, rebuilding.borne_out)
    hold_stamps(claimed, brought.stamp, report)
    report.unchecked += [*_unsigned(report, seen.get(SITE_TREE, ())), *personal.unchecked()]
    return report


def _read(entry: StoredEntry, site: SiteId, report: Report) -> Mapping[str, Any] | None:
    """Read a body and hold it against the columns it is filed under; None when it cannot be read."""
    try:
        body = orjson.loads(entry.body)
    except ValueError:
        report.problems.append(f"entry {entry.seq} is no JSON")
        return None
    if not isinstance(body, dict) or not _is_canonical(body, entry.body):
        report.problems.append(f"entry {entry.seq} is not in its canonical form")
        return body if isinstance(body, dict) else None
    if body.get("site") != site:
        report.problems.append(f"entry {entry.seq} belongs to another site")
    for column, filed in (("kind", entry.kind), ("at", timestamp(entry.at))):
        if body.get(column) != filed:
            report.problems.append(
                f"entry {entry.seq} is filed as {shown(filed)}, but says {shown(body.get(column))}"
            )
    return body


def _is_canonical(body: Mapping[str, Any], stored: bytes) -> bool:
    try:
        return canonical_json(body) == stored
    except TypeError:  # nested too deeply to be written again
        return False


def _signed(
    claimed: Claimed, verifiers: Mapping[str, Sequence[Verifier]], report: Report
) -> Mapping[tuple[str, int], SignedHead]:
    """Hold every checkpoint against the log's key and its own row; give those that stand, by tree and size."""
    signed = {}
    for tree, size, root, note in claimed.checkpoints:
        opened = open_checkpoint(note, verifiers.get(tree, ()))
        name = f"the checkpoint of {shown(tree)} at {size}"
        if isinstance(opened, Refused):
            report.found(why_unsigned(opened), f"{name} is not signed by the log's key")
        elif (opened.checkpoint.size, opened.checkpoint.root) != (size, root):
            report.found(Fault.CHECKPOINT_OTHER, f"{name} says something else than its row")
        else:
            report.checkpoints += 1
            signed[tree, size] = SignedHead(
                size=size, root=root, note=note, key=opened.signatures[0].verifier
            )
    return signed


def _unsigned(report: Report, seen: Sequence[Seen]) -> list[str]:
    newest = report.newest.get(SITE_TREE)
    signed, size = 0 if newest is None else newest.size, report.deleted + report.entries
    unchecked = [] if seen else [NEVER_SEEN]
    if signed == 0 and size:
        unchecked.append("who wrote the log: it holds no signed checkpoint")
    elif signed < size:
        unchecked.append(
            f"who wrote the entries from {signed} on: the newest signed checkpoint ends before them"
        )
    return unchecked


class _PersonalParts:
    """Opens what is personal and holds it against the commitments; counts what nobody can open."""

    def __init__(self, site: SiteId, keys: Mapping[HolderId, bytes] | None, report: Report) -> None:
        self._site = site
        self._keys = keys
        self._report = report
        self._closed = 0
        self._strangers: set[HolderId] = set()

    def add(self, entry: StoredEntry, body: Mapping[str, Any] | None) -> None:
        committed = None if body is None else body.get("personal")
        if entry.personal is None or entry.person is None:
            return
        name = f"the personal part of entry {entry.seq}"
        if len(entry.personal) < _SHORTEST_SEALED:
            self._report.problems.append(f"{name} is altered: it is too short to be one")
            return
        if self._keys is None:
            return
        key = self._keys.get(entry.person)
        if key is None:
            self._closed += 1
            self._strangers.add(entry.person)
            return
        try:
            plaintext = open_personal(entry.personal, key=key, site=self._site, seq=entry.seq)
        except InvalidTag:
            self._report.problems.append(f"{name} is altered or another's")
            return
        if commitment(plaintext) != committed:
            self._report.problems.append(f"{name} is not the one committed to")
        self._report.personal_opened += 1

    def unchecked(self) -> list[str]:
        if self._keys is None:
            return ["that personal parts match their commitments: no keys were given"]
        if not self._closed:
            return []
        # A key that was destroyed leaves no trace, and for somebody invented there never was one.
        closed, strangers = counted(self._closed, "personal part"), counted(len(self._strangers), "person")
        return [f"{closed} without a key, of {strangers} forgotten or never known"]
