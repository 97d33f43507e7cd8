"""Collectors of syslog messages: over TCP, over TLS (RFC 5425), or by UDP (RFC 5426)."""

from gatekeeper.adapters.syslog.address import CollectorAddress
from gatekeeper.adapters.syslog.link import CollectorLink, trusting

__all__ = ["CollectorAddress", "CollectorLink", "trusting"]
