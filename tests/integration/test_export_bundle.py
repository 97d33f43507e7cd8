"""A bundle holds what was asked for, all of it and nothing else, and a stranger finds the root in it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from gatekeeper.adapters.postgres import PostgresLeaves
from gatekeeper.core.audit import SITE_TREE, Kind, commitment, tenant_tree
from gatekeeper.core.export import Counts, Dialect, Selection, read_manifest, read_opening, read_proofs
from gatekeeper.core.log_export import AtDoor
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.export import partial as partial_module
from gatekeeper.service.export import writing
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import plan_document, read_plan
from gatekeeper.service.export.source import MissingEntriesError
from gatekeeper.service.export.writing import write_bundle
from gatekeeper.transparency import verify_consistency, verify_inclusion, verify_range
from gatekeeper.transparency.hashing import leaf_hash
from tests.support.exports import leaves_of, members_of, opened_with, planned, root_over, written
from tests.support.fort import ARMY, KEYS, NOW, PUPIL, SCHOOL, SERGEANT, Fort

pytestmark = pytest.mark.integration

OF_SCHOOL, OF_ARMY = tenant_tree(SCHOOL), tenant_tree(ARMY)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Ground:
    """A log of 700 entries: 300 of the school's, 40 of the army's people in the school's zones, 360 nobody's."""

    fort: Fort
    leaves: PostgresLeaves


@pytest.fixture
async def ground(postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    monkeypatch.setattr(writing, "_PIECE", 64)
    async with Fort.opened(postgres_server) as fort:
        for minute in range(20):
            at = NOW + minute * MINUTE
            await fort.commit(fort.pen.write(15, person=PUPIL, kind=Kind.ACCESS_GRANTED, at=at))
            await fort.commit(
                fort.pen.write(2, person=SERGEANT, tenants=(ARMY, SCHOOL), kind=Kind.ACCESS_DENIED, at=at)
            )
            await fort.commit(fort.pen.write(18, tenants=(), at=at))
        async with PostgresLeaves.opened(fort.dsn, fort.site) as leaves:
            yield Ground(fort, leaves)


@pytest.mark.parametrize("tree", [OF_SCHOOL, OF_ARMY, SITE_TREE])
async def test_a_whole_tree_is_given_byte_for_byte_and_leads_to_its_root(
    ground: Ground, tree: str, tmp_path: Path
):
    plan = await planned(ground.fort, ground.leaves, tree=tree, checkpoint=b"the note")
    counts = await written(plan, ground.leaves, tmp_path / "b.zip")
    members = members_of(tmp_path / "b.zip")
    lines = leaves_of(members)
    assert root_over(lines) == ground.fort.pen.trees[tree].root()
    assert [json.loads(line)["trees"][tree] for line in lines] == list(range(len(lines)))
    assert counts == Counts(
        entries=len(lines), personal=sum("personal" in json.loads(line) for line in lines)
    )
    assert list(members) == [
        "VERIFY.txt", "verify.py", "checkpoint", "entries/000000000000.jsonl", "export.json", "proofs.json", "manifest.json",
    ]  # fmt: skip
    assert members["checkpoint"] == b"the note"
    assert read_manifest(members["manifest.json"]) == plan.manifest.counted(counts)


async def test_a_tenant_gets_its_own_and_what_happened_in_its_zones_and_nothing_else(
    ground: Ground, tmp_path: Path
):
    await written(
        await planned(ground.fort, ground.leaves, tree=OF_SCHOOL), ground.leaves, tmp_path / "b.zip"
    )
    entries = [json.loads(line) for line in leaves_of(members_of(tmp_path / "b.zip"))]
    assert len(entries) == 340
    assert all(OF_SCHOOL in entry["trees"] for entry in entries)
    assert sum(OF_ARMY in entry["trees"] for entry in entries) == 40


async def test_a_span_of_time_comes_with_its_borders_and_its_proof(ground: Ground, tmp_path: Path):
    plan = await planned(
        ground.fort,
        ground.leaves,
        tree=OF_SCHOOL,
        since=NOW + 3 * MINUTE,
        until=NOW + 5 * MINUTE,
        csv=Dialect.RFC4180,
    )
    assert (plan.manifest.within, plan.manifest.range) == ((51, 85), (50, 86))
    counts = await written(plan, ground.leaves, tmp_path / "b.zip")
    assert counts == Counts(entries=36, personal=34, rows=34)
    members = members_of(tmp_path / "b.zip")
    lines = leaves_of(members)
    times = [json.loads(line)["at"] for line in lines]
    assert times[0] < times[1] == times[17] < times[18] == times[-2] < times[-1]
    proofs = read_proofs(members["proofs.json"])
    assert proofs is not None
    refused = verify_range(
        start=50,
        end=86,
        size=340,
        leaf_hashes=list(map(leaf_hash, lines)),
        proof=proofs.range,
        root=plan.manifest.root,
    )
    assert refused is None
    assert members["csv/000000000050.csv"].count(b"\r\n") == 35


@pytest.mark.parametrize(
    ("since", "until", "within", "reach"),
    [
        (-5, 0, (0, 0), (0, 1)),
        (20, 30, (340, 340), (339, 340)),
        (None, 1, (0, 17), (0, 18)),
        (19, None, (323, 340), (322, 340)),
        (-5, 30, (0, 340), (0, 340)),
    ],
)
async def test_times_beyond_the_log_and_open_ends(
    ground: Ground, since: int | None, until: int | None, within: tuple[int, int], reach: tuple[int, int]
):
    plan = await planned(
        ground.fort,
        ground.leaves,
        tree=OF_SCHOOL,
        since=None if since is None else NOW + since * MINUTE,
        until=None if until is None else NOW + until * MINUTE,
    )
    assert (plan.manifest.within, plan.manifest.range) == (within, reach)


async def test_where_nothing_happened_the_two_neighbours_say_so(ground: Ground, tmp_path: Path):
    quiet = NOW + 3 * MINUTE + timedelta(seconds=10)
    plan = await planned(
        ground.fort, ground.leaves, tree=OF_SCHOOL, since=quiet, until=quiet + timedelta(seconds=20)
    )
    assert (plan.manifest.within, plan.manifest.range) == ((68, 68), (67, 69))
    counts = await written(plan, ground.leaves, tmp_path / "b.zip")
    assert counts == Counts(entries=2)


async def test_a_filter_withholds_the_rest_as_hashes_that_lead_to_the_root(ground: Ground, tmp_path: Path):
    plan = await planned(
        ground.fort,
        ground.leaves,
        tree=OF_SCHOOL,
        selection=Selection(decisions=(AtDoor.DENIED,)),
        csv=Dialect.EXCEL_NL,
    )
    counts = await written(plan, ground.leaves, tmp_path / "b.zip")
    assert counts == Counts(entries=40, withheld=300, personal=40, rows=40)
    members = members_of(tmp_path / "b.zip")
    lines = leaves_of(members)
    assert root_over(lines) == plan.manifest.root
    assert {json.loads(line)["kind"] for line in lines if isinstance(line, bytes)} == {"access.denied"}
    assert sum(line["withheld"][1] - line["withheld"][0] for line in lines if isinstance(line, dict)) == 300


async def test_one_holder_is_found_by_what_the_opened_parts_say(ground: Ground, tmp_path: Path):
    plan = await planned(
        ground.fort, ground.leaves, tree=OF_SCHOOL, selection=Selection(holder=SERGEANT), openings=True
    )
    counts = await written(plan, ground.leaves, tmp_path / "b.zip", opener=opened_with(ground.fort))
    assert counts == Counts(entries=40, withheld=300, personal=40, openings=40)
    openings = members_of(tmp_path / "b.zip")["openings/000000000000.jsonl"].splitlines()
    assert all(json.loads(line)["opening"]["holder"] == SERGEANT for line in openings)


async def test_personal_parts_are_opened_as_they_were_committed_to_and_the_forgotten_stay_closed(
    ground: Ground, tmp_path: Path
):
    plan = await planned(ground.fort, ground.leaves, tree=OF_SCHOOL, openings=True, csv=Dialect.RFC4180)
    known = {person: key for person, key in KEYS.items() if person != SERGEANT}
    counts = await written(plan, ground.leaves, tmp_path / "b.zip", opener=opened_with(ground.fort, known))
    assert counts == Counts(entries=340, personal=340, openings=300, rows=340)
    members = members_of(tmp_path / "b.zip")
    entries = [json.loads(line) for line in leaves_of(members)]
    openings = [read_opening(line) for line in members["openings/000000000000.jsonl"].splitlines()]
    assert len(openings) == 300
    for opening in openings:
        assert opening is not None
        assert commitment(opening.plaintext) == entries[opening.index]["personal"]
    table = members["csv/000000000000.csv"].decode().splitlines()[1:]
    assert sum(row.rsplit(",", 2)[1] == "closed" for row in table) == 40
    assert sum(f",{PUPIL}," in row for row in table) == 300


async def test_its_own_entry_and_earlier_checkpoints_are_proved(ground: Ground):
    plan = await planned(ground.fort, ground.leaves, tree=OF_SCHOOL, earlier=(1, 17, 256, 339, 340, 400))
    manifest, proofs = plan.manifest, plan.proofs
    assert verify_inclusion(
        index=339, size=340, leaf=leaf_hash(plan.export), proof=proofs.export, root=manifest.root
    ) is None  # fmt: skip
    assert [one.size for one in proofs.consistency] == [1, 17, 256, 339]
    bodies = (await ground.leaves.bodies(OF_SCHOOL, 0, 340)).joined.split(b"\n")
    for one in proofs.consistency:
        assert one.root == root_over(bodies[: one.size])
        refused = verify_consistency(
            old_size=one.size, new_size=340, old_root=one.root, new_root=manifest.root, proof=one.hashes
        )
        assert refused is None


async def test_an_export_stopped_anywhere_goes_on_and_ends_the_same(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", 128)
    plan = await planned(ground.fort, ground.leaves, tree=OF_SCHOOL, openings=True, csv=Dialect.RFC4180)
    plan = replace(plan, timestamp=b"\x30\x00token", stamped=b"an older note")
    opener = opened_with(ground.fort)
    await written(plan, ground.leaves, tmp_path / "whole.zip", opener=opener)
    assert list(members_of(tmp_path / "whole.zip"))[-3:] == [
        "stamped-checkpoint",
        "timestamp.tsr",
        "manifest.json",
    ]
    file = tmp_path / "stopped.zip"
    stops = 0

    def stop(done: int) -> None:
        if done > 64 * (stops + 1):
            raise KeyboardInterrupt

    while not file.exists():
        try:
            await written(plan, ground.leaves, file, opener=opener, progress=stop)
        except KeyboardInterrupt:
            stops += 1
    assert stops == 5
    assert file.read_bytes() == (tmp_path / "whole.zip").read_bytes()


async def test_a_plan_is_read_as_it_was_kept(ground: Ground):
    plan = await planned(
        ground.fort, ground.leaves, tree=OF_SCHOOL, earlier=(17,), checkpoint="— é\n".encode()
    )
    stamped = replace(plan, timestamp=b"\x30\x00token", stamped="— an older note".encode())
    for one in (plan, stamped):
        assert read_plan(json.loads(json.dumps(plan_document(one)))) == one


async def test_entries_that_are_gone_are_told_and_no_bundle_is_made(ground: Ground, tmp_path: Path):
    plan = await planned(ground.fort, ground.leaves, tree=OF_SCHOOL)
    await ground.fort.run("DELETE FROM entry WHERE site_id = $1 AND seq = 3")
    with pytest.raises(MissingEntriesError, match="0 to 64 of tenant:school 1 are not in the log"):
        await written(plan, ground.leaves, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


async def test_an_entry_that_lies_there_twice_is_told_and_no_bundle_is_made(ground: Ground, tmp_path: Path):
    plan = await planned(ground.fort, ground.leaves, tree=OF_SCHOOL)
    await ground.fort.run(
        "INSERT INTO entry SELECT site_id, seq, at + interval '1 second', kind, body, tenant, tenant_index FROM entry"
        " WHERE site_id = $1 AND seq = 3"
    )
    with pytest.raises(MissingEntriesError, match="0 to 64 of tenant:school some lie in the log twice"):
        await written(plan, ground.leaves, tmp_path / "b.zip")


async def test_what_is_not_flushed_by_a_step_is_no_part_of_it(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The line of a step is written only after the bytes are on the disk."""
    order = []
    fsync = partial_module.os.fsync
    monkeypatch.setattr(
        partial_module.os, "fsync", lambda descriptor: (order.append("fsync"), fsync(descriptor))
    )
    append = partial_module._append
    monkeypatch.setattr(
        partial_module, "_append", lambda lines, document: (order.append("line"), append(lines, document))
    )
    plan = await planned(ground.fort, ground.leaves, tree=OF_ARMY)
    with Partial.begun(tmp_path / "b.zip", plan_document(plan)) as partial:
        await write_bundle(partial, plan, ground.leaves, opener=None)
    assert order[:6] == ["line", "fsync", "fsync", "line", "fsync", "fsync"]
