"""The session of the vectors, step by step: what happens at three gates, and what is said about it."""

import hashlib

from devices.core.events import ContactClosed, ContactOpened, Timer, TimerFired, TimerKind
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ByCard, ByDigest, ByToken, Proof, Verdict, proof_digest_input
from gatekeeper.model.places import Direction
from tests.contract.play import Play, boot_of, moment, published, random_of, scan_of, signed_as
from tests.contract.stranger import sealed_pin
from tests.contract.vector_site import (
    CARD,
    FRONT,
    INNER,
    PIN,
    SHED_READER,
    SITE,
    key_of,
    people,
    throwaway_secret,
)


def played() -> Play:
    """The whole session."""
    play = Play()
    sergeant, pupil = people()["sergeant"], people()["pupil"]
    for at, gate in enumerate((FRONT, INNER, SHED_READER)):
        play.start(gate, at=100 * at)
        play.hears(gate, play.steps[-1], at=100 * at + 10)

    front = play.gates[FRONT]
    scan = play.presents(FRONT, "front-in", ByToken(sergeant.token), at=1000, key=sergeant.key)
    says = "A badge that proves its key with ECDSA on P-256, by its token."
    play.brings(FRONT, scan, "scan-key-bound", says, at=1050)
    resend = TimerFired(Timer(TimerKind.RESEND, AccessPointId("front-in")))
    [again] = published(front.happens(resend, at=1345))
    assert again == scan
    says = "The same bytes again after 300 ms without an answer: the same answer, the same bytes."
    known = play.brings(FRONT, again, "scan-key-bound-again", says, at=1350)
    play.hears(FRONT, known, at=1355)
    [taken] = published(front.happens(ContactOpened(AccessPointId("front-in")), at=2500))
    says = "The contact saw the door open after the grant."
    play.hears(FRONT, play.brings(FRONT, taken, "passage-taken", says, at=2505), at=2510)
    front.happens(ContactClosed(AccessPointId("front-in")), at=3500)

    refused = play.presents(INNER, "house-in", ByToken(pupil.token), at=4000)
    says = "A bearer badge at a door that demands a key-bound one; the gate's key is on P-384."
    play.hears(INNER, play.brings(INNER, refused, "scan-bearer", says, at=4005), at=4010)

    bare = play.presents(SHED_READER, "shed-in", ByCard(CARD), at=5000)
    says = "A bare card number, as a bridge reports it; the gate's key is an Ed25519 one."
    play.hears(SHED_READER, play.brings(SHED_READER, bare, "scan-card", says, at=5005), at=5010)

    [forced] = published(front.happens(ContactOpened(AccessPointId("front-in")), at=6000))
    says = "The door opened without a grant."
    play.hears(FRONT, play.brings(FRONT, forced, "passage-forced", says, at=6005), at=6010)
    [closed] = published(front.happens(ContactClosed(AccessPointId("front-in")), at=7000))
    says = "And is closed again."
    play.hears(FRONT, play.brings(FRONT, closed, "status-closed-again", says, at=7005), at=7010)

    _by_hand(play)
    _in_company(play)
    _with_a_guard(play)
    assert play.opened == 4
    return play


def _in_company(play: Play) -> None:
    """Two persons: the first is denied and waits, the second opens for both."""
    sergeant, corporal = people()["sergeant"], people()["corporal"]
    alone = play.presents(INNER, "vault-in", ByToken(sergeant.token), at=9000, key=sergeant.key)
    says = "Where two persons must badge, the first is denied; nothing tells the gate to wait."
    play.hears(INNER, play.brings(INNER, alone, "scan-alone", says, at=9050), at=9055)
    second = play.presents(INNER, "vault-in", ByToken(corporal.token), at=9500, key=corporal.key)
    says = "The second, within twenty seconds: granted, and the first goes along."
    play.hears(INNER, play.brings(INNER, second, "scan-together", says, at=9550), at=9555)


def _with_a_guard(play: Play) -> None:
    """A PIN, and a guard who looks: a wait, the same wait again, and at last the grant."""
    sergeant, inner = people()["sergeant"], play.gates[INNER]
    sealed = sealed_pin(
        PIN,
        spki=key_of("seal").public_der,
        site=SITE,
        gate=INNER,
        access_point="office-in",
        ephemeral=throwaway_secret("ephemeral"),
    )
    sent = play.presents(
        INNER, "office-in", ByToken(sergeant.token), at=9700, key=sergeant.key, sealed_pin=sealed
    )
    says = "A badge with a PIN, at a door where a guard compares face and photo: the answer asks to wait."
    waits = play.brings(INNER, sent, "scan-with-a-pin", says, at=9750)
    play.hears(INNER, waits, at=9755)
    [again] = published(
        inner.happens(TimerFired(Timer(TimerKind.RESEND, AccessPointId("office-in"))), at=10_045)
    )
    assert again == sent
    says = "While it waits the gate goes on sending the same bytes, and hears the same."
    play.hears(INNER, play.brings(INNER, again, "scan-with-a-pin-again", says, at=10_050), at=10_055)
    word = play.guard_says(waits, yes=True, number=1, at=18_000)
    play.hears(INNER, word, at=18_005)


def _by_hand(play: Play) -> None:
    """What the product's gates do not say yet: a token by its digest, a proof by Ed25519, a decision made alone."""
    teacher, pupil = people()["teacher"], people()["pupil"]
    boot = boot_of(FRONT, 2)
    beacon = play.beacons.counted(moment(8000))[0]
    gate_random = random_of("by hand")
    signed = proof_digest_input(
        site=SITE, gate=FRONT, direction=Direction.IN.value, beacon=beacon, gate_random=gate_random
    )
    assert teacher.key is not None
    proof = Proof(gate_random=gate_random, signature=teacher.key.sign(hashlib.sha256(signed).digest()))
    scans = {
        "scan-by-digest": (
            "After a power cut: a new boot id, numbers from one. A badge that proves its key with Ed25519; its token's SHA-256.",
            {"credential": ByDigest(hashlib.sha256(teacher.token).digest()), "proof": proof},
        ),
        "scan-decided-offline": (
            "The gate decided alone and reports it: written down, not decided again. Its clock runs free.",
            {
                "credential": ByToken(pupil.token),
                "offline_verdict": Verdict.GRANTED,
                "offline_policy": play.flow.policy.version,
            },
        ),
    }
    for sequence, (name, (says, changes)) in enumerate(scans.items(), 1):
        scan = scan_of(FRONT, boot=boot, sequence=sequence, beacon=beacon, **changes)
        play.brings(FRONT, signed_as(scan, FRONT, name=name, says=says), name, says, at=8000 + 100 * sequence)
