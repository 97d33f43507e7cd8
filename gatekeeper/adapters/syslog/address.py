"""Where a collector is, parsed once from a URL."""

from dataclasses import dataclass
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from typing_extensions import override

from gatekeeper.config import SettingError

__all__ = ["CollectorAddress", "Way"]

Way = Literal["tcp", "tls", "udp"]
"""How messages travel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorAddress:
    """A collector's address."""

    way: Way
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `tcp://host:port`, `tls://host:port` or `udp://host:port`. Raises SettingError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = parts = None
        if parts is None or not host or not port or parts.scheme not in get_args(Way):
            raise SettingError("A collector is named as tcp://host:port, tls://host:port or udp://host:port.")
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            raise SettingError("A collector's address ends after the port, and names nobody.")
        return cls(way=parts.scheme, host=host, port=port)  # type: ignore[arg-type]  # it is one of them

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.way}://{host}:{self.port}"
