"""Identifiers: plain strings at run time, different types to the checker.

Every name that a person chooses obeys one pattern, because names become MQTT topic levels, file names and
certificate subjects: `^[a-z0-9-]{1,32}$`. A badge id is the hexadecimal of its sixteen `cti` bytes.
"""

import re
from typing import NewType

__all__ = [
    "AccessPointId",
    "BadgeId",
    "BootId",
    "GateId",
    "HolderId",
    "OperatorId",
    "ProfileId",
    "ScheduleId",
    "SiteId",
    "TenantId",
    "ZoneId",
    "is_name",
]

SiteId = NewType("SiteId", str)
TenantId = NewType("TenantId", str)
ZoneId = NewType("ZoneId", str)
GateId = NewType("GateId", str)
AccessPointId = NewType("AccessPointId", str)
HolderId = NewType("HolderId", str)
BadgeId = NewType("BadgeId", str)
ProfileId = NewType("ProfileId", str)
ScheduleId = NewType("ScheduleId", str)
BootId = NewType("BootId", bytes)
OperatorId = NewType("OperatorId", str)

_NAME = re.compile(r"[a-z0-9-]{1,32}")


def is_name(text: str) -> bool:
    """Say whether a text may name a site, tenant, zone, gate, access point, profile, schedule, holder or operator."""
    return _NAME.fullmatch(text) is not None
