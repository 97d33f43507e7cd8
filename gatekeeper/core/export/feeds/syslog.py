r"""A record as a syslog message (RFC 5424), and as a frame of a stream (RFC 6587, section 3.4.1; RFC 5425, section 4.3).

    <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [origin ...][gatekeeper@NUMBER ...] MSG

The facility is 13, log audit; the host is the site, for the log is the site's and moves between machines. The element of
our own needs an enterprise number, which whoever runs the collector chooses; without one there is none. In its values `"`,
`\` and `]` have a backslash before them. A MSG that is not plain ASCII begins with a byte order mark (section 6.4).
"""

import re
from collections.abc import Mapping
from typing import Final

from gatekeeper.core.export.feeds.classes import weight_of
from gatekeeper.core.export.feeds.entries import PublicEntry

__all__ = ["octet_counted", "structured_element", "syslog_message"]

_LOG_AUDIT: Final = 13
_MSGID: Final = 32
_BOM: Final = b"\xef\xbb\xbf"
_ESCAPED: Final = re.compile(r'(["\\\]])')


def syslog_message(
    entry: PublicEntry, record: bytes, *, program: str, enterprise: int | None = None
) -> bytes:
    """The message that carries the record of an entry; `program` is this program's version."""
    priority = 8 * _LOG_AUDIT + weight_of(entry).syslog
    kind = (entry.kind or "entry.altered")[:_MSGID]
    elements = structured_element("origin", {"software": "Gatekeeper", "swVersion": program})
    if enterprise is not None:
        elements += structured_element(f"gatekeeper@{enterprise}", _ours(entry))
    head = f"<{priority}>1 {entry.at} {entry.site} gatekeeper - {kind} {elements} "
    return head.encode() + (b"" if record.isascii() else _BOM) + record


def structured_element(name: str, parameters: Mapping[str, str]) -> str:
    """An element of structured data (RFC 5424, section 6.3)."""
    said = "".join(f' {key}="{_ESCAPED.sub(_with_backslash, value)}"' for key, value in parameters.items())
    return f"[{name}{said}]"


def octet_counted(message: bytes) -> bytes:
    """A message as a frame of a stream."""
    return b"%d %b" % (len(message), message)


def _with_backslash(found: re.Match[str]) -> str:
    return f"\\{found[1]}"


def _ours(entry: PublicEntry) -> dict[str, str]:
    told = {
        "site": entry.site,
        "seq": str(entry.seq),
        "leaf": entry.leaf,
        "rendering": "lossy",
        "gate": entry.told("gate"),
        "tenant": entry.told("tenant"),
    }
    return {key: value for key, value in told.items() if value is not None}
