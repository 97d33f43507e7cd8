"""The enrolment desk over HTTPS, as the gate's own program talks to it; and a gate that renews its certificate at work."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from fastapi import FastAPI, Response

from devices.app import gate_on, make_link
from devices.certificate import CertificateError, Request, keep_granted, read_certificate
from devices.renewal import CertificateRenewal
from devices.settings import TLS, GateSettings, read_gate_folder
from devices.site_desk import DeskAwayError, DeskRefusedError, DeskUrlError, Granted, SiteDesk
from gatekeeper.adapters.http import serving
from gatekeeper.adapters.http.connections import BoundedListener, TimelyProtocol
from gatekeeper.adapters.http.enrolment import enrolment_app, enrolment_tls
from gatekeeper.core.certificates import to_pem
from gatekeeper.core.trust import KeyState
from gatekeeper.model.ids import GateId
from gatekeeper.model.topics import Channel, gate_topic
from gatekeeper.service.administration.folder import ANCHOR, SiteFolder
from gatekeeper.service.identity.authority_files import AUTHORITY, certify_desk, found_authority, make_tls_key
from tests.support.enrolment import GATE, NEW, Desk, asking, open_desk
from tests.support.mqtt import mqtt_client
from tests.support.site_broker import site_broker
from tests.support.sites import NOON, SITE, ground, key_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


class Served:
    """A desk behind HTTPS, and what a gate needs to reach it."""

    def __init__(self, desk: Desk, url: str, place: Path) -> None:
        self.desk, self.url, self.place = desk, url, place
        self.authority = desk.folder.root / AUTHORITY
        (place / "anchor.json").write_text(ground().anchor.to_json())

    @property
    def by_the_gate(self) -> SiteDesk:
        return SiteDesk(self.url, authority=self.authority)

    async def ask(self, request: Request, code: str) -> str:
        return await asyncio.to_thread(self.by_the_gate.ask, request, code)

    async def look(self, digest: str) -> Granted | None:
        return await asyncio.to_thread(self.by_the_gate.look, GATE, digest)

    async def renew(self, request: Request) -> Granted:
        return await asyncio.to_thread(self.by_the_gate.renew, request, shown=self.place / TLS)

    async def certified(self) -> Request:
        """The gate that is believed already, with its first certificate on the disk."""
        request = asking(key=key_of("front"))
        granted = await self.look(await self.ask(request, self.desk.code()))
        assert granted is not None
        self.keep(request, granted)
        return request

    def keep(self, request: Request, granted: Granted) -> x509.Certificate:
        now = self.desk.clock.now()
        return keep_granted(self.place, request, granted.certificate, granted.trust, site=SITE, now=now)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    folder = SiteFolder(tmp_path / "site")
    folder.write(ANCHOR, ground().anchor.to_json().encode())
    now = datetime.now(UTC)  # TLS asks the machine's own clock
    found_authority(folder, site=SITE, prefix="gk", now=now)
    desk = Desk(folder)
    desk.clock.advance(now - NOON)
    async with desk_over_https(desk) as url:
        (tmp_path / "gate").mkdir()
        yield Served(desk, url, tmp_path / "gate")


@asynccontextmanager
async def desk_over_https(desk: Desk) -> AsyncIterator[str]:
    own = certify_desk(desk.folder, "127.0.0.1", now=desk.clock.now())
    tls = enrolment_tls(certificate=own, authority=desk.folder.root / AUTHORITY)
    async with open_desk(desk), serving(enrolment_app(desk.desk), host="127.0.0.1", port=0, tls=tls) as url:
        yield url


# -- the conversation ---------------------------------------------------------------------------------------------------


async def test_a_gate_asks_waits_is_certified_and_renews(served: Served):
    served.desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    request = asking()
    digest = await served.ask(request, served.desk.code())
    assert await served.look(digest) is None
    served.desk.owner.believes(GATE, NEW)
    granted = await served.look(digest)
    assert granted is not None
    first = served.keep(request, granted)
    assert (served.place / TLS).stat().st_mode & 0o077 == 0
    assert (served.place / "trust.cose").read_bytes() == served.desk.owner.flow.trust.document
    following = asking()
    second = served.keep(following, await served.renew(following))
    assert second.serial_number != first.serial_number
    assert read_certificate(served.place / TLS) == second


async def test_what_is_refused_comes_with_its_code(served: Served):
    with pytest.raises(DeskRefusedError, match="enrolment-code") as refused:
        await served.ask(asking(), "0000-0000-0000-0000")
    assert refused.value.code == "enrolment-code"
    with pytest.raises(DeskRefusedError, match="enrolment-not-waiting"):
        await served.look("00" * 32)
    await served.certified()
    served.desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
    with pytest.raises(DeskRefusedError, match="enrolment-identity"):
        await served.renew(asking(key=key_of("front")))


async def test_without_an_engine_one_is_told_to_come_later(served: Served):
    code = served.desk.code()
    served.desk.desk._owner = None
    with pytest.raises(DeskAwayError, match="no engine"):
        await served.ask(asking(), code)


async def test_the_gate_talks_to_the_site_s_own_desk_only(served: Served, tmp_path: Path):
    stranger = SiteFolder(tmp_path / "stranger")
    stranger.write(ANCHOR, ground().anchor.to_json().encode())
    found_authority(stranger, site=SITE, prefix="gk", now=served.desk.clock.now())
    wary = SiteDesk(served.url, authority=stranger.root / AUTHORITY)
    with pytest.raises(DeskRefusedError, match="not the site's own"):
        await asyncio.to_thread(wary.ask, asking(), "code")
    assert isinstance(await served.ask(asking(key=key_of("front")), served.desk.code()), str)


async def test_a_stranger_s_certificate_is_refused_by_tls_and_none_is_refused_by_the_desk(
    served: Served, tmp_path: Path
):
    request = await served.certified()
    body = {"request": _base64(request.document), "csr": request.csr.decode()}
    async with client(served) as nobody:
        answer = await nobody.post("/renewal", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "enrolment-identity")

    stranger = SiteFolder(tmp_path / "stranger")
    stranger.write(ANCHOR, ground().anchor.to_json().encode())
    theirs = found_authority(stranger, site=SITE, prefix="gk", now=served.desk.clock.now())
    key, pem = make_tls_key()
    made = theirs.for_gate(
        GATE, key.public_key(), serial=3, now=served.desk.clock.now(), life=timedelta(hours=1)
    )
    (tmp_path / "theirs.pem").write_bytes(pem + to_pem(made))
    async with client(served, tmp_path / "theirs.pem") as thief:
        with pytest.raises(httpx.TransportError):
            await thief.post("/renewal", json=body)
    async with client(served, served.place / TLS) as honest:
        again = await honest.post("/renewal", json=body)
        assert (again.status_code, again.json()["code"]) == (409, "enrolment-key-used")
        following = asking(key=key_of("front"))
        body = {"request": _base64(following.document), "csr": following.csr.decode()}
        assert (await honest.post("/renewal", json=body)).status_code == 200


async def test_below_tls_1_3_nobody_is_answered(served: Served):
    old = ssl.create_default_context(cafile=served.authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx.AsyncClient(base_url=served.url, verify=old) as client_:
        with pytest.raises(httpx.TransportError):
            await client_.get(f"/enrolment/{GATE}/00")
    async with client(served) as new:
        assert (await new.get(f"/enrolment/{GATE}/00")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        json.dumps({"request": "", "csr": ""}).encode(),
        json.dumps({"request": "", "csr": "", "code": "", "more": ""}).encode(),
        json.dumps({"request": "!", "csr": "", "code": ""}).encode(),
        json.dumps({"request": 1, "csr": "", "code": ""}).encode(),
        json.dumps({"request": "", "csr": "é", "code": ""}).encode(),
        b"[" * 9000,
        b" " * 20_000,
    ],
)
async def test_a_body_that_is_none_is_refused(served: Served, body: bytes):
    async with client(served) as stranger:
        answer = await stranger.post("/enrolment", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "enrolment-malformed")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_agrees_on_tls_and_never_asks_is_not_held(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TimelyProtocol, "head_seconds", 0.2)
    context, where = ssl.create_default_context(cafile=served.authority), urlsplit(served.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
    writer.write(b"POST /enrolment HTTP/1.1\r\n")
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_who_never_agrees_on_tls_keeps_nobody_out(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BoundedListener, "most", 8)
    where = urlsplit(served.url)
    silent = [await asyncio.open_connection(where.hostname, where.port) for _ in range(40)]
    request = await served.certified()
    assert request.gate == GATE
    for _, writer in silent:
        writer.close()


@pytest.mark.parametrize("gate", ["Front", "a" * 33, "..", "%2e%2e"])
async def test_a_name_that_no_gate_has_is_nobody(served: Served, gate: str):
    async with client(served) as stranger:
        assert (await stranger.get(f"/enrolment/{gate}/00")).status_code == 404


@pytest.mark.parametrize(
    "url", ["http://desk:1", "https://", "https://user@desk", "https://desk/enrol", "desk"]
)
def test_a_url_that_is_no_desk_s_is_said(url: str, tmp_path: Path):
    with pytest.raises(DeskUrlError, match="https://host"):
        SiteDesk(url, authority=tmp_path / "ca.pem")


@asynccontextmanager
async def client(served: Served, shown: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
    tls = ssl.create_default_context(cafile=served.authority)
    if shown is not None:
        tls.load_cert_chain(shown)
    async with httpx.AsyncClient(base_url=served.url, verify=tls) as made:
        yield made


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


NONSENSE = {
    "no base64": {"certificate": "x", "trust": "a"},
    "base64 with something between": {"certificate": "x", "trust": "AAAA AAAA"},
    "no ASCII": {"certificate": "x", "trust": "\u00e9"},
    "half a character": b'{"certificate": "\\ud800", "trust": ""}',
    "a depth without end": b"[" * 100_000,
    "no document": b"[]",
    "no JSON": b"<html>",
    "no fields": {},
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_a_desk_that_answers_nonsense_is_told_of_and_is_asked_again(tmp_path: Path, said: Any):
    folder = SiteFolder(tmp_path / "site")
    folder.write(ANCHOR, ground().anchor.to_json().encode())
    found_authority(folder, site=SITE, prefix="gk", now=datetime.now(UTC))
    app, content = FastAPI(), said if isinstance(said, bytes) else json.dumps(said).encode()

    @app.post("/renewal")
    async def answer() -> Response:
        return Response(content, media_type="application/json")

    own = certify_desk(folder, "127.0.0.1", now=datetime.now(UTC))
    tls = enrolment_tls(certificate=own, authority=folder.root / AUTHORITY)
    async with serving(app, host="127.0.0.1", port=0, tls=tls) as url:
        desk = SiteDesk(url, authority=folder.root / AUTHORITY)
        with pytest.raises(DeskAwayError, match=r"no answer|answer that is none|no certificate"):
            await asyncio.to_thread(desk.renew, asking(), shown=own)


# -- what the gate keeps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["another key", "another gate", "over", "no certificate", "an older trust list", "no trust list"]
)
async def test_what_the_site_sends_is_looked_at_before_it_takes_the_place_of_what_works(
    served: Served, wrong: str
):
    await served.certified()
    before = {file.name: file.read_bytes() for file in served.place.iterdir()}
    request = asking(key=key_of("front"))
    granted, now = await served.renew(request), served.desk.clock.now()
    match wrong:
        case "another key":
            request = asking(key=key_of("front"))
        case "another gate":
            request = replace(request, gate=GateId("inner"))
        case "over":
            now += timedelta(days=8)
        case "no certificate":
            granted = replace(granted, certificate=b"none")
        case "an older trust list":
            served.desk.owner.believes(GATE, key_of("front"))
            (served.place / "trust.cose").write_bytes(served.desk.owner.flow.trust.document)
            before["trust.cose"] = served.desk.owner.flow.trust.document
        case _:
            granted = replace(granted, trust=b"none")
    with pytest.raises(CertificateError, match=r"The site sent"):
        keep_granted(served.place, request, granted.certificate, granted.trust, site=SITE, now=now)
    assert {file.name: file.read_bytes() for file in served.place.iterdir()} == before


# -- at work ------------------------------------------------------------------------------------------------------------


async def test_a_gate_at_work_renews_and_what_was_not_answered_is_sent_again(
    server_folder: Path, tmp_path: Path
):
    async with site_broker(server_folder, ground().anchor) as broker:
        desk, place = Desk(broker.site), tmp_path / "gate"
        desk.clock.advance(datetime.now(UTC) - NOON)
        async with desk_over_https(desk) as url:
            settings = await gate_with_a_certificate(Served(desk, url, made(place)))
            link = make_link(settings, broker=broker.url, authority=broker.site.root / AUTHORITY)
            renewal = CertificateRenewal(
                settings,
                link,
                SiteDesk(url, authority=broker.site.root / AUTHORITY),
                folder=place,
                clock=desk.clock.now,
            )
            async with mqtt_client(broker.port, tls=broker.service().tls()) as service:
                await service.subscribe(gate_topic(SITE, GATE, Channel.HELLO))
                async with gate_on(link, settings):
                    hello = await service.next_message()
                    before = read_certificate(place / TLS)
                    assert renewal.until_due() > timedelta(days=4)
                    assert await renewal.renew()
                    assert read_certificate(place / TLS).serial_number != before.serial_number
                    # The same bytes: nothing is lost, and nothing is said twice as another thing.
                    assert await service.next_message() == hello
                    # Who connects is known by the new one: the former is taken back, and the link begins anew all the same.
                    await broker.revoke_serial(before.serial_number)
                    link.begin_anew()
                    await eventually(lambda: not link.up)
                    await eventually(lambda: link.up)


async def test_a_due_certificate_is_renewed_by_itself_and_one_that_is_refused_stays_and_is_asked_for_again(
    server_folder: Path, tmp_path: Path
):
    async with site_broker(server_folder, ground().anchor) as broker:
        desk, place = Desk(broker.site), tmp_path / "gate"
        desk.clock.advance(datetime.now(UTC) - NOON)
        async with desk_over_https(desk) as url:
            settings = await gate_with_a_certificate(Served(desk, url, made(place)))
            link = make_link(settings, broker=broker.url, authority=broker.site.root / AUTHORITY)
            first = read_certificate(place / TLS)
            later = desk.clock.now() + timedelta(days=5)
            renewal = CertificateRenewal(
                settings,
                link,
                SiteDesk(url, authority=broker.site.root / AUTHORITY),
                folder=place,
                clock=lambda: later,
                again=timedelta(milliseconds=10),
            )
            desk.owner.believes(GATE, key_of("front"), KeyState.REVOKED)
            assert renewal.until_due() < timedelta(0)
            assert not await renewal.renew()
            assert read_certificate(place / TLS) == first
            running = asyncio.create_task(renewal.run())
            desk.owner.believes(GATE, key_of("front"))
            await eventually(lambda: read_certificate(place / TLS) != first)
            running.cancel()
            await asyncio.wait({running})


def made(place: Path) -> Path:
    place.mkdir()
    return place


async def gate_with_a_certificate(served: Served) -> GateSettings:
    """The folder of the front gate, with a certificate and without a password."""
    written = {
        "site": SITE,
        "gate": GATE,
        "prefix": "gk",
        "access_points": [{"id": "front-in", "direction": "in"}],
    }
    (served.place / "gate.json").write_text(json.dumps(written))
    (served.place / "key.pem").write_bytes(key_of("front").to_pem())
    (served.place / "key.pem").chmod(0o600)
    await served.certified()
    return read_gate_folder(served.place)
