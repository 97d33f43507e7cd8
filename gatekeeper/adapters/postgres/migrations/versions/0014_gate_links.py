"""Whose link is up, which snapshot each gate holds, and what the log told of silences."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
