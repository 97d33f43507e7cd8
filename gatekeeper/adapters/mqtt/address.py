"""Where the broker is and how to prove who we are, parsed once from a URL.

It does not open files or sockets, and it never repeats a URL in a message: a URL may hold a password.
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from typing_extensions import override

__all__ = ["BrokerAddress", "InvalidAddressError"]

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


class InvalidAddressError(ValueError):
    """The broker's URL cannot be used; the message says what to write instead, and holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """A broker's address; as text it is safe to log."""

    host: str
    port: int
    encrypted: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, password: str | None = None) -> Self:
        """Read `mqtt[s]://[user[:password]@]host[:port]`; a password given apart wins over the URL's."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise InvalidAddressError("The broker's URL must begin with mqtt:// or mqtts://.")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise InvalidAddressError(
                "The broker's URL ends after the port; write reserved characters of a password as %XX."
            )
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise InvalidAddressError("The port in the broker's URL must be a number up to 65535.") from None
        if not host or port == 0:
            raise InvalidAddressError("The broker's URL must name a host, as in mqtts://broker.example:8883.")
        username = unquote(parts.username) if parts.username else None
        if password is None and parts.password is not None:
            password = unquote(parts.password)
        if password is not None and username is None:
            raise InvalidAddressError("A broker password needs a user name: mqtt://user@host.")
        return cls(
            host=host,
            port=port or DEFAULT_PORTS[parts.scheme],
            encrypted=parts.scheme == "mqtts",
            username=username,
            password=password,
        )

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.encrypted else 'mqtt'}://{host}:{self.port}"
