"""What the log says of lockdowns, found without reading all of it."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
