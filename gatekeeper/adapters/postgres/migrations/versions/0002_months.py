"""Months are UTC's, made once whoever asks, and made also for entries that came before them."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
