"""Promises under each kind of fault, on a real broker and database. One site for all: what one leaves behind the next finds."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from devices.simulator.faults import Faults
from tests.acceptance.barracks import Barracks as Site
from tests.acceptance.barracks import barracks
from tests.integration.simulated import lived, simulated

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SCANS = 120


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """A folder that the servers' account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(module_folder: Path) -> AsyncIterator[Site]:
    async with barracks(module_folder, open_hours=True) as site, site.engine():
        yield site


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("ordered", "done"),
    [
        ("loss=10%", {"loss"}),
        ("delay=400ms,reorder=10%", {"delay", "reorder"}),
        ("repeat=30%", {"repeat"}),
        ("forge=20%", {"forge", "forge-grant"}),
        ("skew=1d", set()),
        ("power-cut=2/h", {"power-cut"}),
        (
            "loss=3%,delay=100ms,repeat=5%,reorder=3%,forge=5%,skew=1h,power-cut=1/h",
            {"loss", "delay", "repeat", "reorder", "forge", "forge-grant", "power-cut"},
        ),
    ],
)
async def test_promises_are_kept_under_every_fault(ordered: str, done: set[str], site: Site):
    seen = await lived(simulated(site, faults=Faults.parse(ordered)), people=60, scans=SCANS)
    assert seen["granted"] > SCANS / 2
    assert {name for name, times in seen["faults"].items() if times} == done
    assert seen["promises"]["kept"], seen["promises"]
    assert seen["promises"]["openings"] >= seen["granted"] - seen["unanswered"]
    await site.assert_log_sound(seen)
