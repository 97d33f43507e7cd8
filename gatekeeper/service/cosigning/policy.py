"""Which witnesses are asked, out of a policy file (C2SP tlog-policy): those that it gives a URL for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gatekeeper.transparency import Policy, Refused, VerifiedSignature, Verifier, parse_policy

__all__ = ["AskedWitness", "PolicyRefusedError", "asked_witnesses", "read_policy"]

_MOST_KEYS: Final = 64


class PolicyRefusedError(Exception):
    """A policy by which nobody can be asked; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWitness:
    """A witness behind one URL, with the keys that the policy believes of it."""

    url: str
    verifiers: tuple[Verifier, ...]

    @property
    def name(self) -> str:
        """What to call it: the name of its first key."""
        return self.verifiers[0].name


def read_policy(text: bytes) -> Policy:
    """Read a policy by which witnesses can be asked. Raises PolicyRefusedError."""
    policy = parse_policy(text)
    if isinstance(policy, Refused):
        where = f" ({policy.detail})" if policy.detail else ""
        raise PolicyRefusedError(f"The policy of witnesses is refused: {policy.code.sentence}{where}")
    asked = asked_witnesses(policy)
    for witness in asked:
        if not _is_address(witness.url):
            raise PolicyRefusedError(
                f"{witness.name} has the URL {witness.url!r}: a witness is asked at http://host or https://host, "
                "with a path perhaps, and without a password or a question mark in it."
            )
    if not asked or len(policy.witnesses) > _MOST_KEYS:
        raise PolicyRefusedError(
            f"The policy of witnesses gives the URL of at least one witness, and at most {_MOST_KEYS} keys."
        )
    if not policy.satisfied(_all_cosign(asked)):
        raise PolicyRefusedError(
            "The policy of witnesses asks for cosignatures of witnesses without a URL, who are never asked."
        )
    return policy


def _all_cosign(asked: Sequence[AskedWitness]) -> Sequence[VerifiedSignature]:
    return [VerifiedSignature(verifier=key, time=None) for witness in asked for key in witness.verifiers]


def asked_witnesses(policy: Policy) -> Sequence[AskedWitness]:
    """The witnesses that are asked: one for each URL, however many keys it has."""
    by_url: dict[str, list[Verifier]] = {}
    for witness in policy.witnesses:
        if witness.url is not None:
            by_url.setdefault(witness.url, []).append(witness.verifier)
    return [AskedWitness(url=url, verifiers=tuple(verifiers)) for url, verifiers in by_url.items()]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username is not None or parts.password is not None)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and url.isascii()
