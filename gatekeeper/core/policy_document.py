"""The policy as the host signed it: a site's rules are the host's word, and nobody else's.

    policy document   COSE_Sign1 by the host's signing key, typ application/pacs-policy+cose, external AAD the site;
                      the payload is the canonical JSON of `site_file.policy_document`, 1 MB at most

JSON lets one text be read in two ways (a key that stands there twice, a number in two spellings), so only the one
canonical spelling is read. Agreements in the text were a proposal: those that count stand in the trust list, and
`compile_from` takes them from there. Which of two documents is the newer one is not known here: the log says it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.core.trust import Trust, Use
from gatekeeper.model.ids import SiteId
from gatekeeper.model.policy import Policy, SitePolicy, compile_policy
from gatekeeper.model.site_file import SiteFileError, policy_document, read_site

__all__ = [
    "MAX_POLICY_BYTES",
    "POLICY_TYPE",
    "PolicyRefusal",
    "PolicyRefused",
    "WrittenPolicy",
    "compile_from",
    "read_policy",
    "sign_policy",
]

POLICY_TYPE: Final = "application/pacs-policy+cose"
MAX_POLICY_BYTES: Final = 1_048_576
_BOUNDS: Final = cose.Bounds(max_bytes=MAX_POLICY_BYTES + 256, max_depth=2, max_items=16)


class PolicyRefusal(StrEnum):
    """Why a policy document is not believed."""

    SIGNATURE = "policy-signature"
    NOT_HOST = "policy-not-host"
    DUPLICATE_KEY = "policy-duplicate-key"
    NOT_CANONICAL = "policy-not-canonical"
    MALFORMED = "policy-malformed"
    OTHER_SITE = "policy-other-site"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    PolicyRefusal.SIGNATURE: "The policy is not signed by a key that the site's trust list knows.",
    PolicyRefusal.NOT_HOST: "The policy is signed by a tenant; only the host's word is policy.",
    PolicyRefusal.DUPLICATE_KEY: "A key stands twice in the policy, so it says two things.",
    PolicyRefusal.NOT_CANONICAL: "The policy is not written in its one canonical form.",
    PolicyRefusal.MALFORMED: "The policy is signed, but its content describes no site.",
    PolicyRefusal.OTHER_SITE: "The policy belongs to another site or another host.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRefused:
    """A policy document that is not believed, and where it failed."""

    code: PolicyRefusal
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPolicy:
    """A believed policy document: what it says, and the canonical JSON that the host signed."""

    written: SitePolicy
    payload: bytes


def sign_policy(document: Mapping[str, Any], *, site: SiteId, key: cose.SigningKey) -> bytes:
    """Sign the policy part of a site file with the host's signing key; ValueError when it is over 1 MB."""
    payload = policy_document(document)
    if len(payload) > MAX_POLICY_BYTES:
        raise ValueError(f"a policy of {len(payload)} bytes is over the limit of {MAX_POLICY_BYTES}")
    return cose.sign(payload, key=key, typ=POLICY_TYPE, external_aad=site.encode())


def read_policy(document: bytes, *, trust: Trust) -> WrittenPolicy | PolicyRefused:
    """Believe a policy document, or say why not."""
    verified = cose.verify(
        document,
        keys=trust.tenants,
        typ=POLICY_TYPE,
        use=Use.TENANT,
        external_aad=trust.site.encode(),
        bounds=_BOUNDS,
    )
    if isinstance(verified, cose.Refused):
        return PolicyRefused(code=PolicyRefusal.SIGNATURE, detail=str(verified.code))
    # INVARIANT: a tenant's signature, however valid, makes no policy.
    if verified.key.owner != trust.host:
        return PolicyRefused(code=PolicyRefusal.NOT_HOST, detail=verified.key.owner)
    content = _read_json(verified.payload)
    if isinstance(content, PolicyRefused):
        return content
    try:
        written = read_site(content)
    except SiteFileError as error:
        return PolicyRefused(code=PolicyRefusal.MALFORMED, detail=str(error))
    if (written.site, written.host) != (trust.site, trust.host):
        return PolicyRefused(code=PolicyRefusal.OTHER_SITE, detail=f"{written.site}, {written.host}")
    return WrittenPolicy(written=written, payload=verified.payload)


def compile_from(document: bytes, *, trust: Trust) -> Policy | PolicyRefused:
    """Compile what the host wrote with what host and tenants agreed: the only way to a policy that decides."""
    read = read_policy(document, trust=trust)
    if isinstance(read, PolicyRefused):
        return read
    return compile_policy(read.written, agreements=trust.agreements, sources=(document, trust.document))


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object."""


def _read_json(payload: bytes) -> Mapping[str, Any] | PolicyRefused:
    """Read JSON that is spelled as `policy_document` spells it, byte for byte."""
    try:
        content = json.loads(payload, object_pairs_hook=_once_each, parse_constant=_no_number)
        spelled = policy_document(content) if isinstance(content, dict) else b""
    except _DuplicateKeyError as error:
        return PolicyRefused(code=PolicyRefusal.DUPLICATE_KEY, detail=str(error))
    except (ValueError, RecursionError) as error:
        return PolicyRefused(code=PolicyRefusal.MALFORMED, detail=type(error).__name__)
    if spelled != payload:
        return PolicyRefused(code=PolicyRefusal.NOT_CANONICAL)
    return content  # type: ignore[no-any-return]  # a dict, or it would not have been spelled


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKeyError(key[:64])
        found[key] = value
    return found


def _no_number(spelling: str) -> None:
    raise ValueError(f"{spelling} is no number here")
