"""What a site remembers for its rules: who brought a visitor in, how badges were used, which zones were opened."""

from pathlib import Path

from gatekeeper.adapters.sql import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the script beside this file."""
    run_script(Path(__file__).with_suffix(".sql"))
