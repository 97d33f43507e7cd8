"""Outward events: what the log says, told over MQTT to whoever integrates with the site (`schemas/onvif.md`).

    telling    follows the log, beside the engine: events once, states until they change, what is gone deleted

What is said is not known here but in `core.export.onvif`.
"""

from gatekeeper.service.outward.telling import OutwardEvents

__all__ = ["OutwardEvents"]
