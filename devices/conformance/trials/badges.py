"""Badges that are more than a number: a token, a key, a PIN."""

from hashlib import sha256

from devices.conformance.script import Script
from devices.conformance.site import BEARER, CARD, KEYED, PIN
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import denied
from gatekeeper import cose
from gatekeeper.core.pin import PIN_DIGITS, pin_info
from gatekeeper.model.messages import Scan, proof_digest_input

__all__ = ["try_bearer", "try_pin", "try_proof"]


def try_bearer(stage: Stage) -> Script[None]:
    """Present a bearer badge."""
    said = yield from denied(stage, BEARER)
    kept = said.credential == stage.question.badges[BEARER] and said.proof is None
    stage.judge("GK-G-125", kept=kept, good="its token", bad="not its token without a proof")


def try_proof(stage: Stage) -> Script[None]:
    """Present a badge with a key, twice."""
    said = [(yield from denied(stage, KEYED)), (yield from denied(stage, KEYED))]
    faults = [fault for one in said if (fault := _fault_of_proof(stage, one)) is not None]
    stage.judge("GK-G-120", kept=not faults, good="two proofs", bad="; ".join(faults))
    drawn = [one.proof.gate_random for one in said if one.proof is not None]
    if len(drawn) == len(said):
        kept = len(set(drawn)) == len(drawn)
        stage.judge("GK-G-121", kept=kept, good="unlike in two scans", bad="the same in two scans")
        timed = all(one.round_trip is not None for one in said)
        stage.judge("GK-G-122", kept=timed, good="field 9 is there", bad="field 9 is missing")


def _fault_of_proof(stage: Stage, scan: Scan) -> str | None:
    question = stage.question
    if scan.proof is None:
        return "field 8 is missing"
    signed = proof_digest_input(
        site=question.site,
        gate=question.gate,
        direction=question.direction.value,
        beacon=scan.beacon,
        gate_random=scan.proof.gate_random,
    )
    badge = question.keys["badge"].record(use="badge", owner="badge")
    verified = cose.verify_signature(badge, sha256(signed).digest(), scan.proof.signature)
    return None if verified else "the badge's signature does not verify"


def try_pin(stage: Stage) -> Script[None]:
    """Have a PIN typed, twice."""
    said = [(yield from denied(stage, CARD, pin=PIN)), (yield from denied(stage, CARD, pin=PIN))]
    info = pin_info(
        site=stage.question.site, gate=stage.question.gate, access_point=stage.question.access_point
    )
    key = cose.SealKey.from_pem(stage.question.keys["seal"].to_pem())
    sealed = [one.sealed_pin for one in said if one.sealed_pin is not None]
    opened = [key.open(one, info=info) for one in sealed]
    typed = PIN.encode().ljust(PIN_DIGITS[1], b"\0")
    bad = "field 12 is missing" if len(sealed) < len(said) else "what was sealed is not what was typed"
    stage.judge("GK-G-130", kept=opened == [typed, typed], good="two PINs", bad=bad)
    if len(sealed) == len(said):
        kept = len({one[:65] for one in sealed}) == len(sealed)
        stage.judge("GK-G-131", kept=kept, good="unlike in two scans", bad="the same in two scans")
