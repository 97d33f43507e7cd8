"""The link to a collector: what arrives, what is told when it does not, and when it is sent again."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatekeeper.adapters.syslog import CollectorAddress, CollectorLink, trusting
from gatekeeper.adapters.syslog import link as link_module
from gatekeeper.config import SettingError
from gatekeeper.ports import CollectorUnavailableError
from tests.support.certificates import throw_away_certificate
from tests.support.collectors import DatagramCollector, StreamCollector
from tests.support.proxy import FaultProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

MESSAGES = [b"one", b"two\nlines", "drie \N{EURO SIGN}".encode(), b"4 " * 4000]


@pytest.fixture
def link_to() -> Iterator[Callable[..., CollectorLink]]:
    """Makes links, and ends them with the test."""
    links = []

    def made(url: str, *, tls: ssl.SSLContext | None = None, patience: float = 10.0) -> CollectorLink:
        links.append(CollectorLink(CollectorAddress.parse(url), tls=tls, patience=patience))
        return links[-1]

    yield made
    for link in links:
        link.close()


# -- where it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["tcp://10.0.0.1:601", "tls://logs.example:6514", "udp://[2001:db8::1]:514"])
def test_an_address_is_read_as_it_is_written(url: str):
    assert str(CollectorAddress.parse(url)) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "logs.example:601", "tcp://", "tcp://logs.example", "tcp://:601", "http://logs.example:80", "TCP//x:1", "tcp://x:0",
        "tcp://x:65536", "tcp://x:y", "tcp://x:1/", "tcp://x:1?a=b", "tcp://x:1#a", "tcp://u:p@x:1", "tcp://[::1:1",
    ],
)  # fmt: skip
def test_another_address_is_a_mistake_that_is_not_repeated(url: str):
    with pytest.raises(SettingError, match="collector") as told:
        CollectorAddress.parse(url)
    assert "u:p" not in str(told.value)


# -- over TCP ---------------------------------------------------------------------------------------------------------


async def test_messages_arrive_in_order_over_one_connection(link_to: Callable[..., CollectorLink]):
    with StreamCollector() as collector:
        link = link_to(collector.url)
        await link.send(MESSAGES)
        await link.send([])
        await link.send(MESSAGES[:1])
        assert collector.wait_for(5) == [*MESSAGES, b"one"]
        assert len(collector.streams) == 1


async def test_a_collector_that_is_not_there_is_told_of(link_to: Callable[..., CollectorLink]):
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]
    with pytest.raises(CollectorUnavailableError) as told:
        await link_to(f"tcp://127.0.0.1:{port}").send(MESSAGES)
    assert (
        str(told.value) == f"The collector tcp://127.0.0.1:{port} does not take the feed: Connection refused."
    )


async def test_after_a_collector_hung_up_the_link_is_made_anew_and_nothing_is_sent_into_the_void(
    link_to: Callable[..., CollectorLink],
):
    with StreamCollector() as collector:
        link = link_to(collector.url)
        await link.send([b"before"])
        collector.wait_for(1)
        collector.hang_up()
        await eventually(lambda: not _stands(link))
        await link.send([b"after"])
        assert collector.wait_for(2) == [b"before", b"after"]
        assert len(collector.streams) == 2


async def test_what_nobody_acknowledges_has_not_arrived(link_to: Callable[..., CollectorLink]):
    """The other side takes no more: its buffers are full, and then it acknowledges nothing."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = link_to(f"tcp://127.0.0.1:{deaf.getsockname()[1]}", patience=0.05)
        with pytest.raises(CollectorUnavailableError, match=r"does not answer in time\.$"):
            await link.send([bytes(1 << 24)])


async def test_an_empty_queue_of_a_link_that_broke_is_no_sign_of_arrival():
    with socket.create_server(("127.0.0.1", 0)) as rude, socket.socket() as plug:
        plug.connect(rude.getsockname())
        plug.sendall(b"unread")
        link_module._see_it_arrive(plug, 10.0)
        accepted, _ = rude.accept()
        accepted.close()  # with bytes unread: the connection is reset, and the queue with it
        await eventually(lambda: not link_module._stands(plug))
        with pytest.raises(ConnectionResetError, match="it hung up"):
            link_module._see_it_arrive(plug, 10.0)


def test_what_waits_in_our_own_kernel_has_not_arrived():
    """The other side's buffer is small and nobody reads it; ours takes all."""
    with socket.socket() as deaf, socket.socket() as plug:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        plug.connect(deaf.getsockname())
        plug.settimeout(10.0)
        plug.sendall(bytes(100_000))
        with pytest.raises(TimeoutError, match="acknowledges nothing"):
            link_module._see_it_arrive(plug, 0.05)


async def test_a_break_between_is_told_of_and_the_next_attempt_succeeds(
    link_to: Callable[..., CollectorLink],
):
    with StreamCollector() as collector:
        async with FaultProxy(("127.0.0.1", collector.port)) as proxy:
            link = link_to(f"tcp://127.0.0.1:{proxy.port}")
            await link.send([b"one"])
            await eventually(lambda: len(collector.messages) == 1)
            proxy.refuse()
            proxy.cut()
            await eventually(lambda: not _stands(link))
            with pytest.raises(CollectorUnavailableError, match="Connection refused"):
                await link.send([b"two"])
            await proxy.accept()
            await link.send([b"two"])
            await eventually(lambda: collector.messages == [b"one", b"two"])


# -- over TLS ---------------------------------------------------------------------------------------------------------


def serving(folder: Path, *, demanding: bool = False) -> ssl.SSLContext:
    """Whom a collector is, by a certificate in this folder; a demanding one wants to know its clients."""
    certificate, key = throw_away_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if demanding:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    return context


async def test_messages_arrive_over_tls_at_a_collector_that_is_believed(
    link_to: Callable[..., CollectorLink], tmp_path: Path
):
    with StreamCollector(tls=serving(tmp_path)) as collector:
        tls = trusting(authorities=tmp_path / "certificate.pem", certificate=None, key=None)
        link = link_to(collector.url, tls=tls)
        await link.send(MESSAGES)
        await link.send(MESSAGES)
        assert collector.wait_for(8) == MESSAGES * 2
        assert len(collector.streams) == 1


async def test_a_collector_that_nobody_vouches_for_gets_nothing(
    link_to: Callable[..., CollectorLink], tmp_path: Path
):
    with StreamCollector(tls=serving(tmp_path)) as collector:
        link = link_to(collector.url, tls=trusting(authorities=None, certificate=None, key=None))
        with pytest.raises(CollectorUnavailableError, match="its certificate is not believed"):
            await link.send(MESSAGES)
        collector.wait_until(lambda: len(collector.faults) == 1)
        assert collector.messages == []


async def test_a_collector_of_another_name_gets_nothing(
    link_to: Callable[..., CollectorLink], tmp_path: Path
):
    with StreamCollector(tls=serving(tmp_path)) as collector:
        tls = trusting(authorities=tmp_path / "certificate.pem", certificate=None, key=None)
        link = link_to(f"tls://localhost:{collector.port}", tls=tls)
        with pytest.raises(CollectorUnavailableError, match="its certificate is not believed"):
            await link.send(MESSAGES)


async def test_a_collector_that_asks_who_we_are_is_shown_our_certificate(
    link_to: Callable[..., CollectorLink], tmp_path: Path
):
    with StreamCollector(tls=serving(tmp_path, demanding=True)) as collector:
        authority, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        stranger = link_to(collector.url, tls=trusting(authorities=authority, certificate=None, key=None))
        with pytest.raises(CollectorUnavailableError):
            await _until_refused(stranger)
        known = link_to(collector.url, tls=trusting(authorities=authority, certificate=authority, key=key))
        await known.send([b"it is us"])
        assert collector.wait_for(1) == [b"it is us"]


def test_nothing_that_is_to_be_encrypted_goes_out_in_the_clear():
    with pytest.raises(ValueError, match="SSL context"):
        CollectorLink(CollectorAddress.parse("tls://logs.example:6514"))
    with pytest.raises(ValueError, match="SSL context"):
        CollectorLink(CollectorAddress.parse("tcp://logs.example:601"), tls=ssl.create_default_context())


@pytest.mark.parametrize("broken", ["authorities", "certificate", "key"])
def test_files_that_are_no_certificates_are_told_of(broken: str, tmp_path: Path):
    certificate, key = throw_away_certificate(tmp_path)
    files = {"authorities": certificate, "certificate": certificate, "key": key}
    files[broken] = tmp_path / "nothing.pem"
    with pytest.raises(SettingError, match="cannot be read: they are PEM files"):
        trusting(**files)
    files[broken].write_text("no PEM at all")
    with pytest.raises(SettingError, match="cannot be read: they are PEM files"):
        trusting(**files)


# -- by UDP -----------------------------------------------------------------------------------------------------------


async def test_each_message_is_a_datagram(link_to: Callable[..., CollectorLink]):
    with DatagramCollector() as collector:
        link = link_to(collector.url)
        await link.send(MESSAGES)
        assert collector.wait_for(4) == MESSAGES


async def test_a_message_that_fits_no_datagram_is_a_mistake_and_not_an_outage(
    link_to: Callable[..., CollectorLink],
):
    with DatagramCollector() as collector:
        link = link_to(collector.url)
        with pytest.raises(SettingError, match="70000 bytes fits no datagram: send over tcp:// or tls://"):
            await link.send([bytes(70_000)])


async def _until_refused(link: CollectorLink) -> None:
    """What TLS 1.3 refuses is refused after the handshake: at the latest when more is sent."""
    while True:
        await link.send(MESSAGES)


def _stands(link: CollectorLink) -> bool:
    return link._plug is not None and link_module._stands(link._plug)
