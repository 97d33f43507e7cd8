"""A barracks with two witnesses, each a process of its own: the log is cosigned while people walk, whatever becomes of one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.trust_list import read_current_trust
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.transparency import OpenedCheckpoint, Policy, Verifier, parse_policy
from tests.acceptance.barracks import SITE, Barracks, barracks
from tests.support.waiting import found
from tests.support.witnesses import RunningWitness, made_witness, serving_witness


def policy_of(*witnesses: tuple[RunningWitness, Sequence[Verifier]]) -> bytes:
    """Both witnesses must have cosigned, each with all of its keys."""
    lines, names = [], []
    for running, verifiers in witnesses:
        for verifier in verifiers:
            names.append(f"w{len(names)}")
            lines.append(f"witness {names[-1]} {verifier.key()} {running.url}")
    return "\n".join([*lines, f"group all all {' '.join(names)}", "quorum all", ""]).encode()


def logs_of(site: Barracks) -> list[Verifier]:
    trust = read_current_trust(SiteFolder(site.site))
    trees = [SITE_TREE, *(f"tenant:{tenant}" for tenant in trust.listing.tenants)]
    return [one for found in tree_verifiers(SITE, trust, trees=trees).values() for one in found]


async def cosigned(
    reading: PostgresReading, text: bytes, logs: Sequence[Verifier], *, above: int
) -> OpenedCheckpoint:
    """Wait for a checkpoint of the site's log of more than so many entries that a policy is satisfied with."""
    policy = parse_policy(text)
    assert isinstance(policy, Policy), policy

    async def satisfying() -> OpenedCheckpoint | None:
        row = await reading.cosigned_checkpoint(SITE, tree=SITE_TREE)
        if row is None or row.size <= above:
            return None
        opened = policy.open_checkpoint(row.note, logs=logs)
        return opened if isinstance(opened, OpenedCheckpoint) else None

    return await found(satisfying, within=90)


@pytest.mark.timeout(300)
async def test_two_witnesses_cosign_the_log_of_a_site_in_service_and_one_that_is_away_holds_nothing_up(
    server_folder: Path, tmp_path: Path
):
    async with barracks(server_folder) as site:
        logs = logs_of(site)
        first = await made_witness(tmp_path / "first", "first.example", logs=logs, post_quantum=True)
        second = await made_witness(tmp_path / "second", "second.example", logs=logs)
        async with (
            serving_witness(tmp_path / "first") as one,
            serving_witness(tmp_path / "second") as other,
            PostgresReading.opened(site.postgres.dsn()) as reading,
        ):
            both, alone = policy_of((one, first), (other, second)), policy_of((one, first))
            (tmp_path / "policy").write_bytes(both)
            asked = {"GATEKEEPER_WITNESSES": str(tmp_path / "policy"), "GATEKEEPER_WITNESS_INTERVAL": "10"}
            async with site.engine(environment=asked) as engine, site.people(60) as people:
                opened = await cosigned(reading, both, logs, above=0)
                assert {one.verifier for one in opened.cosignatures} == {*first, *second}

                await other.kill()
                without = await cosigned(reading, alone, logs, above=opened.checkpoint.size)
                port = int(other.url.rpartition(":")[2])
                async with serving_witness(tmp_path / "second", port=port):
                    again = await cosigned(reading, both, logs, above=without.checkpoint.size)
                    assert len(again.cosignatures) == 3
                counted = await engine.metrics()
                seen = await people.report()
        assert counted['gatekeeper_witness_requests_total{outcome="failed",witness="second.example"}'] > 0
        assert counted["gatekeeper_witnessed_size"] >= again.checkpoint.size
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)
