"""What witnesses have cosigned."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
