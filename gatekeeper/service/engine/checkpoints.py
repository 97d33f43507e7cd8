"""The newest checkpoint of the site's log, for every gate to remember: published when it was signed, and after every reconnection.

A gate is memory outside the database. What was signed is published as it is, retained, with the instant of the newest entry under
it: an engine that lost its site without knowing signs nothing that looks later than what its successor signed.
"""

import asyncio
from datetime import datetime

from gatekeeper import cose
from gatekeeper.model.ids import SiteId
from gatekeeper.model.messages import CHECKPOINT_TYPE, LogCheckpoint
from gatekeeper.model.topics import checkpoint_topic
from gatekeeper.ports import Transport

__all__ = ["CheckpointAnnouncer"]


class CheckpointAnnouncer:
    """Publishes the newest of what it is given; what is not out yet when a newer one comes never goes out."""

    def __init__(self, *, site: SiteId, key: cose.SigningKey, prefix: str, transport: Transport) -> None:
        self._site = site
        self._key = key
        self._topic = checkpoint_topic(site, prefix=prefix)
        self._transport = transport
        self._newest: bytes | None = None
        self._due = asyncio.Event()

    def signed(self, note: bytes, *, at: datetime) -> None:
        """A checkpoint of the site's tree was signed and kept; `at` is when the newest entry under it was made."""
        payload = LogCheckpoint(site=self._site, note=note, at=at).payload()
        self._newest = cose.sign(
            payload, key=self._key, typ=CHECKPOINT_TYPE, external_aad=self._topic.encode()
        )
        self._due.set()

    def link_up(self) -> None:
        """The broker is there again, and may have lost what it retained."""
        if self._newest is not None:
            self._due.set()

    async def run(self) -> None:
        """Publish until cancelled. What finds no link goes out with the next one."""
        while True:
            await self._due.wait()
            self._due.clear()
            if self._newest is not None:
                self._transport.publish(self._topic, self._newest, retain=True)
