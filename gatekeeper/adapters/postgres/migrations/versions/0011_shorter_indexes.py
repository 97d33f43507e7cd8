"""Shorter indexes for what every commit puts into them."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
