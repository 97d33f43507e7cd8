"""Entries as CloudEvents 1.0.2 in JSON's structured mode: the public body is the data, byte for byte.

`leafhash`, `sequence`, `recordedtime`, `timeclock` and `rendering` are extension attributes. What stands in the log in the place
of an entry and is none is carried as bytes (`data_base64`).
"""

from base64 import b64encode
from typing import Any

import orjson

from gatekeeper.core.audit import timestamp
from gatekeeper.core.export.feeds.entries import PublicEntry

__all__ = ["cloudevent"]


def cloudevent(entry: PublicEntry, program: str) -> bytes:
    """The record of an entry; `program` is this program's version."""
    happened = entry.happened
    subject = entry.where or entry.told("tenant")
    context: dict[str, Any] = {
        "specversion": "1.0",
        "id": entry.id,
        "source": f"urn:gatekeeper:site:{entry.site}",
        "type": f"gatekeeper.{entry.kind or 'entry.altered'}",
        "time": timestamp(happened.at),
        "recordedtime": entry.at,
        "timeclock": happened.clock.value,
        **({} if subject is None else {"subject": subject}),
        "sequence": str(entry.seq),
        "leafhash": entry.leaf,
        "rendering": "lossy",
        "producer": f"gatekeeper {program}",
    }
    if entry.kind is None:
        whole = {
            "datacontenttype": "application/octet-stream",
            "data_base64": b64encode(entry.document).decode(),
        }
        return orjson.dumps({**context, **whole})
    described = {"datacontenttype": "application/json", "dataschema": "urn:gatekeeper:schema:entry:1"}
    # The body is canonical JSON on one line, so it stands as it is; made anew it would not be the bytes of the leaf.
    return orjson.dumps({**context, **described})[:-1] + b',"data":' + entry.document + b"}"
