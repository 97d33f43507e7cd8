"""The vectors as they stand in the files, and the service as they describe it: from the files alone."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from gatekeeper import cose
from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.draw import Draws
from gatekeeper.core.flow import Flow
from gatekeeper.core.operators import OperatorRecord, Operators, read_operator
from gatekeeper.core.pin import PinChecker
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.register import HolderRecord, Register, read_holder
from gatekeeper.core.supervise import Writes, supervise
from gatekeeper.core.trust import Anchor, Trust, read_trust
from gatekeeper.core.verify import PinDesk
from gatekeeper.model.badges import BadgeRecord, BadgeState
from tests.contract import make_vectors
from tests.contract.play import moment
from tests.contract.vector_site import key_of

SCHEMAS = make_vectors.SCHEMAS


@cache
def vectors(name: str) -> Any:
    return json.loads((SCHEMAS / "vectors" / f"{name}.json").read_text("utf-8"))


def session() -> Any:
    return vectors("session")


SAID = [
    session()["beacon"],
    session()["checkpoint"],
    *session()["commands"],
    *session()["links"],
    *(step[way] for step in session()["steps"] for way in ("up", "down") if way in step),
]


def octets(of: dict[str, Any], name: str = "message") -> bytes:
    return bytes.fromhex(of[name])


def keys() -> Any:
    return vectors("keys")["keys"]


def signing_key(name: str) -> cose.SigningKey:
    key = key_of(name)
    assert key.public_der.hex() == keys()[name]["spki"]
    return key


@cache
def trust() -> Trust:
    documents = vectors("documents")
    anchor = Anchor.from_json(json.dumps(documents["anchor"]))
    found = read_trust(octets(documents["trust"]), anchor=anchor, not_below=0)
    assert isinstance(found, Trust)
    return found


def flow() -> Flow:
    """The service as the vectors describe it, from the files alone."""
    documents = vectors("documents")
    register = Register()
    for person in documents["people"].values():
        document, token = octets(person["registration"]), octets(person["token"])
        holder = read_holder(document, trust=trust())
        badge = register.read_token(token, trust=trust())
        assert holder is not None
        assert badge is not None
        record = BadgeRecord(id=badge.id, token=token, state=BadgeState.ACTIVE)
        register.put_badge(record, tenant=badge.tenant, card=badge.card, holder=holder.id)
        register.put_holder(
            HolderRecord(id=holder.id, document=document), tenant=holder.tenant, badges=holder.badges
        )
    policy = compile_from(octets(documents["policy"]), trust=trust())
    assert not isinstance(policy, PolicyRefused)
    assert policy.version.hex() == documents["policy"]["version"]
    first = session()["steps"][0]["down"]["fields"]["entry"]
    service = Flow(
        policy=policy,
        policy_source=octets(documents["policy"]),
        trust=trust(),
        register=register,
        next_seq=first,
    )
    secret, pepper = (
        octets(vectors("keys"), f"throw_away_{what}") for what in ("beacon_secret", "pin_pepper")
    )
    service.operators = Operators(_operators())
    seal = cose.SealKey.from_pem(signing_key("seal").to_pem())
    service.pin_desk = PinDesk(key=seal, checker=PinChecker(pepper=pepper))
    service.draws = Draws(secret=secret)
    return service


def _operators() -> Iterator[OperatorRecord]:
    for document in vectors("documents")["operators"].values():
        operator = read_operator(octets(document), trust=trust())
        assert operator is not None
        yield OperatorRecord(id=operator.id, tenant=operator.tenant, document=octets(document))


def last_word(service: Flow, step: dict[str, Any]) -> bytes:
    """What the service says to a gate when an operator has spoken of its scan."""
    document = octets(step["change"])
    change_id = cose.decode(cose.decode(document[1:])[2])[2]
    anchor = Anchor.from_json(json.dumps(vectors("documents")["anchor"]))
    done = supervise(
        service,
        document,
        change_id=change_id,
        name=None,
        anchor=anchor,
        now=moment(step["at"]),
        writes=Writes(),
        is_linked=True,
    )
    assert done.settled is not None, done.outcome
    topic, wire = sign_answer(
        done.settled.answer, site=trust().site, key=signing_key("decision"), prefix=session()["prefix"]
    )
    assert topic == step["down"]["topic"]
    return wire
