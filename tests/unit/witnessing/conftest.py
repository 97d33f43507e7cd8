from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatekeeper.adapters.witness_store import SqliteWitnessStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "witness.sqlite"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqliteWitnessStore]:
    async with SqliteWitnessStore.opened(file) as opened:
        yield opened
