"""Attacks on a real Mosquitto that runs exactly the configuration of deploy/mosquitto, each beside what honest people may do.

What the broker cannot stop (a retained scan; a session that was there when its certificate was revoked), the service does:
those tests go on to the service's own session and to what it believes.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import randbytes
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from devices.link import GateLink, Route
from gatekeeper import cose
from gatekeeper.core.certificates import (
    OUTWARD,
    Authority,
    CertificateRefusal,
    CertificateRefused,
    authority_certificate,
    integrator_account,
    read_certificate_request,
    service_name,
    to_pem,
)
from gatekeeper.core.scan import Authentic, Rejected, authenticate
from gatekeeper.core.trust import TRUST_TYPE, KeyState, Trust, read_trust, trust_payload
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import HELLO_TYPE, ClockQuality, Hello
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.snapshot import MAX_SNAPSHOT_BYTES
from gatekeeper.model.topics import (
    Channel,
    gate_topic,
    link_filter,
    standing_topic,
    trust_topic,
    upward_filters,
)
from gatekeeper.ports import Inbound
from gatekeeper.service.engine.intake import Allowance, Intake
from gatekeeper.service.identity.authority_files import make_tls_key
from tests.support.mqtt import MqttClient, MqttRefusedError, mqtt_client
from tests.support.site_broker import SITE, Pass, SiteBroker, forged_certificate, site_broker
from tests.support.waiting import eventually
from tests.unit.devices import ground

pytestmark = pytest.mark.acceptance

TAKEN = {"Success", "No matching subscribers"}
REFUSED = "Not authorized"
MAIN, SIDE = GateId("main-gate"), GateId("side-gate")


@pytest.fixture
async def site(server_folder: Path) -> AsyncIterator[SiteBroker]:
    async with site_broker(server_folder) as running:
        yield running


@dataclass
class Service:
    """The service's ear at the broker, through the session that `gatekeeper serve` has."""

    heard: list[Inbound] = field(default_factory=list)

    def payloads(self, gate: GateId, channel: Channel = Channel.SCAN) -> list[bytes]:
        return [one.payload for one in self.heard if one.topic == topic(gate, channel)]


@pytest.fixture
async def service(site: SiteBroker) -> AsyncIterator[Service]:
    ear, session = Service(), site.session()

    def hear(inbound: Inbound) -> None:
        ear.heard.append(inbound)
        session.acknowledge(inbound)

    await session.open(
        filters=upward_filters(SITE),
        on_message=hear,
        on_link=lambda _up: None,
        standing=[link_filter(SITE)],
    )
    yield ear
    await session.close()


def topic(gate: str, channel: Channel = Channel.SCAN) -> str:
    return gate_topic(SITE, GateId(gate), channel)


async def connected(stack: AsyncExitStack, site: SiteBroker, shown: Pass, **terms: Any) -> MqttClient:
    return await stack.enter_async_context(mqtt_client(site.port, tls=shown.tls(), **terms))


async def refused_at_the_door(site: SiteBroker, tls: ssl.SSLContext) -> bool:
    try:
        async with mqtt_client(site.port, tls=tls):
            return False
    except MqttRefusedError:
        return True


# -- the topics of others -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel",
    [channel for channel in Channel if channel not in {Channel.DECISION, Channel.COMMAND, Channel.POLICY}],
)
async def test_a_gate_speaks_on_its_own_topics_and_on_no_other_gate_s(
    site: SiteBroker, service: Service, channel: Channel
):
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        assert await gate.publish(topic(SIDE, channel), b"in another's name") == REFUSED
        assert await gate.publish(topic(MAIN, channel), b"in its own") in TAKEN
        await eventually(lambda: service.payloads(MAIN, channel) == [b"in its own"])
        assert service.payloads(SIDE, channel) == []


async def lost(site: SiteBroker, gate: GateId, *, will: str, in_order: bool = False) -> None:
    """A gate leaves a will on a topic, and is gone: without a goodbye, or with one."""
    shown, up = site.gate(gate), asyncio.Event()
    both = shown.certificate.with_suffix(".pem")
    both.write_bytes(shown.certificate.read_bytes() + shown.key.read_bytes())
    link = GateLink(site.url, gate=gate, authority=shown.authority, certificate=both)
    link.bequeath(will, f"{gate} is gone".encode())
    await link.open(
        routes={topic(gate, Channel.DECISION): Route(lambda _message: None, retained=False)},
        on_link=lambda is_up: up.set() if is_up else None,
    )
    async with asyncio.timeout(10):
        await up.wait()
    await (link.close() if in_order else link.vanish())


async def test_a_gate_s_will_is_said_on_its_own_link_topic_however_it_ends_and_on_no_other_gate_s(
    site: SiteBroker, service: Service
):
    await lost(site, SIDE, will=topic(MAIN, Channel.LINK))
    for in_order in (False, True):
        await lost(site, SIDE, will=topic(SIDE, Channel.LINK), in_order=in_order)
    said = [b"side-gate is gone"] * 2
    await eventually(lambda: service.payloads(SIDE, Channel.LINK) == said)
    # The last that was said has arrived, and what was said before it in another's name did not.
    assert service.payloads(MAIN, Channel.LINK) == []
    later = site.session(fresh=True)
    heard: list[Inbound] = []
    async with AsyncExitStack() as stack:
        await later.open(
            filters=[], on_message=heard.append, on_link=lambda _up: None, standing=[link_filter(SITE)]
        )
        stack.push_async_callback(later.close)
        await eventually(lambda: bool(heard))
        assert [(one.topic, one.payload, one.retained) for one in heard] == [
            (topic(SIDE, Channel.LINK), said[0], True)
        ], "whoever comes later hears the last of it"


async def test_a_gate_decides_nothing_and_says_nothing_for_the_service(site: SiteBroker):
    async with AsyncExitStack() as stack:
        gate, speaker = (
            await connected(stack, site, site.gate(MAIN)),
            await connected(stack, site, site.service()),
        )
        for down in (Channel.DECISION, Channel.COMMAND, Channel.POLICY):
            assert await gate.publish(topic(MAIN, down)) == REFUSED
            assert await gate.publish(topic(SIDE, down)) == REFUSED
            assert await speaker.publish(topic(MAIN, down)) in TAKEN
        for all_gates in ("beacon", "checkpoint", "standing", "trust"):
            assert await gate.publish(f"gk/v1/{SITE}/{all_gates}") == REFUSED
            assert await speaker.publish(f"gk/v1/{SITE}/{all_gates}") in TAKEN


async def test_the_service_hears_gates_and_cannot_speak_in_their_place(site: SiteBroker):
    async with AsyncExitStack() as stack:
        speaker, gate = (
            await connected(stack, site, site.service()),
            await connected(stack, site, site.gate(MAIN)),
        )
        assert await speaker.publish(topic(MAIN)) == REFUSED
        assert await gate.publish(topic(MAIN)) in TAKEN


async def test_who_subscribes_to_others_decisions_hears_only_their_own(site: SiteBroker):
    async with AsyncExitStack() as stack:
        curious, victim = (
            await connected(stack, site, site.gate(SIDE)),
            await connected(stack, site, site.gate(MAIN)),
        )
        speaker = await connected(stack, site, site.service())
        # Mosquitto grants any subscription, and asks about rights when it delivers.
        for wish in (
            topic(MAIN, Channel.DECISION),
            f"gk/v1/{SITE}/+/decision",
            "gk/#",
            "#",
            "$SYS/#",
            topic(MAIN),
        ):
            await curious.subscribe(wish)
        await victim.subscribe(topic(MAIN, Channel.DECISION))
        await victim.publish(topic(MAIN), b"a scan that nobody but the service may read")
        await speaker.publish(topic(MAIN, Channel.DECISION), b"for the main gate")
        await speaker.publish(topic(MAIN, Channel.COMMAND), b"for the main gate too")
        await speaker.publish(topic(SIDE, Channel.DECISION), b"for the side gate")
        assert await victim.next_message() == (topic(MAIN, Channel.DECISION), b"for the main gate")
        # The last that was said arrives, and what was said before it did not.
        assert await curious.next_message() == (topic(SIDE, Channel.DECISION), b"for the side gate")
        assert all(of == topic(SIDE, Channel.DECISION) for of, _ in _left(curious))


def _left(client: MqttClient) -> list[tuple[str, bytes]]:
    return [client.received.get_nowait() for _ in range(client.received.qsize())]


# -- those who tell outward, and those who read it ------------------------------------------------------------------------

BELOW = f"gk/{SITE}/onvif-ej"
TOLD = [
    f"{BELOW}/AccessControl/AccessGranted/Credential/&main-in",
    f"gk/{SITE}/outward",
    f"homeassistant/binary_sensor/gatekeeper-{SITE}/main-in-contact/config",
]


async def test_an_integrator_reads_what_is_told_outward_and_says_nothing(site: SiteBroker):
    async with AsyncExitStack() as stack:
        teller = await connected(stack, site, site.account(OUTWARD))
        reader = await connected(stack, site, site.account(integrator_account()))
        await reader.subscribe("#")
        for said in TOLD:
            assert await teller.publish(said, b"told", retain=True) in TAKEN
            assert await reader.publish(said, b"made up") == REFUSED
            assert await reader.next_message() == (said, b"told")
        await reader.subscribe(f"gk/{SITE}/#")
        assert {(await reader.next_message())[0] for _ in TOLD[:2]} == set(TOLD[:2]), "what is retained, too"
        everything = [topic(MAIN, channel) for channel in Channel]
        everything += [f"gk/v1/{SITE}/{one}" for one in ("beacon", "checkpoint", "standing", "trust")]
        own = topic(f"integrator.{SITE}", Channel.SCAN)
        for speaker in (teller, reader):
            assert {await speaker.publish(one) for one in (*everything, own)} == {REFUSED}


async def test_who_tells_outward_and_who_reads_it_hear_nothing_of_the_gates(site: SiteBroker):
    async with AsyncExitStack() as stack:
        service = await connected(stack, site, site.service())
        gate = await connected(stack, site, site.gate(MAIN))
        curious = [
            await connected(stack, site, site.account(account)) for account in (OUTWARD, integrator_account())
        ]
        for one in curious:
            await one.subscribe("#")
        await gate.publish(topic(MAIN), b"a scan")
        for said in (topic(MAIN, Channel.DECISION), f"gk/v1/{SITE}/standing", f"gk/v1/{SITE}/trust"):
            assert await service.publish(said, b"for gates") in TAKEN
        for one in curious:
            await one.publish(TOLD[1], b"online")
            assert [of for of, _ in _left(one)] in ([], [TOLD[1]])


async def test_neither_the_service_nor_a_gate_says_or_hears_what_is_told_outward(site: SiteBroker):
    async with AsyncExitStack() as stack:
        teller = await connected(stack, site, site.account(OUTWARD))
        for other in (site.service(), site.gate(MAIN)):
            one = await connected(stack, site, other)
            await one.subscribe("#")
            assert {await one.publish(said) for said in TOLD} == {REFUSED}
            for said in TOLD:
                assert await teller.publish(said, b"told") in TAKEN
            assert await one.subscribe("none/of/these")
            assert one.received.empty()


async def test_an_integrator_of_a_name_reads_once_its_rights_are_carried_and_no_more_once_they_are_taken(
    site: SiteBroker,
):
    acme, name = integrator_account("acme"), f"{integrator_account('acme')}.{SITE}"
    pass_ = site.account(acme)
    async with AsyncExitStack() as stack:
        teller = await connected(stack, site, site.account(OUTWARD))
        reader = await connected(stack, site, pass_)
        await reader.subscribe(f"{BELOW}/#")
        await teller.publish(TOLD[0], b"too early")
        await site.rights_carried()
        await teller.publish(TOLD[0], b"told")
        assert await reader.next_message() == (TOLD[0], b"told")
        await site.account_revoked(name)
        await teller.publish(TOLD[0], b"too late")
        await reader.subscribe("none/of/these")
        assert reader.received.empty()
        assert await refused_at_the_door(site, pass_.tls())


# -- the names of others ------------------------------------------------------------------------------------------------


async def test_a_borrowed_client_id_evicts_nobody(site: SiteBroker):
    async with AsyncExitStack() as stack:
        victim = await connected(stack, site, site.gate(MAIN), client_id=MAIN)
        thief = await connected(stack, site, site.gate(SIDE), client_id=MAIN)
        assert await victim.publish(topic(MAIN)) in TAKEN
        assert not victim.lost.is_set()
        # Its own name it does take over: that is what the client id is now.
        again = await connected(stack, site, site.gate(SIDE), client_id="something-else")
        async with asyncio.timeout(5):
            await thief.lost.wait()
        assert await again.publish(topic(SIDE)) in TAKEN
        assert not victim.lost.is_set()


async def test_a_user_name_says_nothing_against_the_certificate(site: SiteBroker):
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(SIDE), username=MAIN, password="borrowed")
        assert await gate.publish(topic(MAIN)) == REFUSED
        assert await gate.publish(topic(SIDE)) in TAKEN
        posing = await connected(
            stack, site, site.gate("third-gate"), username=service_name(SITE), password="x"
        )
        assert await posing.publish(topic(MAIN, Channel.DECISION)) == REFUSED
        assert await posing.publish(topic("third-gate")) in TAKEN


TRICKS = [
    "main-gate/x",
    "../main-gate",
    "+",
    "#",
    "main-gate\0",
    "MAIN-GATE",
    "main-gate ",
    "$share",
    "service.assen.",
    "a" * 33,
]


@pytest.mark.parametrize("name", TRICKS)
async def test_the_authority_certifies_no_tricky_name_and_one_that_had_it_would_reach_no_gate_s_topics(
    site: SiteBroker, service: Service, name: str
):
    key, pem = make_tls_key()
    asked = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    )
    request = to_pem(asked.sign(key, SHA256()))
    refused = read_certificate_request(request, gate=GateId(name))
    assert isinstance(refused, CertificateRefused)
    assert refused.code is CertificateRefusal.NAME
    with pytest.raises(ValueError, match="no gate's name"):
        site.authority.for_gate(
            GateId(name), key.public_key(), serial=1, now=datetime.now(UTC), life=timedelta(1)
        )

    made = site.passed("tricky", forged_certificate(site.authority, [name], key.public_key()), pem)
    async with AsyncExitStack() as stack:
        try:
            trickster = await connected(stack, site, made)
        except MqttRefusedError:
            pass
        else:
            for reach in (topic(MAIN), topic(MAIN, Channel.DECISION), f"gk/v1/{SITE}/beacon"):
                assert await trickster.publish(reach, b"tricky") == REFUSED
            await trickster.subscribe("#")
        honest = await connected(stack, site, site.gate(MAIN))
        assert await honest.publish(topic(MAIN), b"honest") in TAKEN
        await eventually(lambda: service.payloads(MAIN) == [b"honest"])
        assert len(service.heard) == 1


async def test_a_certificate_with_two_names_is_one_gate_s_and_the_authority_makes_none(site: SiteBroker):
    key, pem = make_tls_key()
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in (MAIN, SIDE)])
    request = to_pem(x509.CertificateSigningRequestBuilder().subject_name(names).sign(key, SHA256()))
    for gate in (MAIN, SIDE):
        refused = read_certificate_request(request, gate=gate)
        assert isinstance(refused, CertificateRefused)
        assert refused.code is CertificateRefusal.NAME
    made = site.passed("two", forged_certificate(site.authority, [MAIN, SIDE], key.public_key()), pem)
    async with AsyncExitStack() as stack:
        both = await connected(stack, site, made)
        answers = [await both.publish(topic(gate)) for gate in (MAIN, SIDE)]
        assert sum(answer in TAKEN for answer in answers) == 1
        assert answers.count(REFUSED) == 1


# -- the certificates of others -----------------------------------------------------------------------------------------


async def test_only_the_site_s_own_authority_makes_a_gate(site: SiteBroker):
    now = datetime.now(UTC)
    tenant_key, _ = make_tls_key()
    tenant = Authority(
        site=SITE,
        certificate=authority_certificate(SITE, key=tenant_key, serial=7, now=now),
        key=tenant_key,
    )
    key, pem = make_tls_key()
    honest = site.gate(MAIN)
    assert not await refused_at_the_door(site, honest.tls()), "the site's own"

    def shown(certificate: x509.Certificate, *further: x509.Certificate) -> ssl.SSLContext:
        passed = site.passed("strange", certificate, pem)
        passed.certificate.write_bytes(b"".join(to_pem(one) for one in (certificate, *further)))
        return passed.tls()

    theirs = tenant.for_gate(MAIN, key.public_key(), serial=8, now=now, life=timedelta(hours=1))
    assert await refused_at_the_door(site, shown(theirs)), "a tenant's, with the same names in it"
    assert await refused_at_the_door(site, shown(theirs, tenant.certificate)), "with its authority beside it"

    own_key, _ = make_tls_key()
    gate_as_authority = site.authority.for_gate(
        SIDE, own_key.public_key(), serial=9, now=now, life=timedelta(hours=1)
    )
    by_gate = forged_certificate((gate_as_authority, own_key), [MAIN], key.public_key())
    assert await refused_at_the_door(site, shown(by_gate, gate_as_authority)), "what a gate signed"

    between = forged_certificate(site.authority, ["between"], own_key.public_key(), authority=True)
    below = forged_certificate((between, own_key), [MAIN], key.public_key())
    assert await refused_at_the_door(site, shown(below, between)), "what an authority below the site's signed"

    server = forged_certificate(site.authority, [MAIN], key.public_key(), server=True)
    assert await refused_at_the_door(site, shown(server)), "a server's certificate"
    early = site.authority.for_gate(
        MAIN, key.public_key(), serial=10, now=now - timedelta(days=2), life=timedelta(days=1)
    )
    assert await refused_at_the_door(site, shown(early)), "one that has ended"
    assert not await refused_at_the_door(site, honest.tls()), "and the site's own still"


async def test_nobody_enters_without_a_certificate_or_below_tls_1_3(site: SiteBroker):
    honest = site.gate(MAIN)
    assert await refused_at_the_door(site, ssl.create_default_context(cafile=honest.authority))
    old = honest.tls()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await asyncio.open_connection("127.0.0.1", site.port, ssl=old)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(bytes.fromhex("101000044d5154540502001e000003616263"))  # CONNECT, without TLS
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            assert not (await reader.read()).startswith(b"\x20"), "no CONNACK"
    writer.close()
    assert not await refused_at_the_door(site, honest.tls())


async def test_the_broker_s_next_certificate_is_shown_once_it_reads_it_and_sessions_go_on(site: SiteBroker):
    async def shown() -> int:
        context = site.gate("third-gate").tls()
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der).serial_number

    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        before, renewed = await shown(), await site.renewed()
        assert before != renewed.serial_number
        assert await shown() == renewed.serial_number
        assert await gate.publish(topic(MAIN)) in TAKEN
        assert not gate.lost.is_set()


# -- what the broker alone cannot stop -----------------------------------------------------------------------------------


async def test_a_retained_scan_is_kept_by_the_broker_and_taken_by_nobody(site: SiteBroker):
    intake = Intake(allowance=Allowance(), prefix="gk")
    heard: list[Inbound] = []
    turned_away = []

    async def listened(until: int, *, fresh: bool) -> None:
        session = site.session(fresh=fresh)

        def hear(inbound: Inbound) -> None:
            heard.append(inbound)
            refused = intake.offer(inbound, at=0.0)
            turned_away.append(refused.code if refused is not None else None)
            session.acknowledge(inbound)

        await session.open(filters=upward_filters(SITE), on_message=hear, on_link=lambda _up: None)
        async with AsyncExitStack() as stack:
            gate = await connected(stack, site, site.gate(MAIN))
            if not heard:
                assert await gate.publish(topic(MAIN), b"replayed for ever", retain=True) in TAKEN
            assert await gate.publish(topic(MAIN), b"honest") in TAKEN
            await eventually(lambda: len(heard) >= until)
        await session.close()

    await listened(2, fresh=True)
    assert turned_away == [MessageRefusal.RETAINED, None]
    async with AsyncExitStack() as stack:
        plain = await connected(stack, site, site.service())
        await plain.subscribe(topic(MAIN))
        assert await plain.next_message() == (topic(MAIN), b"replayed for ever"), "the broker does keep it"
    await listened(3, fresh=True)
    assert [one.payload for one in heard] == [b"replayed for ever", b"honest", b"honest"]
    assert turned_away[-1] is None


async def test_a_revoked_gate_is_mute_in_the_session_that_it_has_and_gets_no_other(
    site: SiteBroker, service: Service
):
    async with AsyncExitStack() as stack:
        stolen = site.gate(MAIN)
        live = await connected(stack, site, stolen)
        other = await connected(stack, site, site.gate(SIDE))
        speaker_pass = site.gate("third-gate")
        await live.subscribe(topic(MAIN, Channel.DECISION))
        assert await live.publish(topic(MAIN), b"before") in TAKEN
        await eventually(lambda: service.payloads(MAIN) == [b"before"])

        await site.revoke(MAIN)
        assert await live.publish(topic(MAIN), b"after") == REFUSED
        assert await refused_at_the_door(site, stolen.tls())
        assert await other.publish(topic(SIDE), b"others go on") in TAKEN
        assert not await refused_at_the_door(site, speaker_pass.tls())
        await eventually(lambda: service.payloads(SIDE) == [b"others go on"])
        assert service.payloads(MAIN) == [b"before"]
        assert live.received.empty()


async def test_a_list_of_revoked_certificates_alone_leaves_a_live_session_and_the_service_believes_none_of_it(
    site: SiteBroker, service: Service
):
    key = cose.SigningKey.generate()
    keys = ground.Service({MAIN: key})
    async with AsyncExitStack() as stack:
        live = await connected(stack, site, site.gate(MAIN))
        await site.revoke_certificate_only(MAIN)
        hello = Hello(
            boot=BootId(bytes(8)),
            sequence=1,
            gate_at=None,
            clock=ClockQuality.NONE,
            agent="thief",
            policy=None,
            checkpoint=None,
        )
        wire = cose.sign(
            hello.payload(), key=key, typ=HELLO_TYPE, external_aad=topic(MAIN, Channel.HELLO).encode()
        )
        assert await live.publish(topic(MAIN, Channel.HELLO), wire) in TAKEN, "the broker lets it through"
        await eventually(lambda: service.payloads(MAIN, Channel.HELLO) == [wire])
        (arrived,) = service.heard
        assert isinstance(
            authenticate(arrived.topic, arrived.payload, trust=keys.trust, prefix="gk"), Authentic
        )
        refused = authenticate(arrived.topic, arrived.payload, trust=revoking(keys, MAIN), prefix="gk")
        assert isinstance(refused, Rejected)
        assert refused.code is MessageRefusal.GATE_REVOKED


def revoking(service: ground.Service, gate: GateId) -> Trust:
    """The next trust list of a site, in which a gate's key is revoked."""
    listing = service.trust.listing
    gates = {**listing.gates, gate: replace(listing.gates[gate], state=KeyState.REVOKED)}
    payload = trust_payload(replace(listing, version=listing.version + 1, gates=gates))
    document = cose.cosign(payload, keys=[service.root], typ=TRUST_TYPE, external_aad=SITE.encode())
    trust = read_trust(document, anchor=service.anchor, not_below=0)
    assert isinstance(trust, Trust)
    return trust


# -- limits --------------------------------------------------------------------------------------------------------------


async def test_what_is_too_large_does_not_reach_the_service_and_what_is_large_enough_to_be_told_of_does(
    site: SiteBroker, service: Service
):
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        assert await gate.publish(topic(MAIN), bytes(9000)) in TAKEN
        # There is one limit for what goes up and down. So the service itself says how much it takes.
        for octets in (70_000, 1 << 20, 1 << 24):
            assert await gate.publish(topic(MAIN), bytes(octets)) in TAKEN
            gate.throw(topic(MAIN), bytes(octets))
        assert await gate.publish(topic(MAIN), b"and a scan") in TAKEN
        await eventually(lambda: service.payloads(MAIN) == [bytes(9000), b"and a scan"])


async def test_what_is_larger_than_any_snapshot_ends_the_connection(site: SiteBroker, service: Service):
    async with AsyncExitStack() as stack:
        flooding = await connected(stack, site, site.gate(SIDE))
        flooding.throw(topic(SIDE), bytes((1 << 24) + (1 << 17)))
        async with asyncio.timeout(5):
            await flooding.lost.wait()
        assert service.payloads(SIDE) == []


async def test_what_an_absent_service_would_not_take_keeps_no_scan_from_it(site: SiteBroker):
    session = site.session()
    await session.open(filters=upward_filters(SITE), on_message=session.acknowledge, on_link=lambda _up: None)
    await session.close()
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        for octets in (1 << 20, 1 << 24):
            assert await gate.publish(topic(MAIN), bytes(octets)) in TAKEN
        for number in range(100):
            assert await gate.publish(topic(MAIN), b"scan %d" % number) in TAKEN
    heard: list[bytes] = []
    session = site.session()

    def hear(inbound: Inbound) -> None:
        heard.append(inbound.payload)
        session.acknowledge(inbound)

    await session.open(filters=upward_filters(SITE), on_message=hear, on_link=lambda _up: None)
    await eventually(lambda: heard == [b"scan %d" % number for number in range(100)])
    await session.close()


@pytest.mark.parametrize("octets", [1 << 20, MAX_SNAPSHOT_BYTES], ids=["a megabyte", "the largest"])
async def test_a_gate_gets_its_snapshot_the_standing_and_the_trust_list_that_were_left_for_it(
    site: SiteBroker, octets: int
):
    snapshot, session = randbytes(octets), site.session()
    await session.open(filters=(), on_message=lambda _: None, on_link=lambda _up: None)
    said = {
        topic(MAIN, Channel.POLICY): snapshot,
        standing_topic(SITE): b"standing",
        trust_topic(SITE): b"trust",
    }
    for on, wire in said.items():
        assert session.publish(on, wire, retain=True)
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        curious = await connected(stack, site, site.gate(SIDE))
        for on in said:
            await gate.subscribe(on)
            await curious.subscribe(on)
        got = dict([await gate.next_message() for _ in said])
        assert got == said
        others = dict([await curious.next_message() for _ in range(2)])
        assert others.keys() == {standing_topic(SITE), trust_topic(SITE)}
    await session.close()


async def test_who_says_nothing_for_longer_than_the_broker_s_patience_is_told_how_long_that_is(
    site: SiteBroker,
):
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN), keep_alive=3600)
        assert gate.told_keep_alive == 60
        modest = await connected(stack, site, site.gate(SIDE), keep_alive=10)
        assert modest.told_keep_alive in {None, 10}


async def test_an_absent_service_finds_its_scans_also_after_a_crash_of_the_broker(site: SiteBroker):
    heard: list[bytes] = []
    session = site.session()
    await session.open(filters=upward_filters(SITE), on_message=lambda _: None, on_link=lambda _up: None)
    await session.close()
    async with AsyncExitStack() as stack:
        gate = await connected(stack, site, site.gate(MAIN))
        for number in range(1500):
            assert await gate.publish(topic(MAIN), b"%d" % number) in TAKEN
        await site.saved()
    await site.crash()
    back = site.session()

    def hear(inbound: Inbound) -> None:
        heard.append(inbound.payload)
        back.acknowledge(inbound)

    await back.open(filters=upward_filters(SITE), on_message=hear, on_link=lambda _up: None)
    await eventually(lambda: len(heard) == 1500)
    assert heard == [b"%d" % number for number in range(1500)]
    await back.close()
