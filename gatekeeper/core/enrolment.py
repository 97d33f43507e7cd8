"""How a gate asks to belong to a site: a document that proves it holds the key it names.

    enrolment request   signed by the gate's own new key, site as external AAD   {0 1, 1 site, 2 gate, 3 algorithm, 4 SPKI}
    with a TLS key                                                               {0 2, ..., 5 SHA-256 of the TLS key's SPKI}

The key is made at the gate and never leaves it. The request proves possession, nothing else: anyone can make one in
any gate's name. That the key is that gate's is what a person says, who compares the fingerprint shown at the gate with
the one shown at the site before the key goes into the trust list.

Version 2 is for a gate that also wants a certificate for the broker (see `certificates`): the key that is believed says
which TLS key is that gate's too, at first and at every renewal. So one fingerprint covers both keys, and who has stolen only
the TLS key gets no other certificate with it.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.core.trust import Use
from gatekeeper.cose import cbor
from gatekeeper.model.fields import blob
from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = [
    "ENROLMENT_TYPE",
    "EnrolmentRefusal",
    "EnrolmentRefused",
    "EnrolmentRequest",
    "enrolment_request",
    "fingerprint",
    "read_enrolment",
]

ENROLMENT_TYPE: Final = "application/pacs-enrol+cose"
_VERSION: Final = 1
_GROUP: Final = 4
_DIGEST: Final = 32
_VERSION_WITH_TLS: Final = 2
_FIELDS: Final = {_VERSION: set(range(5)), _VERSION_WITH_TLS: set(range(6))}


class EnrolmentRefusal(StrEnum):
    """Why an enrolment request is not believed."""

    STRUCTURE = "enrolment-structure"
    MALFORMED = "enrolment-malformed"
    KEY = "enrolment-key"
    PROOF = "enrolment-proof"
    GATE_UNKNOWN = "enrolment-gate-unknown"
    OTHER_SITE = "enrolment-other-site"
    OTHER_GATE = "enrolment-other-gate"
    CODE = "enrolment-code"
    TLS_KEY = "enrolment-tls-key"
    KEY_USED = "enrolment-key-used"
    KEY_KNOWN = "enrolment-key-known"
    NOT_WAITING = "enrolment-not-waiting"
    IDENTITY = "enrolment-identity"
    LATER = "enrolment-later"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    EnrolmentRefusal.STRUCTURE: "The bytes are not a signed enrolment request.",
    EnrolmentRefusal.MALFORMED: "The enrolment request does not name a site, a gate and a key.",
    EnrolmentRefusal.KEY: "The key in the enrolment request must not be used.",
    EnrolmentRefusal.PROOF: "The enrolment request is not signed with the key that it names.",
    EnrolmentRefusal.GATE_UNKNOWN: "It is for a gate that the policy in force does not have: it is put into the site file first.",
    EnrolmentRefusal.OTHER_SITE: "It is for another site.",
    EnrolmentRefusal.OTHER_GATE: "The folder is another gate's, and no key asks in the name of two.",
    EnrolmentRefusal.CODE: "The code is wrong, used, or older than ten minutes: ask an operator for another.",
    EnrolmentRefusal.TLS_KEY: "The key of the certificate request is not the TLS key that the enrolment request names.",
    EnrolmentRefusal.KEY_USED: "The TLS key was certified before: a certificate is renewed with a new key.",
    EnrolmentRefusal.KEY_KNOWN: "The gate has another key that counts: at the site gatekeeper gate revoke GATE ends it, and then the code is good.",
    EnrolmentRefusal.NOT_WAITING: "No such request waits: it was never made, or another came after it.",
    EnrolmentRefusal.IDENTITY: "The certificate that was shown is no gate's that counts now, or the request is another gate's.",
    EnrolmentRefusal.LATER: "The desk is busy, or no engine runs the site: ask again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """A gate's wish, by the holder of the key; `fingerprint` is for a person to compare before it is granted."""

    site: SiteId
    gate: GateId
    record: cose.KeyRecord
    tls: bytes | None = None
    """SHA-256 of the TLS key (SubjectPublicKeyInfo in DER) that is the same gate's."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key, as the gate shows it too."""
        return fingerprint(self.record.public_der)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRefused:
    """A request that is not believed, and where it failed."""

    code: EnrolmentRefusal
    detail: str = ""


def fingerprint(public_der: bytes) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo in DER), in groups that a person can read out."""
    digest = hashlib.sha256(public_der).hexdigest()
    return " ".join(digest[at : at + _GROUP] for at in range(0, len(digest), _GROUP))


def enrolment_request(*, site: SiteId, gate: GateId, key: cose.SigningKey, tls: bytes | None = None) -> bytes:
    """Ask for a gate's place at a site, with the gate's own key; `tls` is its TLS key, as SubjectPublicKeyInfo in DER."""
    fields: dict[int, Any] = {0: _VERSION, 1: site, 2: gate, 3: int(key.algorithm), 4: key.public_der}
    if tls is not None:
        fields |= {0: _VERSION_WITH_TLS, 5: hashlib.sha256(tls).digest()}
    return cose.sign(cbor.encode(fields), key=key, typ=ENROLMENT_TYPE, external_aad=site.encode())


def read_enrolment(document: bytes) -> EnrolmentRequest | EnrolmentRefused:
    """Believe that whoever asks holds the key, or say why not."""
    parsed = cose.parse(document, typ=ENROLMENT_TYPE)
    if isinstance(parsed, cose.Refused):
        return EnrolmentRefused(code=EnrolmentRefusal.STRUCTURE, detail=parsed.code)
    content = cbor.decode(parsed.payload) if parsed.payload is not None else None
    try:
        request = _request(content)
    except cose.KeyRefusedError as error:
        return EnrolmentRefused(code=EnrolmentRefusal.KEY, detail=error.code)
    except (TypeError, ValueError) as error:
        return EnrolmentRefused(code=EnrolmentRefusal.MALFORMED, detail=str(error))
    verified = cose.verify(
        document,
        keys=cose.key_ring([request.record]),
        typ=ENROLMENT_TYPE,
        use=Use.GATE,
        external_aad=request.site.encode(),
    )
    # INVARIANT: a request exists only with proof that its sender holds the key it names.
    if isinstance(verified, cose.Refused):
        return EnrolmentRefused(code=EnrolmentRefusal.PROOF, detail=verified.code)
    return request


def _request(content: Any) -> EnrolmentRequest:
    match content:
        case {
            0: int(version),
            1: str(site),
            2: str(gate),
            3: int(algorithm),
            4: bytes(spki),
        } if (
            type(version) is int
            and content.keys() == _FIELDS.get(version)
            and is_name(site)
            and is_name(gate)
        ):
            record = cose.KeyRecord.of(spki, algorithm=cose.Algorithm(algorithm), use=Use.GATE, owner=gate)
            tls = blob(content[5], _DIGEST, least=_DIGEST) if 5 in content else None
            return EnrolmentRequest(site=SiteId(site), gate=GateId(gate), record=record, tls=tls)
        case _:
            raise ValueError("not the fields of a request")
