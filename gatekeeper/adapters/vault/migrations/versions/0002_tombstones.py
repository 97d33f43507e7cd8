"""A key that was destroyed leaves the word that it was."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
