"""Who may change a site, and the changes that wait for a second person."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
