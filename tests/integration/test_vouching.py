"""Who else vouches for a log in its database: cosignatures against a policy, time stamps against roots."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.auditor import Fault
from gatekeeper.service.verification import Report
from gatekeeper.transparency import Refusal, parse_note
from tests.drill.hand import rebuild, sign_anew
from tests.support.checkpoints import OTHER_WITNESS, cosign_heads, policy_of, sign_heads
from tests.support.fort import ARMY, NOW, SCHOOL, TREES, Fort
from tests.support.verified import verified

pytestmark = pytest.mark.integration

ONE = policy_of("witness one {first}\nquorum one\n")
BOTH = policy_of("witness one {first}\nwitness two {second}\ngroup both all one two\nquorum both\n")
EITHER = policy_of("witness one {first}\nwitness two {second}\ngroup either any one two\nquorum either\n")
NOBODY = policy_of("witness one {first}\nquorum none\n")
AT = 1_800_000_000
ARMYS, SCHOOLS = tenant_tree(ARMY), tenant_tree(SCHOOL)


async def grown(fort: Fort, entries: int) -> None:
    """So many entries more of every tree, and a signed checkpoint of each."""
    await fort.commit(fort.pen.write(entries, tenants=(ARMY, SCHOOL)))
    await sign_heads(fort)


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    """A log with checkpoints at 30 and at 50 entries of each tree; a witness has cosigned those at 30."""
    async with Fort.opened(postgres_server) as fort:
        await grown(fort, 30)
        await cosign_heads(fort)
        await grown(fort, 20)
        yield fort


def sizes(report: Report) -> dict[str, int]:
    return {tree: cosigned.size for tree, cosigned in report.cosigned.items()}


def _named(report: Report) -> list[tuple[str, int | None]]:
    return [(one.verifier.name, one.time) for one in report.cosigned[SITE_TREE].witnesses]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def of_witnesses(report: Report) -> list[str]:
    return [thing for thing in report.unchecked if "others" in thing or "witnesses" in thing]


# -- how far witnesses vouch ------------------------------------------------------------------------------------------


async def test_of_each_tree_it_is_said_up_to_where_the_quorum_has_cosigned_it(fort: Fort):
    report = await verified(fort, policy=ONE)
    assert (report.problems, sizes(report)) == ([], dict.fromkeys(TREES, 30))
    assert _named(report) == [("witness.example", AT)]
    (younger,) = of_witnesses(report)
    assert younger == (
        "that others saw the newest entries: the quorum has not cosigned site from 30 on, tenant:army from 30 on, "
        "tenant:school from 30 on"
    )
    await cosign_heads(fort)
    report = await verified(fort, policy=ONE)
    assert (report.problems, sizes(report), of_witnesses(report)) == ([], dict.fromkeys(TREES, 50), [])


async def test_witnesses_that_were_asked_at_different_sizes_make_a_quorum_at_the_smaller_one(fort: Fort):
    """Of each hour only the last word of a witness is kept, and one of them may have been away then."""
    await cosign_heads(fort, by=OTHER_WITNESS)
    report = await verified(fort, policy=BOTH)
    assert (report.problems, sizes(report)) == ([], dict.fromkeys(TREES, 30))
    assert _named(report) == [("other.example", AT), ("witness.example", AT)]
    report = await verified(fort, policy=EITHER)
    assert sizes(report) == dict.fromkeys(TREES, 50)
    assert _named(report) == [("other.example", AT)]


async def test_where_no_policy_asks_for_witnesses_that_is_not_passed_over(fort: Fort):
    for policy in (None, NOBODY):
        report = await verified(fort, policy=policy)
        assert report.valid
        assert of_witnesses(report) == ["3 cosignatures of witnesses: no --policy says whom to believe"]
    await fort.run("DELETE FROM cosignature WHERE site_id = $1")
    for policy in (None, NOBODY):
        report = await verified(fort, policy=policy)
        assert (report.valid, report.cosigned) == (True, {})
        assert of_witnesses(report) == ["that others saw the same log: no witness has cosigned it"]


async def test_a_tree_without_entries_needs_no_witness_unless_it_is_the_sites(
    postgres_server: EmbeddedPostgres,
):
    async with Fort.opened(postgres_server) as fort:
        assert (await verified(fort, policy=ONE)).problems == [
            "no checkpoint of site that is kept has the quorum [witness-policy]"
        ]
        await fort.commit(fort.pen.write(3, tenants=()))
        await sign_heads(fort)
        await cosign_heads(fort)
        assert (await verified(fort, policy=ONE)).problems == []


# -- what is wrong ----------------------------------------------------------------------------------------------------


async def test_a_quorum_that_is_absent_is_found_in_every_tree(fort: Fort):
    report = await verified(fort, policy=BOTH)
    assert report.problems == [
        f"no checkpoint of {tree} that is kept has the quorum [witness-policy]" for tree in sorted(TREES)
    ]
    assert codes(report) == {Fault.WITNESS_POLICY}


async def test_a_quorum_that_is_absent_in_one_tree_is_found(fort: Fort):
    await fort.run("DELETE FROM cosignature WHERE site_id = $1 AND tree = $2", SCHOOLS)
    report = await verified(fort, policy=ONE)
    assert report.problems == [f"no checkpoint of {SCHOOLS} that is kept has the quorum [witness-policy]"]
    assert sizes(report) == {SITE_TREE: 30, ARMYS: 30}


SPOILED: dict[str, tuple[str, Refusal]] = {
    "its bytes": (
        "signature = set_byte(signature, 20, 255 - get_byte(signature, 20))",
        Refusal.NOTE_SIGNATURE,
    ),
    "its time": ("signature = set_byte(signature, 7, 255 - get_byte(signature, 7))", Refusal.NOTE_SIGNATURE),
    "its length": ("signature = '\\x00'", Refusal.NOTE_SIGNATURE),
    "its name": ("name = 'no+name'", Refusal.NOTE_KEY_NAME),
    "its line": ("name = E'x\\nx'", Refusal.NOTE_SIGNATURE_LINE),
}


@pytest.mark.parametrize(("spoiled", "code"), SPOILED.values(), ids=SPOILED)
async def test_a_bad_cosignature_is_found_and_counts_for_nothing(fort: Fort, spoiled: str, code: Refusal):
    await fort.run(f"UPDATE cosignature SET {spoiled} WHERE site_id = $1 AND tree = 'site'")
    report = await verified(fort, policy=ONE)
    assert codes(report) == {code, Fault.WITNESS_POLICY}
    assert report.problems[0].startswith("a cosignature ")
    assert report.problems[0].endswith(f" of site at 30 entries is none [{code}]")
    assert SITE_TREE not in report.cosigned


async def test_the_cosignature_of_another_checkpoint_is_none_of_this_one(fort: Fort):
    await fort.run(
        "UPDATE cosignature SET signature = other.signature FROM cosignature AS other WHERE cosignature.site_id = $1"
        " AND other.site_id = $1 AND cosignature.tree = 'site' AND other.tree = $2",
        SCHOOLS,
    )
    assert codes(await verified(fort, policy=ONE)) == {Refusal.NOTE_SIGNATURE, Fault.WITNESS_POLICY}


async def test_a_witness_whom_nobody_named_vouches_for_nothing(fort: Fort):
    await fort.run("DELETE FROM cosignature WHERE site_id = $1")
    await cosign_heads(fort, by=OTHER_WITNESS)
    assert codes(await verified(fort, policy=ONE)) == {Fault.WITNESS_POLICY}


async def _altered(fort: Fort) -> None:
    """An entry is altered, and all that follows from it is made to fit but what was signed."""
    await fort.run(
        "UPDATE entry SET body = convert_to(replace(convert_from(body, 'UTF8'), 'front', 'other'), 'UTF8')"
        " WHERE site_id = $1 AND seq = 7"
    )
    await rebuild(fort)


async def _cut_off(fort: Fort) -> None:
    await fort.run("DELETE FROM entry WHERE site_id = $1 AND seq >= 20")
    await fort.run("DELETE FROM checkpoint WHERE site_id = $1 AND size = 50")
    await rebuild(fort)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (_altered, "has another root: the log was rewritten"),
        (_cut_off, "is beyond the end of the log"),
    ],
)
async def test_a_cosigned_checkpoint_that_is_not_in_line_with_the_tree_is_found_and_vouches_for_nothing(
    fort: Fort, deed: Callable[[Fort], Awaitable[None]], said: str
):
    await deed(fort)
    report = await verified(fort, policy=ONE)
    assert f"the cosigned checkpoint of site at 30 entries {said} [checkpoint-fork]" in report.problems
    assert codes(report) == {Fault.CHECKPOINT_FORK, Fault.WITNESS_POLICY}
    assert report.cosigned == {}


async def test_a_log_that_was_rewritten_and_signed_with_the_stolen_key_is_found_out_by_its_witness(
    fort: Fort,
):
    await _altered(fort)
    await sign_anew(fort)
    assert (await verified(fort)).valid
    assert codes(await verified(fort, policy=ONE)) == {Fault.WITNESS_POLICY}


# -- time stamps ------------------------------------------------------------------------------------------------------


async def _stamp(fort: Fort, tree: str, size: int, reply: bytes) -> None:
    await fort.ledger.keep_timestamp(fort.site, tree=tree, size=size, reply=reply, at=NOW)


def _reads(text: bytes, reply: bytes) -> datetime | str:
    """As one who believes replies that repeat the text and name a year."""
    said, _, year = reply.rpartition(b"@")
    return datetime(int(year), 1, 1, tzinfo=UTC) if said == text else "The token is over another text."


async def text_of(fort: Fort, size: int) -> bytes:
    rows = await fort.run(
        "SELECT note FROM checkpoint WHERE site_id = $1 AND tree = 'site' AND size = $2", size
    )
    note: Any = parse_note(rows[0]["note"])
    return bytes(note.text.encode())


async def test_of_each_tree_it_is_said_at_which_size_it_was_stamped_last(fort: Fort):
    for size, year in ((30, b"2024"), (50, b"2025")):
        await _stamp(fort, SITE_TREE, size, await text_of(fort, size) + b"@" + year)
    report = await verified(fort, stamp=_reads)
    assert (report.problems, report.stamped) == ([], {SITE_TREE: (50, datetime(2025, 1, 1, tzinfo=UTC))})
    assert not any("stamp" in thing for thing in report.unchecked)
    assert "2 time stamps: no --tsa-roots says whom to believe" in (await verified(fort)).unchecked


async def test_a_time_stamp_of_something_else_or_of_a_checkpoint_that_is_gone_is_found(fort: Fort):
    await _stamp(fort, SITE_TREE, 30, await text_of(fort, 50) + b"@2024")
    await _stamp(fort, SCHOOLS, 40, b"@2024")
    report = await verified(fort, stamp=_reads)
    assert report.problems == [
        "the time stamp of site at 30 entries is none: The token is over another text [timestamp]",
        f"the time stamp of {SCHOOLS} at 40 entries is none: The checkpoint is gone [timestamp]",
    ]
    assert (codes(report), report.stamped) == ({Fault.TIMESTAMP}, {})


async def test_that_no_time_stamp_is_kept_is_said_to_who_asks_for_them(fort: Fort):
    report = await verified(fort, stamp=_reads)
    assert report.valid
    assert "when its checkpoints were there: no time stamp is kept" in report.unchecked
