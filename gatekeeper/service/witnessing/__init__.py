"""The witness: remembers the latest checkpoint of every log it watches, and cosigns only what goes on from there.

    folder      its name and keys on disk               witness     the answer to a request

It shares nothing with the service whose log it watches: not its database, not its keys, not its clock. Best it stands
with somebody else, and that is all it takes to find out who rewrites a log.
"""

from gatekeeper.service.witnessing.folder import WitnessFolder, WitnessFolderError
from gatekeeper.service.witnessing.witness import Cosigned, Witness

__all__ = ["Cosigned", "Witness", "WitnessFolder", "WitnessFolderError"]
