"""The journals of gates, which are no boots."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
