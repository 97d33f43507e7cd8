"""The command `gatekeeper`: data to stdout, talk to stderr, exit 0 when done, 1 when the answer is no, 2 when misused."""

import sys

import typer

from gatekeeper import __version__
from gatekeeper.cli import (
    audit,
    badges,
    changes,
    demo,
    explain,
    guards,
    holds,
    look,
    operators,
    photos,
    privacy,
    proposals,
    retention,
    serve,
    site,
    visitors,
)
from gatekeeper.cli.faults import sentence_of
from gatekeeper.cli.talk import say

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(site.app, name="site")
app.add_typer(badges.app, name="badge", help="Issue badges, and say what has become of them.")
app.add_typer(changes.alert, name="alert")
app.add_typer(changes.lockdown, name="lockdown")
app.add_typer(changes.gate, name="gate")
app.add_typer(changes.tenant, name="tenant")
app.add_typer(photos.app, name="holder", help="Register the people of a tenant.")
app.add_typer(visitors.app, name="visitor")
app.add_typer(operators.app, name="operator")
app.add_typer(proposals.app, name="proposal")
app.add_typer(audit.app, name="audit")
app.add_typer(retention.app, name="retention")
app.add_typer(holds.app, name="hold")
app.add_typer(privacy.app, name="privacy")
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("presence")(look.presence)
app.command("watch")(look.watch)
app.command("verify")(guards.verify)
app.command("can")(explain.can)
app.command("why")(explain.why)
app.command("replay")(explain.replay)

_MISUSED = 2


@app.callback(invoke_without_command=True)
def about(*, version: bool = typer.Option(default=False, help="Print the version.")) -> None:
    """Event-driven physical access control for the gate."""
    if version:
        sys.stdout.write(f"gatekeeper {__version__}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line; what is broken outside is told in a sentence, without a traceback."""
    try:
        app()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        say(sentence)
        sys.exit(_MISUSED)
