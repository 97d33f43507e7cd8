r"""The gate's certificate is renewed at two thirds of its life, while the gate works.

    waits --two thirds are over--> asks, with a new key --granted--> on the disk --> the link begins anew --> waits
                                        \--not granted--> asks again, until it has ended and after that too

A link that begins anew loses nothing: what is not answered the controller sends again. What is refused is told and asked
again all the same, for who revoked the gate may have been mistaken; the former certificate stays until another is whole.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from devices.certificate import CertificateError, keep_granted, make_request, read_certificate
from devices.link import GateLink
from devices.settings import TLS, GateSettings
from devices.site_desk import DeskAwayError, DeskRefusedError, SiteDesk
from gatekeeper.core.certificates import renewal_due

__all__ = ["CertificateRenewal"]

_LOOKS: Final = timedelta(minutes=10)
_AGAIN: Final = timedelta(minutes=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CertificateRenewal:
    """Keeps one gate's certificate fresh."""

    def __init__(
        self,
        settings: GateSettings,
        link: GateLink,
        desk: SiteDesk,
        *,
        folder: Path,
        clock: Callable[[], datetime] = _utc_now,
        again: timedelta = _AGAIN,
    ) -> None:
        self._settings: Final = settings
        self._link: Final = link
        self._desk: Final = desk
        self._folder: Final = folder
        self._clock: Final = clock
        self._again: Final = again
        self._log: Final = structlog.get_logger().bind(gate=settings.gate)

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                wait = self.until_due()
            except (CertificateError, OSError) as error:
                # It cannot be renewed then, and the gate goes on for as long as the broker lets it.
                self._log.warning("certificate not renewed", why=str(error))
                wait = _LOOKS
            if wait > timedelta(0):
                # Not in one go: a clock that is set meanwhile must not put it off for days.
                await asyncio.sleep(min(wait, _LOOKS).total_seconds())
            elif not await self.renew():
                await asyncio.sleep(self._again.total_seconds())

    def until_due(self) -> timedelta:
        """How long the certificate on the disk has until two thirds of its life are over; negative after that."""
        return renewal_due(read_certificate(self._folder / TLS)) - self._clock()

    async def renew(self) -> bool:
        """Ask for the next certificate now, and begin the link anew with it; whether that was done."""
        try:
            await asyncio.to_thread(self._replace)
        except (DeskAwayError, DeskRefusedError, CertificateError, OSError) as error:
            self._log.warning("certificate not renewed", why=str(error))
            return False
        self._link.begin_anew()
        self._log.info("certificate renewed")
        return True

    def _replace(self) -> None:
        settings = self._settings
        request = make_request(site=settings.site, gate=settings.gate, key=settings.key)
        granted = self._desk.renew(request, shown=self._folder / TLS)
        keep_granted(
            self._folder, request, granted.certificate, granted.trust, site=settings.site, now=self._clock()
        )
