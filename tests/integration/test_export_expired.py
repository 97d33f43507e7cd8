"""An export over entries that retention has let go gives them as hashes, and says who tells of it; nobody else is hidden so."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from gatekeeper.adapters.postgres import PostgresLeaves, PostgresStoredTrees
from gatekeeper.core.audit import SITE_TREE, Kind, tenant_tree, timestamp
from gatekeeper.core.export import Dialect, Expiry
from gatekeeper.core.log_export import read_log_export
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.auditor import Fault, Known, Report, verify_bundle
from gatekeeper.service.export import writing
from gatekeeper.service.export.expiry import Gone
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import Form, Plan, SignedTree, plan_document, plan_of, read_plan
from gatekeeper.service.export.source import MissingEntriesError
from gatekeeper.service.export.writing import write_bundle
from gatekeeper.service.publication import TreeTiles
from gatekeeper.transparency import Checkpoint
from tests.support.checkpoints import signed_note, verifier_of
from tests.support.exports import leaves_of, members_of, opened_with, root_over
from tests.support.fort import ARMY, NOW, PUPIL, SCHOOL, Fort
from tests.support.years import DAY, Years

pytestmark = pytest.mark.integration

OF_SCHOOL, OF_ARMY = tenant_tree(SCHOOL), tenant_tree(ARMY)
FIRST_TOLD, LAST_TOLD = 610, 611
"""The entries that tell of the first 510 of the log, and of the next 100."""


@dataclass(frozen=True)
class Ground:
    """A log of which the first 610 entries went in two batches; 500 were the army's, 110 the school's."""

    years: Years
    leaves: PostgresLeaves

    @property
    def fort(self) -> Fort:
        return self.years.fort

    async def plan(
        self, tree: str, *, gone: Gone | None = None, form: Form | None = None, **asked: Any
    ) -> Plan:
        """The plan of an export that the log allows; `gone` is what is said to have expired, in the place of the truth."""
        public = {
            "tree": tree,
            "openings": False,
            "reason": "yearly review",
            "by": ARMY,
            "author": "auditor",
            **asked,
        }
        fort = self.fort
        seq = fort.pen.size
        tenants = (SCHOOL,) if tree == OF_SCHOOL else (ARMY,)
        await fort.commit(fort.pen.write(1, kind=Kind.LOG_EXPORTED, public=public, tenants=tenants, at=NOW))
        ((body,),) = await fort.run("SELECT body FROM entry WHERE site_id = $1 AND seq = $2", seq)
        export = read_log_export(body, site=fort.site, seq=seq)
        assert export is not None
        grown = fort.pen.trees[tree]
        key = verifier_of(fort.site, tree)
        checkpoint = Checkpoint(origin=key.name, size=grown.size, root=grown.root())
        note = signed_note(fort.site, tree, grown.size, grown.root())
        async with PostgresStoredTrees.opened(fort.dsn) as stored:
            return await plan_of(
                export,
                body,
                site=fort.site,
                signed=SignedTree(note=note, checkpoint=checkpoint, key=key.key()),
                form=form or Form(csv=Dialect.RFC4180),
                leaves=self.leaves,
                tiles=TreeTiles(fort.site, stored),
                gone=gone or await self.leaves.gone(tree),
                earlier=(),
                program="gatekeeper",
                now=NOW,
            )

    async def write(self, plan: Plan, file: Path, *, stop: int | None = None) -> None:
        """Write a bundle, or go on with it; stop when it is so far."""

        def told(done: int) -> None:
            if stop is not None and done > stop:
                raise KeyboardInterrupt

        begun = Partial.is_begun(file)
        with Partial.resumed(file) if begun else Partial.begun(file, plan_document(plan)) as partial:
            opener = opened_with(self.fort)
            await write_bundle(partial, read_plan(partial.plan), self.leaves, opener=opener, progress=told)

    async def checked(self, plan: Plan, file: Path) -> Report:
        """What an auditor finds of the bundle of a plan."""
        await self.write(plan, file)
        return verify_bundle(
            file, known=Known(key=verifier_of(self.fort.site, plan.manifest.tree)), processes=1
        )


@pytest.fixture
async def ground(postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    monkeypatch.setattr(writing, "_PIECE", 64)
    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", 128)
    async with Fort.opened(postgres_server) as fort:
        years = Years(fort, now=NOW - 300 * DAY)
        await years.write(300, days=1200, of=ARMY)
        await years.write(10, days=1100, of=SCHOOL)
        await years.write(200, days=700, of=ARMY)
        await years.write(100, days=390, of=SCHOOL)
        assert [said["last"] for said in await years.sweep()] == [509]
        years.now = NOW
        assert [said["last"] for said in await years.sweep()] == [609]
        await years.write(40, days=0, of=SCHOOL, person=PUPIL)
        await years.write(30, days=0, of=ARMY)
        await years.must_be_sound()
        async with PostgresLeaves.opened(fort.dsn, fort.site) as leaves:
            yield Ground(years, leaves)


def untold(report: Report) -> list[str]:
    return [said for said in report.unchecked if "which are given as expired" in said]


@pytest.mark.parametrize(("tree", "gone"), [(SITE_TREE, 610), (OF_SCHOOL, 110), (OF_ARMY, 500)])
async def test_what_expired_is_given_as_hashes_and_the_bundle_is_valid(
    ground: Ground, tree: str, gone: int, tmp_path: Path
):
    plan = await ground.plan(tree)
    assert plan.manifest.expired == Expiry(entries=gone, told_by=(FIRST_TOLD, LAST_TOLD))
    report = await ground.checked(plan, tmp_path / "b.zip")
    assert (report.finding, report.lacking) == (None, [])
    assert report.counts.entries == report.counts.rows == plan.manifest.size - gone
    assert bool(untold(report)) is (tree != SITE_TREE), "the entries that tell of it are the site's"
    hashes = verify_bundle(tmp_path / "b.zip", hashes_only=True)
    assert (hashes.finding, len(untold(hashes))) == (None, 1), "what the entries say is not looked at"
    members = members_of(tmp_path / "b.zip")
    lines = leaves_of(members)
    assert root_over(lines) == ground.fort.pen.trees[tree].root()
    assert sum(line["expired"][1] - line["expired"][0] for line in lines if isinstance(line, dict)) == gone
    guide = members["VERIFY.txt"].decode()
    assert f"the first {gone} expired" in " ".join(guide.split())
    assert f"Van de eerste {gone} hiervan is de termijn verlopen" in " ".join(guide.split())


@pytest.mark.parametrize(
    ("asked", "within", "range_", "expired"),
    [
        ({"from": 650}, (510, 684), (509, 684), (101, (FIRST_TOLD, LAST_TOLD))),
        ({"from": 350}, (610, 684), (609, 684), (1, (LAST_TOLD, LAST_TOLD))),
        ({"from": 5000}, (0, 684), (0, 684), (610, (FIRST_TOLD, LAST_TOLD))),
        ({"from": 1}, (611, 684), (610, 684), None),
        ({"to": 500}, (0, 610), (0, 611), (610, (FIRST_TOLD, LAST_TOLD))),
        ({"from": 650, "to": 500}, (510, 610), (509, 611), (101, (FIRST_TOLD, LAST_TOLD))),
        ({"from": 350, "to": 320}, (610, 610), (609, 611), (1, (LAST_TOLD, LAST_TOLD))),
        ({"from": 200, "to": 100}, (611, 611), (610, 612), None),
    ],
)
async def test_what_expired_is_within_the_times_asked_for_unless_the_log_says_that_it_was_older(
    ground: Ground, asked: Mapping[str, int], within: Any, range_: Any, expired: Any, tmp_path: Path
):
    times = {name: timestamp(NOW - days * DAY) for name, days in asked.items()}
    plan = await ground.plan(SITE_TREE, **times)
    grown = ground.fort.pen.size
    assert (grown, plan.manifest.within, plan.manifest.range) == (
        683,
        *((low, min(high, grown)) for low, high in (within, range_)),
    )
    said = plan.manifest.expired
    assert (None if said is None else (said.entries, said.told_by)) == expired
    report = await ground.checked(plan, tmp_path / "b.zip")
    assert (report.finding, report.lacking) == (None, [])
    assert any("made within the times asked for" in one for one in report.unchecked) is (expired is not None)


async def test_a_tenant_s_entries_that_expired_are_left_out_only_when_all_were_older(
    ground: Ground, tmp_path: Path
):
    for days, first in ((650, 0), (350, 110)):
        plan = await ground.plan(OF_SCHOOL, **{"from": timestamp(NOW - days * DAY)})
        assert plan.manifest.within[0] == first
        assert (await ground.checked(plan, tmp_path / f"{days}.zip")).valid


async def test_an_export_stopped_among_what_expired_goes_on_to_the_same_bytes(ground: Ground, tmp_path: Path):
    plan = await ground.plan(SITE_TREE, form=Form(csv=Dialect.EXCEL_NL, compress=True))
    await ground.write(plan, tmp_path / "whole.zip")
    file = tmp_path / "stopped.zip"
    for stop in (610, 645):
        with pytest.raises(KeyboardInterrupt):
            await ground.write(plan, file, stop=stop)
    await ground.write(plan, file)
    assert file.read_bytes() == (tmp_path / "whole.zip").read_bytes()


async def test_every_kind_of_table_has_rows_only_of_what_is_shown(ground: Ground, tmp_path: Path):
    plan = await ground.plan(OF_SCHOOL, form=Form(csv=Dialect.EXCEL_NL, parquet=True))
    report = await ground.checked(plan, tmp_path / "b.zip")
    assert report.valid
    members = members_of(tmp_path / "b.zip")
    assert members["csv/000000000000.csv"].count(b"\r\n") == 1 + 128 - 110
    table = pyarrow.parquet.read_table(io.BytesIO(members["parquet/000000000000.parquet"]))
    assert table.column("index").to_pylist() == list(range(110, 128))


async def test_what_expires_while_an_export_is_written_ends_it(ground: Ground, tmp_path: Path):
    plan = await ground.plan(SITE_TREE)
    ground.years.now = NOW + 400 * DAY
    await ground.years.sweep()
    with pytest.raises(
        MissingEntriesError, match="retention since this export was begun, which is then begun anew"
    ):
        await ground.write(plan, tmp_path / "b.zip")


# -- nobody hides what is there --------------------------------------------------------------------------------------


async def hidden(ground: Ground, tree: str, more: int) -> Gone:
    """What somebody says has expired who hides some entries more."""
    gone = await ground.leaves.gone(tree)
    return replace(gone, leaves=gone.leaves + more)


@pytest.mark.parametrize(
    ("more", "telling", "code"),
    [(1, (0, 2), Fault.EXPIRED_OTHER), (5, (0, 2), Fault.EXPIRED_OTHER), (1, (1, 2), Fault.EXPIRED_UNTOLD)],
)
async def test_entries_of_the_site_that_nobody_let_go_cannot_be_given_as_expired(
    ground: Ground, more: int, telling: tuple[int, int], code: Fault, tmp_path: Path
):
    gone = await hidden(ground, SITE_TREE, more)
    gone = replace(gone, deletions=gone.deletions[slice(*telling)])
    finding = (await ground.checked(await ground.plan(SITE_TREE, gone=gone), tmp_path / "b.zip")).finding
    assert finding is not None
    assert finding.code is code


async def test_where_the_entries_that_tell_of_it_are_hidden_too_that_is_found(ground: Ground, tmp_path: Path):
    gone = replace(await hidden(ground, SITE_TREE, 5), deletions=())
    finding = (await ground.checked(await ground.plan(SITE_TREE, gone=gone), tmp_path / "b.zip")).finding
    assert finding is not None
    assert (finding.code, finding.index) == (Fault.EXPIRED_UNTOLD, 0)


@pytest.mark.parametrize(
    "told_by",
    [None, (LAST_TOLD, LAST_TOLD), (FIRST_TOLD, FIRST_TOLD), (FIRST_TOLD, 620), (600, LAST_TOLD), (612, 615)],
)
async def test_the_manifest_names_no_other_entries_than_those_that_tell_of_it(
    ground: Ground, told_by: tuple[int, int] | None, tmp_path: Path
):
    plan = await ground.plan(SITE_TREE)
    other = replace(plan, manifest=replace(plan.manifest, expired=Expiry(entries=610, told_by=told_by)))
    finding = (await ground.checked(other, tmp_path / "b.zip")).finding
    assert finding is not None
    assert finding.code is Fault.EXPIRED_OTHER


@pytest.mark.parametrize("asked", [{"doors": ["front-in"]}, {"to": timestamp(NOW - 310 * DAY)}])
async def test_a_bundle_that_does_not_show_the_entries_that_tell_of_it_says_so(
    ground: Ground, asked: Mapping[str, Any], tmp_path: Path
):
    report = await ground.checked(await ground.plan(SITE_TREE, **asked), tmp_path / "b.zip")
    assert report.finding is None
    assert len(untold(report)) == 1


async def test_what_a_tenant_s_bundle_hides_as_expired_is_said_to_be_unchecked(
    ground: Ground, tmp_path: Path
):
    """The site's tree holds the entries that tell of it, and nothing of a tenant's tree leads there."""
    plan = await ground.plan(OF_SCHOOL, gone=await hidden(ground, OF_SCHOOL, 5))
    report = await ground.checked(plan, tmp_path / "b.zip")
    assert report.finding is None
    assert len(untold(report)) == 1


_GONE = "DELETE FROM entry WHERE site_id = $1 AND seq = 612"
_MOVED = """
    UPDATE log_start SET size = size + 1, hashes = hashes || decode(repeat('00', 32), 'hex')
    WHERE site_id = $1 AND tree = '{tree}'
"""


@pytest.mark.parametrize("tree", [SITE_TREE, OF_SCHOOL])
async def test_the_exporter_gives_nothing_as_expired_that_no_entry_tells_of(ground: Ground, tree: str):
    """Whoever deletes one entry more and moves the beginning of the log behind it gets no bundle."""
    for sql in (_GONE, _MOVED.format(tree=tree)):
        await ground.fort.run(sql)
    with pytest.raises(MissingEntriesError, match="no entry says that they expired"):
        await ground.plan(tree)


async def test_a_hole_between_two_deletions_is_given_to_nobody_as_expired(ground: Ground):
    """Whoever deletes entries, and has the log's own deletions go on behind them, has told of none."""
    told = await ground.fort.run(
        "SELECT seq, body FROM entry WHERE site_id = $1 AND kind = 'data.expired' AND body LIKE '%\"entries\"%' ORDER BY seq"
    )
    last = json.loads(told[-1]["body"])
    moved = json.dumps(last | {"first": last["first"] + 5}, separators=(",", ":"), sort_keys=True).encode()
    await ground.fort.run(
        "UPDATE entry SET body = $3 WHERE site_id = $1 AND seq = $2", told[-1]["seq"], moved
    )
    with pytest.raises(MissingEntriesError, match="no entry says that they expired: 5 of them"):
        await ground.plan(SITE_TREE)


async def test_what_an_entry_says_that_was_altered_tells_of_nothing(ground: Ground):
    spoilt = json.dumps({"kind": "data.expired", "what": "entries"}, separators=(",", ":")).encode()
    await ground.fort.run("UPDATE entry SET body = $3 WHERE site_id = $1 AND seq = $2", LAST_TOLD, spoilt)
    with pytest.raises(MissingEntriesError, match="no entry says that they expired: 100 of them"):
        await ground.plan(SITE_TREE)
