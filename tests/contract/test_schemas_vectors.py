"""The signed vectors: made again they are the same bytes, the code takes and refuses them, and a stranger can make them."""

import ast
import base64
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from devices.core.belief import Ignored
from devices.core.events import Unlock
from gatekeeper import cose
from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.enrolment import EnrolmentRequest, read_enrolment
from gatekeeper.core.flow import Recorded, Repeated
from gatekeeper.core.pin import pin_info
from gatekeeper.core.scan import Authentic, authenticate
from gatekeeper.model.ids import GateId
from gatekeeper.model.reasons import MessageRefusal, Reason
from gatekeeper.model.site_file import read_site_file
from gatekeeper.service.engine.beacons import Beacons
from tests.contract import forgeries, make_vectors, mistakes, stranger
from tests.contract.cddl import ROOMY
from tests.contract.described import MODELS, diagnostic, fields_of, message_of
from tests.contract.play import moment
from tests.contract.stored import (
    SAID,
    SCHEMAS,
    flow,
    keys,
    last_word,
    octets,
    session,
    signing_key,
    trust,
    vectors,
)
from tests.contract.vector_site import policy_text

# -- the files --------------------------------------------------------------------------------------------------------


def test_the_files_are_what_the_code_makes_to_the_byte():
    made = dict(make_vectors.files())
    stored = {
        str(path.relative_to(SCHEMAS)): path.read_bytes()
        for folder in ("vectors", "examples")
        for path in (SCHEMAS / folder).rglob("*")
        if path.is_file()
    }
    assert stored.keys() == made.keys()
    differing = [path for path, content in made.items() if stored[path] != content]
    assert differing == []


def test_what_is_no_file_of_ours_is_removed_when_they_are_written(tmp_path: Path):
    make_vectors.write(tmp_path)
    (tmp_path / "examples" / "valid" / "of-old.hex").write_text("00")
    written = make_vectors.write(tmp_path)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == written


def test_throw_away_keys_say_what_they_are_and_are_the_keys_they_say():
    assert "guard nothing" in vectors("keys")["warning"]
    for name, key in keys().items():
        private = stranger.PrivateKey(key["algorithm"], octets(key, "throw_away_private"))
        assert private.spki == octets(key, "spki"), name
        assert private.kid == octets(key, "kid"), name


# -- documents --------------------------------------------------------------------------------------------------------


def test_the_documents_are_believed_and_say_what_is_described():
    documents = vectors("documents")
    assert trust().site == documents["site"]
    assert trust().agreements.keys() == {"school"}
    request = read_enrolment(octets(documents["enrolment"]))
    assert isinstance(request, EnrolmentRequest)
    assert request.record.public_der.hex() == keys()["front"]["spki"]
    parts = [documents["enrolment"], *documents["operators"].values()]
    parts += [person[one] for person in documents["people"].values() for one in ("registration", "token")]
    for part in parts:
        header, _, payload, _ = cose.decode(octets(part)[1:])
        assert diagnostic(cose.decode(payload)) == part["diagnostic"]
        assert cose.decode(header)[16] == part["typ"]
        assert [cose.decode(header)[4].hex()] == [keys()[key]["kid"] for key in part["keys"]]


def test_cosigned_documents_carry_the_keys_that_are_named():
    documents = vectors("documents")
    for name in ("trust", "agreement"):
        payload, signatures = cose.decode(octets(documents[name]), bounds=ROOMY)
        assert diagnostic(cose.decode(payload, bounds=ROOMY)) == documents[name]["diagnostic"]
        headers = [cose.decode(cose.decode(signature[1:])[0]) for signature in signatures]
        assert {header[16] for header in headers} == {documents[name]["typ"]}
        kids = [header[4].hex() for header in headers]
        assert kids == sorted(keys()[key]["kid"] for key in documents[name]["keys"])


def test_the_policy_is_one_that_a_person_may_write():
    assert read_site_file(policy_text()).site == trust().site


# -- the session ------------------------------------------------------------------------------------------------------


def test_the_session_is_answered_by_the_service_as_it_is_written():
    service = flow()
    beacons = Beacons(
        site=trust().site,
        secret=octets(vectors("keys"), "throw_away_beacon_secret"),
        key=signing_key("decision"),
        prefix=session()["prefix"],
    )
    topic, wire = beacons.message(moment(0))
    assert (topic, wire.hex()) == (session()["beacon"]["topic"], session()["beacon"]["message"])
    for step in session()["steps"]:
        if "change" in step:
            assert last_word(service, step).hex() == step["down"]["message"]
            continue
        up, down, now = step["up"], step["down"], moment(step["at"])
        authentic = authenticate(up["topic"], octets(up), trust=trust(), prefix=session()["prefix"])
        assert isinstance(authentic, Authentic), up["name"]
        presented = service.verify(authentic, beacons=beacons.counted(now))
        outcome = service.take(authentic, presented, now=now)
        if step["repeated"]:
            assert isinstance(outcome, Repeated)
            wire = outcome.receipt.signed
        else:
            assert isinstance(outcome, Recorded)
            topic, wire = sign_answer(
                outcome.answer, site=trust().site, key=signing_key("decision"), prefix=session()["prefix"]
            )
            outcome.receipt.signed = wire
            assert topic == down["topic"]
        assert wire.hex() == down["message"], up["name"]


def test_the_session_shows_every_message_verdict_and_way_to_sign():
    assert {said["rule"] for said in SAID} == set(MODELS)
    assert {said["fields"]["verdict"] for said in SAID if said["rule"] == "decision"} == {
        "granted",
        "denied",
        "recorded",
        "waiting",
    }
    assert {keys()[said["key"]]["algorithm"] for said in SAID} == {-9, -19, -51}
    proved = [keys()[said["proof"]["badge_key"]]["algorithm"] for said in SAID if "proof" in said]
    assert set(proved) == {-9, -19}


@pytest.mark.parametrize("said", SAID, ids=lambda said: said["name"])
def test_a_payload_is_rebuilt_from_its_fields(said: dict[str, Any]):
    message = message_of(said["rule"], said["fields"])
    payload = octets(said, "payload")
    assert message.payload() == payload
    assert MODELS[said["rule"]].read(payload) == message
    assert fields_of(message) == said["fields"]
    assert diagnostic(cose.decode(payload)) == said["diagnostic"]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said["name"])
def test_a_message_verifies_and_its_parts_are_the_ones_described(said: dict[str, Any]):
    ring = trust().decisions if said["key"] == "decision" else trust().gates
    verified = cose.verify(
        octets(said),
        keys=ring,
        typ=said["typ"],
        use=keys()[said["key"]]["use"],
        external_aad=said["topic"].encode(),
    )
    assert isinstance(verified, cose.Verified)
    assert verified.payload == octets(said, "payload")
    assert verified.key.public_der.hex() == keys()[said["key"]]["spki"]
    assert octets(said) == b"\xd2" + cose.encode(
        [octets(said, "protected"), {}, octets(said, "payload"), octets(said, "signature")]
    )
    assert cose.verify_signature(verified.key, octets(said, "to_be_signed"), octets(said, "signature"))
    assert hashlib.sha256(octets(said)).hexdigest() == said["sha256"]


@pytest.mark.parametrize("said", [said for said in SAID if "proof" in said], ids=lambda said: said["name"])
def test_a_proof_is_the_badge_s_own_signature_over_the_digest(said: dict[str, Any]):
    proof = said["proof"]
    digest = octets(proof, "sha256_that_the_badge_signs")
    assert hashlib.sha256(octets(proof, "input")).digest() == digest
    record = signing_key(proof["badge_key"]).record(use="badge", owner="")
    assert cose.verify_signature(record, digest, octets(proof, "signature"))
    assert said["fields"]["proof"]["signature"] == proof["signature"]


def _with_pins() -> list[Any]:
    return [pytest.param(said, id=said["name"]) for said in SAID if "pin" in said]


@pytest.mark.parametrize("said", _with_pins())
def test_a_pin_is_sealed_for_one_access_point_and_a_stranger_can_seal_it(said: dict[str, Any]):
    pin, fields = said["pin"], said["fields"]
    gate, place = said["key"], fields["access_point"]
    assert octets(pin, "info") == pin_info(site=trust().site, gate=GateId(gate), access_point=place)
    assert trust().seal_key is not None
    sealed = stranger.sealed_pin(
        pin["typed"],
        spki=trust().seal_key.public_der,
        site=session()["site"],
        gate=gate,
        access_point=place,
        ephemeral=octets(keys()[pin["ephemeral_key"]], "throw_away_private"),
    )
    assert sealed == octets(fields, "sealed_pin")
    key = cose.SealKey.from_pem(signing_key(pin["seal_key"]).to_pem())
    assert key.open(sealed, info=octets(pin, "info")) == pin["typed"].encode().ljust(8, b"\0")
    assert key.open(sealed, info=octets(pin, "info") + b"x") is None


def test_one_scan_of_the_session_has_a_pin_and_its_wait_ends_with_a_grant():
    assert len(_with_pins()) == 2, "sent, and sent again"
    [word] = [step for step in session()["steps"] if "change" in step]
    answers = [step["down"]["fields"] for step in session()["steps"]]
    [first, again, last] = [one for one in answers if one["message"] == word["down"]["fields"]["message"]]
    assert first == again
    assert (first["verdict"], last["verdict"]) == ("waiting", "granted")


# -- what is refused --------------------------------------------------------------------------------------------------


def _named(name: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors(name)["vectors"]]


def said_before(name: str) -> dict[str, Any]:
    extra = vectors("refused-by-service")["before"] | vectors("refused-by-gate")["before"]
    return extra[name] if name in extra else next(said for said in SAID if said["name"] == name)


@pytest.mark.parametrize("vector", _named("refused-by-service"))
def test_the_service_refuses_with_the_code(vector: dict[str, Any]):
    before = [(said["topic"], octets(said)) for said in map(said_before, vector.get("after", ()))]
    word = forgeries.word_of_service(
        before, vector["topic"], octets(vector), retained=vector.get("retained", False)
    )
    assert word == vector["code"]


@pytest.mark.parametrize("vector", _named("refused-by-gate"))
def test_a_gate_ignores_with_the_code_and_opens_nothing(vector: dict[str, Any]):
    gate, bring = forgeries.gate_with_a_scan()
    for said in map(said_before, vector.get("after", ())):
        opens = any(isinstance(effect, Unlock) for effect in bring(said["topic"], octets(said), 10))
        assert opens == (said["name"] == "answer-to-scan-key-bound")
    before = Counter(gate.controller.tally.ignored)
    effects = bring(vector["topic"], octets(vector), vector["arrives"])
    assert not any(isinstance(effect, Unlock) for effect in effects)
    assert gate.controller.tally.ignored - before == Counter({Ignored(vector["code"]): 1})


def test_the_gate_of_the_vectors_opens_for_the_grant_of_the_session():
    _, bring = forgeries.gate_with_a_scan()
    grant = said_before("answer-to-scan-key-bound")
    assert any(isinstance(effect, Unlock) for effect in bring(grant["topic"], octets(grant), 4999))


def test_every_code_that_bytes_can_get_has_a_vector_or_an_invalid_example():
    about_rate = {MessageRefusal.FLOOD}
    seen = {vector["code"] for vector in vectors("refused-by-service")["vectors"]}
    seen |= {mistake.code for mistake in mistakes.mistakes()}
    assert {*MessageRefusal, *cose.Refusal} - about_rate == {
        code for code in (*MessageRefusal, *cose.Refusal) if code.value in seen
    }
    ignored = {vector["code"] for vector in vectors("refused-by-gate")["vectors"]}
    ignored |= {vector["code"] for vector in vectors("alone")["refused"]}
    # What lies on a gate's own disk comes in no message.
    assert ignored == set(Ignored) - {Ignored.LOCKDOWN_MISPLACED}


# -- a stranger -------------------------------------------------------------------------------------------------------


def test_the_stranger_knows_nothing_of_the_product():
    tree = ast.parse(Path(stranger.__file__).read_text("utf-8"))
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules == {"hashlib", "hmac", "collections", "typing", "cbor2", "cryptography"}


@pytest.mark.parametrize("said", SAID, ids=lambda said: said["name"])
def test_a_stranger_makes_the_same_payload_and_the_same_bytes_to_sign(said: dict[str, Any]):
    key = keys()[said["key"]]
    private = stranger.PrivateKey(key["algorithm"], octets(key, "throw_away_private"))
    payload = stranger.payload_of(said["rule"], said["fields"])
    assert payload.hex() == said["payload"]
    protected = stranger.protected_header(private, said["typ"])
    assert protected.hex() == said["protected"]
    assert stranger.to_be_signed(protected, said["topic"], payload).hex() == said["to_be_signed"]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said["name"])
def test_a_stranger_opens_what_is_said_and_only_on_its_topic(said: dict[str, Any]):
    key = keys()[said["key"]]
    how = {"algorithm": key["algorithm"], "spki": octets(key, "spki"), "typ": said["typ"]}
    assert stranger.opened(octets(said), topic=said["topic"], **how) is not None
    assert stranger.opened(octets(said), topic=said["topic"] + "x", **how) is None


def test_what_a_stranger_signs_is_granted_by_the_service():
    step = next(step for step in session()["steps"] if step["up"]["name"] == "scan-key-bound")
    said, now = step["up"], moment(step["at"])
    gate, badge = (
        stranger.PrivateKey(keys()[name]["algorithm"], octets(keys()[name], "throw_away_private"))
        for name in ("front", "badge-sergeant")
    )
    beacon = octets(session()["beacon"]["fields"], "value")
    gate_random = bytes(range(16))
    digest = stranger.what_a_badge_signs(session()["site"], "front", "in", beacon, gate_random)
    proof = {"gate_random": gate_random.hex(), "signature": badge.sign(digest).hex()}
    payload = stranger.payload_of("scan", {**said["fields"], "proof": proof})
    wire = stranger.message(payload, key=gate, typ=said["typ"], topic=said["topic"])
    service = flow()
    authentic = authenticate(said["topic"], wire, trust=trust(), prefix=session()["prefix"])
    assert isinstance(authentic, Authentic)
    outcome = service.take(authentic, service.verify(authentic, beacons=[beacon]), now=now)
    assert isinstance(outcome, Recorded)
    assert outcome.decision is not None
    assert outcome.decision.reason is Reason.GRANTED
    _, answer = sign_answer(
        outcome.answer, site=trust().site, key=signing_key("decision"), prefix=session()["prefix"]
    )
    heard = stranger.opened(
        answer,
        algorithm=keys()["decision"]["algorithm"],
        spki=octets(keys()["decision"], "spki"),
        typ="application/pacs-decision+cose",
        topic=step["down"]["topic"],
    )
    assert heard is not None
    assert (heard[1], heard[2], heard[3]) == (hashlib.sha256(wire).digest(), "front", 1)


# -- the log ----------------------------------------------------------------------------------------------------------


def test_the_roots_follow_from_the_entries_by_rfc_6962_alone():
    lines = (SCHEMAS / vectors("log")["entries"]).read_bytes().splitlines()
    leaves: dict[str, list[bytes]] = {}
    for line in lines:
        for tree, index in json.loads(line)["trees"].items():
            grown = leaves.setdefault(tree, [])
            assert len(grown) == index
            grown.append(hashlib.sha256(b"\0" + line).digest())
    assert {name: (len(grown), _root(grown).hex()) for name, grown in leaves.items()} == {
        name: (tree["size"], tree["root"]) for name, tree in vectors("log")["trees"].items()
    }


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:left]) + _root(leaves[left:])).digest()


def test_the_log_holds_the_scans_of_the_session_in_its_personal_parts():
    scans = {said["message"] for said in SAID if said["rule"] == "scan"}
    personal = (SCHEMAS / "examples/valid/personal.jsonl").read_bytes().splitlines()
    kept = {base64.b64decode(part["scan"]).hex() for line in personal if "scan" in (part := json.loads(line))}
    assert scans <= kept
