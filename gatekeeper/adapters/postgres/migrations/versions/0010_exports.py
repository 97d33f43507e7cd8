"""What exports need of the log."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
