"""Since when a badge is stopped."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
