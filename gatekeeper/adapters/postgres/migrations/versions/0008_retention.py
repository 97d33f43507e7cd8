"""Where the bodies of each tree begin once older ones are gone, and months that are dropped when they are empty."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
