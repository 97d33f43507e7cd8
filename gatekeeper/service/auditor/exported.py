"""The export's own entry: the log itself says who exports what, and why, and the manifest must say the same."""

from collections.abc import Mapping
from typing import Any, Final

from gatekeeper.core.audit import timestamp
from gatekeeper.core.export import Manifest
from gatekeeper.service.auditor.documents import canonical_object
from gatekeeper.service.auditor.findings import Fault, fault, refusal
from gatekeeper.transparency import Refused, leaf_hash, verify_inclusion

__all__ = ["hold_export"]

_MEMBER: Final = "export.json"
_KIND: Final = "log.exported"


def hold_export(document: bytes, manifest: Manifest, proof: tuple[bytes, ...]) -> None:
    """See that the entry is in the tree, and that it and the manifest tell the same. Raises `Found`."""
    refused = verify_inclusion(
        index=manifest.export.index,
        size=manifest.size,
        leaf=leaf_hash(document),
        proof=proof,
        root=manifest.root,
    )
    if isinstance(refused, Refused):
        raise refusal(refused, member=_MEMBER)
    body = _body(document)
    trees = body.get("trees")
    if type(trees) is not dict or trees.get(manifest.tree) != manifest.export.index:
        raise fault(Fault.EXPORT_OTHER, member=_MEMBER, index=manifest.export.index, detail="trees")
    for name, said in _claims(manifest).items():
        found = body.get(name)
        if type(found) is not type(said) or found != said:
            raise fault(Fault.EXPORT_OTHER, member=_MEMBER, index=manifest.export.index, detail=name)


def _body(document: bytes) -> Mapping[str, Any]:
    body = canonical_object(document)
    if body is None or body.get("kind") != _KIND:
        raise fault(Fault.EXPORT_FORM, member=_MEMBER)
    return body


def _claims(manifest: Manifest) -> dict[str, Any]:
    """What the entry must say when the manifest is true: None for what it must not say at all."""
    selection, export = manifest.selection, manifest.export
    return {
        "site": manifest.site,
        "tree": manifest.tree,
        "seq": export.seq,
        "at": export.at,
        "by": export.by,
        "author": export.author,
        "approved_by": export.approved_by,
        "reason": export.reason,
        "from": None if manifest.since is None else timestamp(manifest.since),
        "to": None if manifest.until is None else timestamp(manifest.until),
        "doors": list(selection.doors) or None,
        "decisions": list(selection.decisions) or None,
        "one_holder": True if selection.holder is not None else None,
        "openings": manifest.openings,
    }
