"""The site, its log, its register and its live state."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
