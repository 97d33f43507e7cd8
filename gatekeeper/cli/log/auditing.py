"""`gatekeeper audit`: prove that the log is whole. Each command is imported when it is called."""

import typer

from gatekeeper.cli.extras import loaded
from gatekeeper.on_demand import Where, group_of

__all__ = ["app"]

_COMMANDS = {
    "export": Where(
        module="gatekeeper.cli.log.log_export",
        attribute="export",
        help="Write a tree of the log, or a part of it, as a bundle that proves itself.",
    ),
    "verify": Where(
        module="gatekeeper.cli.log.verdict",
        attribute="verify",
        help="Verify a bundle offline, or re-hash every stored body, rebuild every tree, and compare with what was "
        "signed and seen.",
    ),
    "feed": Where(
        module="gatekeeper.cli.log.log_feed",
        attribute="feed",
        help="Tell a system that watches for incidents what the log says: a lossy rendering, without proof and without "
        "names.",
    ),
    "tiles": Where(
        module="gatekeeper.cli.log.tiles",
        attribute="tiles",
        help="Write a tree as a folder of checkpoint and tiles, with --entries also bundles, that any reader of tlog-tiles "
        "checks.",
    ),
    "prove": Where(
        module="gatekeeper.cli.log.prove",
        attribute="prove",
        help="Write the proof that an entry is in the log, as C2SP tlog-proof, and the entry beside it.",
    ),
    "check-proof": Where(
        module="gatekeeper.cli.log.check_proof",
        attribute="check",
        help="Check that an entry is in the log, offline: its proof, the log's signature, and who witnessed it.",
    ),
    "keys": Where(
        module="gatekeeper.cli.log.log_keys",
        attribute="keys",
        help="Print the verifier keys of the site's logs, its own and each tenant's, one a line.",
    ),
    "timestamps": Where(
        module="gatekeeper.cli.log.timestamps",
        attribute="timestamps",
        help="Show the time stamps of the log's checkpoints (RFC 3161); with --roots check each, and say when it was made.",
    ),
    "fsck": Where(
        module="gatekeeper.cli.log.fsck",
        attribute="fsck",
        help="Make tiles and heads again from the bodies and say what differs; with --repair write it anew.",
    ),
}

app = typer.Typer(
    cls=group_of(_COMMANDS, load=loaded), no_args_is_help=True, help="Prove that the log is whole."
)


@app.callback()
def _group() -> None:
    """Make a group of what is imported later."""
