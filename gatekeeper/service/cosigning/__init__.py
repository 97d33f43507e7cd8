"""Getting the log cosigned: memory of it with others, who find out when it is rewritten.

policy      which witnesses are asked, and where
asking      one witness and one tree: from what the witness knows to its cosignature
cosigning   all witnesses and all trees, round by round, beside the way of a scan and never in it
"""

from gatekeeper.service.cosigning.cosigning import Cosigning
from gatekeeper.service.cosigning.policy import AskedWitness, PolicyRefusedError, asked_witnesses, read_policy

__all__ = ["AskedWitness", "Cosigning", "PolicyRefusedError", "asked_witnesses", "read_policy"]
