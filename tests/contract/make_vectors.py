"""Writes `schemas/vectors` and `schemas/examples`: `python -m tests.contract.make_vectors`.

What is written follows from the code alone, to the byte; a test makes it again and finds the same files.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from devices.core.alone import Alone
from gatekeeper import cose
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.core.pin import pin_info
from gatekeeper.core.trust import agreement_payload, trust_payload
from gatekeeper.cose.sign1 import _to_be_signed
from gatekeeper.model.messages import Scan, proof_digest_input
from gatekeeper.model.topics import PREFIX, standing_topic, trust_topic
from tests.contract import cddl, forgeries, left_alone, mistakes, specimens
from tests.contract.checkpoints import newest_checkpoint
from tests.contract.commands import commands
from tests.contract.described import MODELS, diagnostic, fields_of
from tests.contract.links import links
from tests.contract.play import Said, Step, Word
from tests.contract.readers import digest
from tests.contract.vector_site import (
    AGREEMENT,
    BEACON_SECRET,
    FRONT,
    HOST,
    KEYS,
    NOON,
    PEPPER,
    PIN,
    SITE,
    agreement_document,
    anchor,
    fresh_flow,
    key_of,
    listing,
    operator_records,
    people,
    policy_document,
    throwaway_secret,
    trust_document,
)
from tests.contract.whole_log import trees, whole_log

SCHEMAS = Path(__file__).parents[2] / "schemas"
UNLOCK = timedelta(seconds=4)  # the site file says so
WARNING = (
    "Throw-away keys, made for these vectors and published with them: they guard nothing, and whoever uses one anywhere "
    "else guards nothing either. They are no leaked secret."
)
_CHANNELS = {"scan", "passage", "status", "hello", "decision", "beacon", "checkpoint"}


def files() -> Iterator[tuple[str, bytes]]:
    """Every file, by its path below `schemas`."""
    yield "vectors/keys.json", _json(_keys())
    yield "vectors/documents.json", _json(_documents())
    yield "vectors/session.json", _json(_session())
    yield "vectors/refused-by-service.json", _json(_refused(forgeries.for_service()))
    yield "vectors/refused-by-gate.json", _json(_refused_by_gate())
    yield "vectors/alone.json", _json(_alone())
    yield "vectors/log.json", _json(_log())
    yield from _examples()


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


# -- vectors ----------------------------------------------------------------------------------------------------------


def _keys() -> dict[str, Any]:
    keys = {}
    for name, (algorithm, use, owner) in KEYS.items():
        key = key_of(name)
        keys[name] = {
            "algorithm": int(algorithm),
            "use": str(use),
            "owner": owner,
            "kid": key.kid.hex(),
            "spki": key.public_der.hex(),
            "throw_away_private": throwaway_secret(name).hex(),
        }
    return {
        "warning": WARNING,
        "throw_away_beacon_secret": BEACON_SECRET.hex(),
        "throw_away_pin_pepper": PEPPER.hex(),
        "keys": keys,
    }


def _documents() -> dict[str, Any]:
    host = {"typ": "application/pacs-policy+cose", "external_aad": SITE, "keys": ["army-signing"]}
    cosigned: Mapping[str, Any] = {"external_aad": SITE}
    everybody = {
        name: {
            "registration": _document("holder", person.registration, keys=[f"{person.holder.tenant}-issuer"]),
            "token": _document("badge-claims", person.token, keys=[f"{person.holder.tenant}-issuer"], aad=""),
            "token_sha256": digest(person.token).hex(),
            "badge_key": f"badge-{name}" if person.key is not None else None,
        }
        for name, person in people().items()
    }
    return {
        "site": SITE,
        "host": HOST,
        "anchor": json.loads(anchor().to_json()),
        "trust": {
            **cosigned,
            "typ": "application/pacs-trust+cose",
            "keys": ["root-1", "root-2"],
            "diagnostic": diagnostic(_decoded(trust_payload(listing()))),
            "message": trust_document().hex(),
        },
        "agreement": {
            **cosigned,
            "typ": "application/pacs-agreement+cose",
            "keys": ["army-signing", "school-signing"],
            "diagnostic": diagnostic(_decoded(agreement_payload(AGREEMENT, site=SITE))),
            "message": agreement_document().hex(),
        },
        "policy": {
            **host,
            "payload_text": specimens.payload_of(policy_document()).decode(),
            "message": policy_document().hex(),
            "version": fresh_flow().policy.version.hex(),
        },
        "enrolment": _document(
            "enrolment",
            enrolment_request(site=SITE, gate=FRONT, key=key_of(FRONT), tls=key_of("stranger").public_der),
            keys=[FRONT],
        ),
        "operators": {
            record.id: _document("operator", record.document, keys=[f"{record.tenant}-signing"])
            for record in operator_records()
        },
        "people": everybody,
    }


def _document(rule: str, message: bytes, *, keys: Sequence[str], aad: str = SITE) -> dict[str, Any]:
    return {
        "typ": _typ(message),
        "external_aad": aad,
        "keys": list(keys),
        "diagnostic": diagnostic(_decoded(specimens.payload_of(message))),
        "message": message.hex(),
    } | {"rule": rule}


def _session() -> dict[str, Any]:
    play = forgeries.session()
    steps = sorted((*play.steps, *play.words), key=lambda step: step.at)
    return {
        "site": SITE,
        "prefix": PREFIX,
        "noon": int(NOON.timestamp() * 1000),
        "beacon": _said(play.beacon()),
        "checkpoint": _said(newest_checkpoint()),
        "commands": [_said(said) for said in commands()],
        "links": [_said(said) for said in links()],
        "steps": [_step(step) for step in steps],
    }


def _step(step: Step | Word) -> dict[str, Any]:
    if isinstance(step, Word):
        said = step.change
        document = _document("change", said.wire, keys=[said.key])
        change = {"name": said.name, "says": said.says, **document}
        return {"at": step.at, "change": change, "down": _said(step.down)}
    return {"at": step.at, "repeated": step.repeated, "up": _said(step.up), "down": _said(step.down)}


def _said(said: Said) -> dict[str, Any]:
    protected, _, payload, signature = _decoded(said.wire[1:])
    aad = said.topic.encode()
    rule = _typ(said.wire).removeprefix("application/pacs-").removesuffix("+cose")
    message = MODELS[rule].read(payload)
    described = {
        "name": said.name,
        "says": said.says,
        "rule": rule,
        "topic": said.topic,
        "key": said.key,
        "typ": _typ(said.wire),
        "fields": fields_of(message),
        "diagnostic": diagnostic(_decoded(payload)),
        "payload": payload.hex(),
        "protected": protected.hex(),
        "to_be_signed": _to_be_signed(protected, aad, payload).hex(),
        "signature": signature.hex(),
        "message": said.wire.hex(),
        "sha256": digest(said.wire).hex(),
    }
    if isinstance(message, Scan) and message.proof is not None:
        described["proof"] = _proof(said.key, message)
    if isinstance(message, Scan) and message.sealed_pin is not None:
        info = pin_info(site=SITE, gate=said.key, access_point=message.access_point)  # type: ignore[arg-type]
        described["pin"] = {
            "typed": PIN,
            "seal_key": "seal",
            "ephemeral_key": "ephemeral",
            "info": info.hex(),
        }
    return described


def _proof(gate: str, scan: Scan) -> dict[str, Any]:
    assert scan.proof is not None
    holders = {digest(person.token): name for name, person in people().items()}
    token = getattr(scan.credential, "digest", None) or digest(scan.credential.token)  # type: ignore[union-attr]
    signed = proof_digest_input(
        site=SITE,
        gate=gate,  # type: ignore[arg-type]
        direction="in",
        beacon=scan.beacon,
        gate_random=scan.proof.gate_random,
    )
    return {
        "badge_key": f"badge-{holders[token]}",
        "input": signed.hex(),
        "sha256_that_the_badge_signs": digest(signed).hex(),
        "signature": scan.proof.signature.hex(),
    }


def _refused(forged: Iterator[forgeries.Forged]) -> dict[str, Any]:
    return {
        "noon": int(NOON.timestamp() * 1000),
        "at": 1100,
        "before": _before(forgeries.for_service()),
        "vectors": [
            {
                "name": one.name,
                **({"says": one.says} if one.says else {}),
                "topic": one.topic,
                **({"retained": True} if one.retained else {}),
                **({"after": list(one.after)} if one.after else {}),
                "message": one.wire.hex(),
                "code": one.code,
            }
            for one in forged
        ],
    }


def _before(forged: Iterator[forgeries.Forged]) -> dict[str, Any]:
    """What a forgery comes after and the session does not hold."""
    named = {name for one in forged for name in one.after}
    return {
        name: {"name": name, "topic": said.topic, "message": said.wire.hex()}
        for name, said in forgeries.extra().items()
        if name in named
    }


def _refused_by_gate() -> dict[str, Any]:
    return {
        "state": (
            "The gate `front` has heard the session's beacon and sent hello-of-front and scan-key-bound; neither is answered. "
            "`arrives` is in milliseconds since the scan was sent, on the gate's monotonic clock. Nothing here opens a door."
        ),
        "before": _before(forgeries.for_gate()),
        "vectors": [
            {
                "name": one.name,
                **({"says": one.says} if one.says else {}),
                "topic": one.topic,
                **({"after": list(one.after)} if one.after else {}),
                "arrives": one.arrives,
                "message": one.wire.hex(),
                "code": one.code,
            }
            for one in forgeries.for_gate()
        ],
    }


def _alone() -> dict[str, Any]:
    standings = {
        name: left_alone.sign_standing(one.payload()) for name, one in left_alone.standings().items()
    }
    lists = left_alone.standing().statuses
    return {
        "site": SITE,
        "prefix": PREFIX,
        "noon": int(NOON.timestamp() * 1000),
        "state": (
            "Each case is a gate that holds the trust list, its own snapshot and the named standing, and heard nothing since; its "
            "clock is right. `at` is in milliseconds after noon. `after` names the cases that this gate decided before. `word` is "
            "what it says (reasons.md), `unlock` how long it releases the strike, in milliseconds. `refused` changes nothing at the gate `front`."
        ),
        "trust": _signed("trust", trust_document(), name="trust-list", topic=trust_topic(SITE), key="root-1"),
        "snapshots": {
            gate: _signed(
                "snapshot",
                left_alone.snapshot_message(gate),
                name=f"snapshot-of-{gate}",
                topic=left_alone.policy_topic(gate),
                key="decision",
            )
            for gate in left_alone.snapshots()
        },
        "standings": {
            name: _signed("standing", wire, name=name, topic=standing_topic(SITE), key="decision")
            for name, wire in standings.items()
        },
        "status_lists": {
            tenant: _document("status-list", document, keys=["decision"])
            for tenant, document in sorted(lists.items())
        },
        "cases": [_case(case) for case in left_alone.cases()],
        "refused": [
            {"file": one.file.value, "message": one.wire.hex(), "code": one.code.value}
            for one in left_alone.unfit()
        ],
    }


def _signed(rule: str, wire: bytes, *, name: str, topic: str, key: str) -> dict[str, Any]:
    described = {"name": name, "rule": rule, "topic": topic, "key": key, "message": wire.hex()}
    if rule == "trust":
        return described | {"external_aad": SITE}
    payload = specimens.payload_of(wire)
    return described | {
        "typ": _typ(wire),
        "diagnostic": diagnostic(_decoded(payload)),
        "sha256": digest(wire).hex(),
    }


def _case(case: left_alone.Case) -> dict[str, Any]:
    said = {
        "name": case.name,
        "says": case.says,
        "gate": case.gate,
        "standing": case.standing,
        "at": case.at // timedelta(milliseconds=1),
        "after": list(case.after),
        "direction": case.direction,
        "scan": fields_of(case.scan),
        "word": case.word.value,
    }
    if case.word is Alone.GRANTED:
        said["unlock"] = UNLOCK // timedelta(milliseconds=1)
    return said


def _log() -> dict[str, Any]:
    entries = whole_log()
    grown = sorted(trees(entries).items())
    return {
        "entries": "examples/valid/log.jsonl",
        "trees": {name: {"size": tree.size, "root": tree.root().hex()} for name, tree in grown},
    }


def _typ(message: bytes) -> str:
    header = _decoded(_decoded(message[1:])[0])
    return str(header[16])


def _decoded(octets: bytes) -> Any:
    return cose.decode(octets, bounds=cddl.ROOMY)


# -- examples ---------------------------------------------------------------------------------------------------------


def _examples() -> Iterator[tuple[str, bytes]]:
    manifest: dict[str, list[dict[str, str]]] = {"valid": [], "invalid": []}
    for name, (rule, payload) in specimens.payloads().items():
        manifest["valid"].append({"file": f"valid/{name}.hex", "read_as": rule})
        yield f"examples/valid/{name}.hex", _hex(payload)
        yield f"examples/valid/{name}.diag", f"{diagnostic(_decoded(payload))}\n".encode()
    for name, lines in (
        ("log", [entry.body for entry in whole_log()]),
        ("personal", [entry.personal for entry in whole_log() if entry.personal is not None]),
    ):
        manifest["valid"].append({"file": f"valid/{name}.jsonl", "read_as": {"log": "entry"}.get(name, name)})
        yield f"examples/valid/{name}.jsonl", b"".join(line + b"\n" for line in lines)
    for mistake in mistakes.mistakes():
        entry = {"file": f"invalid/{mistake.name}.hex", "read_as": mistake.read_as, "code": mistake.code}
        manifest["invalid"].append(entry | ({"says": mistake.says} if mistake.says else {}))
        yield f"examples/invalid/{mistake.name}.hex", _hex(mistake.octets)
    for name, says, body in mistakes.entries_not_of_the_log():
        entry = {"file": f"invalid/{name}.json", "read_as": "entry", "code": "entry.schema.json"}
        manifest["invalid"].append(entry | ({"says": says} if says else {}))
        yield f"examples/invalid/{name}.json", body + b"\n"
    yield "examples/manifest.json", _json(manifest)


def _hex(octets: bytes) -> bytes:
    return octets.hex().encode() + b"\n"


def write(folder: Path) -> int:
    """Write all files, and remove what stands beside them and is none; give how many were written."""
    wanted = {folder / path: content for path, content in files()}
    for old in (*folder.glob("vectors/*"), *folder.glob("examples/*/*"), *folder.glob("examples/*.json")):
        if old.is_file() and old not in wanted:
            old.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(wanted)


if __name__ == "__main__":
    sys.stderr.write(f"{write(SCHEMAS)} files written below {SCHEMAS.name}/\n")
