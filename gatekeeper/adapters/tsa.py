"""A time-stamping authority over HTTP (RFC 3161, 3.4): a query goes there, a reply with a token comes back.

What is checked here is that the reply answers the query. Whose token it is, nobody here knows: whoever verifies brings the
certificates that he believes. Needs the extra `timestamp`.
"""

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import httpx

from gatekeeper.ports import TimestampUnavailableError

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse

__all__ = ["HttpTimestampAuthority"]

_LIMIT: Final = 30.0
_MOST_BYTES: Final = 65536
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_GRANTED: Final = 0


class HttpTimestampAuthority:
    """One authority, by its URL."""

    def __init__(self, url: str) -> None:
        """Raises ImportError without the extra `timestamp`."""
        import rfc3161_client  # noqa: PLC0415 - an extra, asked for where it is needed

        self._client: Final = rfc3161_client
        self._url: Final = url

    async def stamp(self, text: bytes) -> bytes:
        """Have the SHA-256 of a text stamped; give the reply. Raises TimestampUnavailableError."""
        builder = self._client.TimestampRequestBuilder(
            data=text, hash_algorithm=self._client.HashAlgorithm.SHA256
        )
        request = builder.build()
        reply = await self._ask(request.as_bytes())
        try:
            response = self._client.decode_timestamp_response(reply)
            answers = _answers(response, request, text)
        except ValueError as error:
            raise TimestampUnavailableError("The time-stamping authority's reply is none.") from error
        if not answers:
            raise TimestampUnavailableError("The time-stamping authority did not stamp what it was given.")
        return reply

    async def _ask(self, query: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        reply = b""
        try:
            async with (
                asyncio.timeout(_LIMIT),
                httpx.AsyncClient(timeout=_LIMIT) as client,
                client.stream("POST", self._url, content=query, headers=headers) as answer,
            ):
                if answer.status_code != httpx.codes.OK:
                    raise TimestampUnavailableError(
                        f"The time-stamping authority answers {answer.status_code}."
                    )
                async for part in answer.aiter_bytes():
                    reply += part
                    if len(reply) > _MOST_BYTES:
                        raise TimestampUnavailableError("The time-stamping authority's reply has no end.")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise TimestampUnavailableError(
                f"The time-stamping authority cannot be reached: {type(error).__name__}."
            ) from error
        return reply


def _answers(response: "TimeStampResponse", request: "TimeStampRequest", text: bytes) -> bool:
    """Whether a reply grants a token over this text, and for this query and no earlier one. Raises ValueError."""
    if response.status != _GRANTED:
        return False
    stamped = response.tst_info
    imprint = stamped.message_imprint
    return (
        imprint.hash_algorithm.dotted_string == _SHA256
        and imprint.message == sha256(text).digest()
        and stamped.nonce == request.nonce
    )
