"""Time stamps of checkpoints: asked for over HTTP, kept, and believed from the root of their authority alone."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.tsa import HttpTimestampAuthority
from gatekeeper.app import timestamp_authority
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.ports import TimestampUnavailableError
from gatekeeper.service.auditor.timestamps import (
    TimestampRefusal,
    TimestampRefused,
    verify_timestamp,
)
from gatekeeper.service.engine.stamping import Stamper
from gatekeeper.transparency import Checkpoint, Note, Signer, parse_note, sign_checkpoint
from tests.integration.cli_hold import Hold
from tests.integration.people_site import served_site
from tests.support.fort import NOW, SCHOOL, Fort
from tests.support.timestamping import Authority, made_authority, served_authority

pytestmark = pytest.mark.integration

TEXT = b"gatekeeper/fort/site\n42\nMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n"
SIGNER = Signer(name="gatekeeper/fort/site", private_key=Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with served_authority(tmp_path_factory.mktemp("tsa")) as authority:
        yield authority


@pytest.fixture(scope="module")
def reply(authority: Authority) -> bytes:
    return asyncio.run(HttpTimestampAuthority(authority.url).stamp(TEXT))


@pytest.fixture
def failing(authority: Authority) -> Iterator[Authority]:
    """The authority, whose answers a test may spoil."""
    yield authority
    authority.answers = None


def code(found: object) -> TimestampRefusal | None:
    return found.code if isinstance(found, TimestampRefused) else None


# -- a token ----------------------------------------------------------------------------------------------------------


def test_a_token_says_when_its_authority_saw_the_text(authority: Authority):
    before = datetime.now(UTC).replace(microsecond=0)
    reply = asyncio.run(HttpTimestampAuthority(authority.url).stamp(TEXT))
    at = verify_timestamp(reply, TEXT, roots=[authority.root])
    assert isinstance(at, datetime)
    assert at.tzinfo is UTC
    assert before <= at <= datetime.now(UTC)


def test_openssl_says_the_same_of_it(authority: Authority, reply: bytes, tmp_path: Path):
    (tmp_path / "site-42.tsr").write_bytes(reply)
    for text, code_ in ((TEXT, 0), (TEXT + b"x", 1)):
        (tmp_path / "site-42.txt").write_bytes(text)
        command = ["openssl", "ts", "-verify", "-in", "site-42.tsr", "-data", "site-42.txt"]
        done = subprocess.run(
            [*command, "-CAfile", authority.roots], check=False, cwd=tmp_path, capture_output=True
        )
        assert done.returncode == code_, done.stderr


def test_another_text_was_not_stamped(authority: Authority, reply: bytes):
    for text in (b"", TEXT[:-1], TEXT + b"\n", TEXT.replace(b"42", b"43")):
        assert code(verify_timestamp(reply, text, roots=[authority.root])) is TimestampRefusal.OTHER_TEXT


def test_a_root_that_did_not_certify_the_authority_believes_nothing(reply: bytes, tmp_path: Path):
    stranger = made_authority(tmp_path / "stranger")
    for roots in ([], [stranger.root]):
        assert code(verify_timestamp(reply, TEXT, roots=roots)) is TimestampRefusal.SIGNATURE


def test_of_several_roots_one_is_enough(authority: Authority, reply: bytes, tmp_path: Path):
    stranger = made_authority(tmp_path / "stranger")
    assert isinstance(verify_timestamp(reply, TEXT, roots=[stranger.root, authority.root]), datetime)


def signed_again(reply: bytes, by: Authority) -> bytes:
    """What a reply says, signed by another's key as no authority would."""
    (by.folder / "reply.tsr").write_bytes(reply)
    for command in (
        ["ts", "-reply", "-in", "reply.tsr", "-token_out", "-out", "token.der"],
        ["cms", "-verify", "-noverify", "-inform", "DER", "-in", "token.der", "-out", "said.der"],
        ["cms", "-sign", "-nodetach", "-binary", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-in", "said.der",
         "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "again.der"],
        ["ts", "-reply", "-token_in", "-in", "again.der", "-out", "again.tsr"],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, cwd=by.folder, capture_output=True)
    return (by.folder / "again.tsr").read_bytes()


@pytest.mark.parametrize("for_stamping", [True, False])
def test_a_certificate_for_something_else_stamps_nothing(reply: bytes, tmp_path: Path, for_stamping: bool):  # noqa: FBT001
    other = made_authority(tmp_path / "other", for_stamping=for_stamping)
    found = verify_timestamp(signed_again(reply, other), TEXT, roots=[other.root])
    assert code(found) is (None if for_stamping else TimestampRefusal.SIGNATURE)


def test_no_bit_can_be_turned_so_that_a_token_says_anything_else(authority: Authority, reply: bytes):
    at = verify_timestamp(reply, TEXT, roots=[authority.root])
    refused = 0
    for place in range(len(reply)):
        turned = bytearray(reply)
        turned[place] ^= 1
        found = verify_timestamp(bytes(turned), TEXT, roots=[authority.root])
        refused += isinstance(found, TimestampRefused)
        assert isinstance(found, TimestampRefused) or found == at, place
    assert refused > 0.95 * len(reply), "a few bytes are signed by nobody, and say nothing"


@given(st.binary(max_size=300))
def test_what_is_no_token_is_refused_and_never_raises(junk: bytes):
    assert code(verify_timestamp(junk, TEXT, roots=[])) is TimestampRefusal.MALFORMED


@pytest.mark.parametrize("cut", [1, 2, 10, 100, 500])
def test_a_token_that_was_cut_or_lengthened_is_refused(authority: Authority, reply: bytes, cut: int):
    for spoiled in (reply[:-cut], reply[cut:], reply + bytes(cut)):
        assert code(verify_timestamp(spoiled, TEXT, roots=[authority.root])) is TimestampRefusal.MALFORMED


def test_without_the_library_nothing_is_checked_and_that_is_said(
    authority: Authority, reply: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    assert code(verify_timestamp(reply, TEXT, roots=[authority.root])) is TimestampRefusal.UNCHECKED


# -- asking -----------------------------------------------------------------------------------------------------------


def refusals() -> dict[str, Callable[[Authority], Callable[[bytes], tuple[int, bytes]]]]:
    """What an authority may answer that is no token for the query."""

    def rejected(authority: Authority) -> Callable[[bytes], tuple[int, bytes]]:
        return lambda _: (200, bytes.fromhex("30053003020102"))

    def of_before(authority: Authority) -> Callable[[bytes], tuple[int, bytes]]:
        earlier = authority.reply(authority.queries[0])
        return lambda _: (200, earlier)

    def of_another_text(authority: Authority) -> Callable[[bytes], tuple[int, bytes]]:
        return lambda query: (200, authority.reply(query.replace(digest_in(query), bytes(32))))

    return {
        "out of order": lambda _: lambda _: (503, b""),
        "moved": lambda _: lambda _: (302, b""),
        "nothing": lambda _: lambda _: (200, b""),
        "a page": lambda _: lambda _: (200, b"<html>time stamps are sold out</html>"),
        "without end": lambda _: lambda _: (200, bytes(70_000)),
        "rejected": rejected,
        "the reply to an earlier query": of_before,
        "a token over another text": of_another_text,
    }


def digest_in(query: bytes) -> bytes:
    """The digest that a query is about: it stands behind the name of SHA-256, its NULL and its own head."""
    begins = query.index(bytes.fromhex("608648016503040201")) + 9 + 4
    return query[begins : begins + 32]


@pytest.mark.parametrize("spoil", refusals().values(), ids=refusals())
async def test_an_answer_that_is_no_token_for_the_query_is_none(
    failing: Authority, reply: bytes, spoil: Callable[[Authority], Callable[[bytes], tuple[int, bytes]]]
):
    failing.answers = spoil(failing)
    with pytest.raises(TimestampUnavailableError, match="time-stamping authority"):
        await HttpTimestampAuthority(failing.url).stamp(TEXT)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/tsa", "https://127.0.0.1:1/tsa"])
async def test_an_authority_that_is_not_there_is_unavailable(url: str):
    with pytest.raises(TimestampUnavailableError, match="cannot be reached"):
        await HttpTimestampAuthority(url).stamp(TEXT)


def test_what_is_asked_is_the_digest_of_the_text_and_a_number_of_its_own_each_time(authority: Authority):
    before = len(authority.queries)
    for _ in range(2):
        asyncio.run(HttpTimestampAuthority(authority.url).stamp(TEXT))
    first, again = authority.queries[before:]
    assert first != again
    assert digest_in(first) == digest_in(again)


def test_an_authority_that_is_set_and_cannot_be_asked_stops_the_start(monkeypatch: pytest.MonkeyPatch):
    assert timestamp_authority(Settings()) is None
    assert timestamp_authority(Settings(tsa="http://tsa.example")) is not None
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(SettingError, match=r"pip install '\.\[timestamp\]'"):
        timestamp_authority(Settings(tsa="http://tsa.example"))


# -- the engine's turn ------------------------------------------------------------------------------------------------


class MovedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def note(size: int) -> bytes:
    return sign_checkpoint(Checkpoint(origin=SIGNER.name, size=size, root=bytes(32)), [SIGNER])


def text_of(written: bytes) -> bytes:
    parsed = parse_note(written)
    assert isinstance(parsed, Note)
    return parsed.text.encode()


def stamper(fort: Fort, authority: Authority, clock: MovedClock, *, every: float = 0) -> Stamper:
    return Stamper(
        site=fort.site,
        authority=HttpTimestampAuthority(authority.url),
        ledger=fort.ledger,
        clock=clock,
        every=timedelta(seconds=every),
    )


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        yield fort


async def test_every_tree_that_grew_is_stamped_at_its_newest_checkpoint_and_not_twice(
    fort: Fort, authority: Authority
):
    stamping, school = stamper(fort, authority, MovedClock()), tenant_tree(SCHOOL)
    for tree, size in ((SITE_TREE, 1), (school, 1), (SITE_TREE, 2)):
        stamping.signed(tree, size, note(size))
    await stamping.round()
    assert {tree: size for tree, (size, _) in (await fort.ledger.timestamped(fort.site)).items()} == {
        SITE_TREE: 2,
        school: 1,
    }
    asked = len(authority.queries)
    stamping.signed(SITE_TREE, 3, note(3))
    await stamping.round()
    assert len(authority.queries) == asked + 1, "the school's tree has not grown"


async def test_what_is_signed_while_others_are_stamped_has_its_turn_too(fort: Fort, failing: Authority):
    stamping = stamper(fort, failing, MovedClock())

    def meanwhile(query: bytes) -> tuple[int, bytes]:
        loop.call_soon_threadsafe(stamping.signed, SITE_TREE, 2, note(2))
        return 200, failing.reply(query)

    loop = asyncio.get_running_loop()
    failing.answers = meanwhile
    stamping.signed(SITE_TREE, 1, note(1))
    await stamping.round()
    failing.answers = None
    async with asyncio.timeout(30):
        await stamping.round()
    assert (await fort.ledger.timestamped(fort.site))[SITE_TREE][0] == 2


async def test_what_is_kept_is_the_stamp_of_the_note_s_text(fort: Fort, authority: Authority):
    stamping = stamper(fort, authority, MovedClock())
    for size in (5, 9):
        await fort.ledger.checkpoint(
            fort.site, tree=SITE_TREE, size=size, root=bytes(32), note=note(size), at=NOW
        )
        stamping.signed(SITE_TREE, size, note(size))
        await stamping.round()
    async with PostgresReading.opened(fort.dsn) as reading:
        for asked, found in ((4, None), (5, 5), (8, 5), (9, 9), (1000, 9)):
            row = await reading.timestamp_tokens(fort.site, tree=SITE_TREE, size=asked)
            assert (None if row is None else row.size) == found
            if row is not None:
                assert row.note is not None
                assert row.at == NOW
                at = verify_timestamp(row.reply, text_of(row.note), roots=[authority.root])
                assert isinstance(at, datetime)
        assert await reading.timestamp_tokens(fort.site, tree=tenant_tree(SCHOOL), size=9) is None
        assert [(row.tree, row.size) for row in await reading.timestamps(fort.site)] == [
            (SITE_TREE, 5),
            (SITE_TREE, 9),
        ]


async def test_the_next_turn_comes_after_the_interval_also_when_the_process_started_anew(
    fort: Fort, authority: Authority
):
    clock = MovedClock()
    first = stamper(fort, authority, clock, every=3600)
    first.signed(SITE_TREE, 1, note(1))
    await first.round()
    assert first.until_due == timedelta(hours=1)
    clock.at += timedelta(minutes=50)
    assert first.until_due == timedelta(minutes=10)
    successor = stamper(fort, authority, clock, every=3600)
    await successor._recall()
    assert successor.until_due == timedelta(minutes=10)
    clock.at += timedelta(minutes=11)
    assert successor.until_due == timedelta()
    asked = len(authority.queries)
    successor.signed(SITE_TREE, 1, note(1))
    await successor.round()
    assert len(authority.queries) == asked, "nothing has grown"


async def test_an_authority_that_fails_loses_nothing_and_is_asked_again(
    fort: Fort, failing: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.service.engine.stamping._RETRY_FIRST", timedelta(milliseconds=1))
    answers = iter([(503, b""), (503, b"")])

    def twice(query: bytes) -> tuple[int, bytes]:
        return next(answers, None) or (200, failing.reply(query))

    failing.answers = twice
    stamping = stamper(fort, failing, MovedClock(), every=3600)
    stamping.signed(SITE_TREE, 7, note(7))
    with capture_logs() as logs:
        running = asyncio.create_task(stamping.run())
        async with asyncio.timeout(30):
            while not await fort.ledger.timestamped(fort.site):
                assert not running.done()
        running.cancel()
    assert [line["why"] for line in logs if line["event"] == "no time stamp"] == [
        "The time-stamping authority answers 503."
    ] * 2


# -- the command ------------------------------------------------------------------------------------------------------


def stamped_hold(hold: Hold, authority: Authority) -> Hold:
    """A site whose only checkpoint, of ten entries, is stamped."""
    (row,) = hold.run("SELECT size, note FROM checkpoint WHERE site_id = $1")
    reply = asyncio.run(HttpTimestampAuthority(authority.url).stamp(text_of(row["note"])))
    hold.run("INSERT INTO timestamp_token VALUES ($1, 'site', $2, $3, now())", row["size"], reply)
    return hold


def test_a_log_without_time_stamps_is_told_how_to_come_by_them(hold: Hold):
    said = hold("audit", "timestamps")
    assert (said.code, said.out) == (0, "")
    assert said.err == "The log has no time stamps: the setting tsa names an authority that makes them.\n"
    written = hold("audit", "timestamps", "--out", hold.data / "stamps")
    assert (written.err, (hold.data / "stamps").exists()) == (said.err, False)


def test_time_stamps_are_shown_and_nothing_is_claimed_of_what_was_not_checked(
    hold: Hold, authority: Authority
):
    said = stamped_hold(hold, authority)("audit", "timestamps")
    assert said.code == 0, said
    assert [line.split()[:2] for line in said.out.splitlines()] == [["tree", "size"], ["site", "10"]]
    assert said.out.rstrip().endswith("not checked")


def test_time_stamps_are_checked_from_the_roots_that_are_given(
    hold: Hold, authority: Authority, tmp_path: Path
):
    stamped_hold(hold, authority)
    said = hold("audit", "timestamps", "--roots", authority.roots, "--json")
    assert said.code == 0, said
    (stamp,) = said.document
    assert (stamp["tree"], stamp["size"], stamp["refused"]) == ("site", 10, None)
    assert stamp["stamped"] is not None
    stranger = made_authority(tmp_path / "stranger")
    said = hold("audit", "timestamps", "--roots", stranger.roots)
    assert said.code == 1
    assert "timestamp-signature" in said.out
    assert said.err == "1 time stamp of 1 not believed.\n"


def test_a_time_stamp_of_a_checkpoint_that_was_exchanged_or_is_gone_is_not_believed(
    hold: Hold, authority: Authority
):
    stamped_hold(hold, authority)
    for spoil in (
        "UPDATE checkpoint SET note = convert_to(replace(convert_from(note, 'UTF8'), '10', '11'), 'UTF8')",
        "UPDATE checkpoint SET note = 'trust me'",
        "DELETE FROM checkpoint",
    ):
        hold.run(f"{spoil} WHERE site_id = $1")
        said = hold("audit", "timestamps", "--roots", authority.roots)
        assert said.code == 1, spoil
        assert "timestamp-other-text" in said.out


def test_without_the_library_the_command_says_that_it_cannot_check(
    hold: Hold, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    stamped_hold(hold, authority)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    said = hold("audit", "timestamps", "--roots", authority.roots)
    assert said.code == 3
    assert said.err.startswith("Cannot check: Nothing here can check time stamps: pip install '.[timestamp]'")


def test_time_stamps_are_written_out_so_that_openssl_can_check_them(
    hold: Hold, authority: Authority, tmp_path: Path
):
    out = tmp_path / "stamps"
    said = stamped_hold(hold, authority)("audit", "timestamps", "--out", out)
    assert said.code == 0, said
    assert sorted(path.name for path in out.iterdir()) == ["site-10.tsr", "site-10.txt"]
    (told,) = list(said.err.replace("\n", " ").split("openssl: ")[1:])
    command = told.replace("NAME", "site-10").replace("ROOTS.pem", str(authority.roots)).split()
    assert subprocess.run(command, check=False, cwd=out, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read: No such file"), (b"no certificate", "holds no certificate (PEM).")],
)
def test_roots_that_are_none_are_told(hold: Hold, tmp_path: Path, content: bytes | None, sentence: str):
    roots = tmp_path / "roots.pem"
    if content is not None:
        roots.write_bytes(content)
    said = hold("audit", "timestamps", "--roots", roots)
    assert said.code == 2
    assert sentence in said.err


def test_who_verifies_the_log_checks_its_time_stamps_from_the_roots_that_are_given(
    hold: Hold, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stamped_hold(hold, authority)
    said = hold.verify("--tsa-roots", authority.roots)
    assert said.code == 0, said
    assert "Stamped: site at 10 entries, at " in said.err
    assert "Not checked: 1 time stamp: no --tsa-roots says whom to believe.\n" in hold.verify().err
    stranger = made_authority(tmp_path / "stranger")
    said = hold.verify("--tsa-roots", stranger.roots, "--json")
    assert (said.code, [finding["code"] for finding in said.document["findings"]]) == (1, ["timestamp"])
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    said = hold.verify("--tsa-roots", authority.roots)
    assert said.code == 3
    assert said.err.endswith(
        "Cannot check: Nothing here can check time stamps: pip install '.[timestamp]' in the folder of Gatekeeper's source.\n"
    )


# -- a whole site -----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_a_site_with_an_authority_has_its_checkpoints_stamped(
    tmp_path: Path, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker, authority: Authority
):
    with served_site(tmp_path, postgres_server, broker) as registry:
        registry.stop()
        registry.environment = {"GATEKEEPER_TSA": authority.url}
        registry.start()
        registry.wait_until(
            lambda: len(registry.run("SELECT FROM timestamp_token WHERE site_id = $1 AND tree = 'site'")) == 1
        )
        (row,) = registry.run(
            "SELECT size, reply, note FROM timestamp_token JOIN checkpoint USING (site_id, tree, size)"
            " WHERE site_id = $1 AND tree = 'site'"
        )
        assert row["size"] <= registry.log_size()
        assert isinstance(
            verify_timestamp(row["reply"], text_of(row["note"]), roots=[authority.root]), datetime
        )
