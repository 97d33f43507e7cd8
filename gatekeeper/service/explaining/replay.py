"""Replaying the log: every decision made again from its stored facts and its policy's version; a difference is an alarm.

Policies and trust lists are kept in all their versions, so what was in force at an entry is known by its place. An entry
whose person was forgotten, or whose personal part cannot be opened, is counted and said: nothing is guessed.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag

from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.replay import DECIDED, Difference, recollect, redecide
from gatekeeper.core.trust import Anchor, TrustRefused, read_trust
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.policy import Policy
from gatekeeper.ports import StoredDocument, StoredEntry
from gatekeeper.service.engine.sealing import open_personal

__all__ = ["ReplayReport", "Replayed", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A decision that would not be made again as it was."""

    seq: int
    differences: Sequence[Difference]


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """What came of a replay. `closed` are entries whose personal part could not be opened any more."""

    decisions: int = 0
    closed: int = 0
    differing: list[Replayed] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether every decision that could be made again was made again."""
        return not self.differing


class _Policies:
    """The policies of a site by when they were put in force."""

    def __init__(self, documents: Sequence[StoredDocument], anchor: Anchor) -> None:
        self._anchor = anchor
        self._steps = sorted(documents, key=lambda one: one.seq)
        self._at = 0
        self._trust = b""
        self._policy = b""
        self._compiled: Policy | None = None

    def at(self, seq: int) -> Policy | None:
        """The policy under which an entry was decided: that of the last documents before it. Ask in order."""
        while self._at < len(self._steps) and self._steps[self._at].seq < max(seq, 1):
            step = self._steps[self._at]
            self._trust, self._policy = (
                (step.content, self._policy) if step.kind == "trust" else (self._trust, step.content)
            )
            self._compiled = None
            self._at += 1
        if self._compiled is None:
            self._compiled = self._compile()
        return self._compiled

    def _compile(self) -> Policy | None:
        trust = read_trust(self._trust, anchor=self._anchor, not_below=0)
        if isinstance(trust, TrustRefused):
            return None
        policy = compile_from(self._policy, trust=trust)
        return None if isinstance(policy, PolicyRefused) else policy


def policy_at(documents: Sequence[StoredDocument], *, anchor: Anchor, seq: int) -> Policy | None:
    """The policy under which an entry was made; None where none is believed."""
    return _Policies(documents, anchor).at(seq)


async def replay(
    site: SiteId,
    entries: AsyncIterator[StoredEntry],
    *,
    documents: Sequence[StoredDocument],
    anchor: Anchor,
    keys: Mapping[HolderId, bytes],
    progress: Any = None,
) -> ReplayReport:
    """Make every decision among the entries again."""
    report = ReplayReport()
    policies = _Policies(documents, anchor)
    async for entry in entries:
        if progress is not None:
            progress(entry.seq)
        if entry.kind not in DECIDED:
            continue
        personal = _opened(entry, site, keys)
        if personal is None:
            report.closed += 1
            continue
        differences = _again(entry, personal, policies.at(entry.seq), site)
        report.decisions += 1
        if differences:
            report.differing.append(Replayed(seq=entry.seq, differences=differences))
    return report


def _opened(entry: StoredEntry, site: SiteId, keys: Mapping[HolderId, bytes]) -> Mapping[str, Any] | None:
    key = keys.get(entry.person) if entry.person is not None else None
    if key is None or entry.personal is None:
        return None
    try:
        opened: Mapping[str, Any] = json.loads(
            open_personal(entry.personal, key=key, site=site, seq=entry.seq)
        )
    except InvalidTag:
        return None
    return opened


def _again(
    entry: StoredEntry, personal: Mapping[str, Any], policy: Policy | None, site: SiteId
) -> list[Difference]:
    body = json.loads(entry.body)
    if policy is None:
        return [Difference(what="policy", logged=body.get("policy"), decided="not believed any more")]
    try:
        asked = recollect(body, personal, site=site)
    except (KeyError, TypeError, ValueError) as error:
        return [Difference(what="facts", logged=type(error).__name__, decided="cannot be read")]
    return redecide(policy, asked, body)
