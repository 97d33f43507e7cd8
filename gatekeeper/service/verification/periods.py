"""Which periods each policy of a site named, by its version: what an entry about a deletion is held against."""

from collections.abc import Mapping, Sequence

from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import Anchor, TrustRefused, read_trust
from gatekeeper.model.policy import policy_version
from gatekeeper.model.retention import Retention
from gatekeeper.ports import StoredDocument

__all__ = ["periods_of"]


def periods_of(documents: Sequence[StoredDocument], *, anchor: Anchor) -> Mapping[str, Retention]:
    """Read every policy that was in force, under the trust list of then; what is not believed is left out."""
    found: dict[str, Retention] = {}
    trust_list, policy = b"", b""
    for document in sorted(documents, key=lambda one: one.seq):
        if document.kind == "trust":
            trust_list = document.content
        else:
            policy = document.content
        trust = read_trust(trust_list, anchor=anchor, not_below=0)
        if isinstance(trust, TrustRefused):
            continue
        read = read_policy(policy, trust=trust)
        if not isinstance(read, PolicyRefused):
            found[policy_version((policy, trust.document)).hex()] = read.written.retention
    return found
