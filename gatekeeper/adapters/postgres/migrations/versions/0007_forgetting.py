"""What must be kept, who was forgotten, and what a change leaves behind of a person."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
