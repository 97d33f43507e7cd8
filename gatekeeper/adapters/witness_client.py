"""The way to witnesses over HTTP: connections that are kept, short time limits, bounded answers, no redirects."""

import asyncio
import ssl
from typing import Final

import httpx

from gatekeeper import __version__
from gatekeeper.ports import WitnessAnswer, WitnessUnreachableError

__all__ = ["HttpWitnesses"]

_SECONDS: Final = 5.0
_LONGEST_ANSWER: Final = 256 * 1024


class HttpWitnesses:
    """Asks witnesses; connects when it is asked."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def add_checkpoint(self, url: str, body: bytes) -> WitnessAnswer:
        """Ask the witness at a URL for its cosignature (C2SP tlog-witness, add-checkpoint)."""
        try:
            async with asyncio.timeout(2 * _SECONDS):
                return await self._asked(f"{url.rstrip('/')}/add-checkpoint", body)
        except (TimeoutError, httpx.TimeoutException):
            raise WitnessUnreachableError(f"{url} does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WitnessUnreachableError(f"{url}: {type(error).__name__} {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def _asked(self, url: str, body: bytes) -> WitnessAnswer:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=_SECONDS,
                headers={"user-agent": f"gatekeeper/{__version__}"},
                verify=ssl.create_default_context(),  # what this machine trusts, not a list that came with a library
            )
        async with self._client.stream("POST", url, content=body) as response:
            answer = bytearray()
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > _LONGEST_ANSWER:
                    raise WitnessUnreachableError(f"{url} answers with more than {_LONGEST_ANSWER} bytes")
            return WitnessAnswer(status=response.status_code, body=bytes(answer))
