"""The command `gatekeeper`: data to stdout, talk to stderr.

Exit 0 when done, 1 when the answer is no, 2 when misused, 3 when something cannot be checked, 4 when a change was handed in
and waits for an engine (`waiting`), 130 when stopped with Ctrl-C.
"""

import sys

import typer

from gatekeeper import __version__
from gatekeeper.cli.extras import loaded
from gatekeeper.cli.talk import say
from gatekeeper.on_demand import Where, group_of

__all__ = ["app", "main"]

_COMMANDS = {
    "serve": Where(
        module="gatekeeper.cli.serve",
        attribute="serve",
        help="Run a site: decide its scans, keep its log, answer its gates.",
    ),
    "demo": Where(
        module="gatekeeper.cli.demo",
        attribute="demo",
        help="Run the example barracks with simulated people, until stopped.",
    ),
    "presence": Where(
        module="gatekeeper.cli.host.look",
        attribute="presence",
        help="Show who is where, since when, and how sure that is.",
    ),
    "watch": Where(
        module="gatekeeper.cli.host.look",
        attribute="watch",
        help="Follow the log as it grows; `--since SEQ` goes on where an earlier watch ended.",
    ),
    "verify": Where(
        module="gatekeeper.cli.host.guards",
        attribute="verify",
        help="Show who waits for a guard's word, or say it: yes, it is the badge's holder, or no.",
    ),
    "can": Where(
        module="gatekeeper.cli.host.explain",
        attribute="can",
        help="Say whether a holder may pass an access point, and every reason why not; exit 0 yes, 1 no.",
    ),
    "why": Where(
        module="gatekeeper.cli.host.explain",
        attribute="why",
        help="Say what the log holds of an entry: every rule that failed, and the policy; with --purpose also who, and what "
        "was known.",
    ),
    "replay": Where(
        module="gatekeeper.cli.host.explain",
        attribute="replay",
        help="Make every decision in the log again, from its facts and its policy; exit 1 when one would be another.",
    ),
    "site": Where(module="gatekeeper.cli.host.site", attribute="app", help="Found a site, or change it."),
    "badge": Where(
        module="gatekeeper.cli.people.badges",
        attribute="app",
        help="Issue badges, and say what has become of them.",
    ),
    "alert": Where(module="gatekeeper.cli.host.changes", attribute="alert", help="The site's alert state."),
    "lockdown": Where(
        module="gatekeeper.cli.host.doors",
        attribute="lockdown",
        help="Lock the site, a zone or a gate down, or release it; show which gates follow.",
    ),
    "gate": Where(
        module="gatekeeper.cli.host.doors",
        attribute="gate",
        help="Enrol gates, admit them, revoke them; show who is there; open a door from afar, start a gate anew.",
    ),
    "ca": Where(
        module="gatekeeper.cli.host.authority", attribute="app", help="The site's own certificate authority."
    ),
    "tenant": Where(
        module="gatekeeper.cli.host.changes", attribute="tenant", help="Suspend a tenant, or end that."
    ),
    "holder": Where(
        module="gatekeeper.cli.people.photos", attribute="app", help="Register the people of a tenant."
    ),
    "visitor": Where(
        module="gatekeeper.cli.people.visitors",
        attribute="app",
        help="Visitors: with a host, an end, and a pass.",
    ),
    "operator": Where(
        module="gatekeeper.cli.host.operators",
        attribute="app",
        help="Who may change the site, and what they may say.",
    ),
    "proposal": Where(
        module="gatekeeper.cli.host.proposals", attribute="app", help="Changes that take two people."
    ),
    "audit": Where(
        module="gatekeeper.cli.log.auditing", attribute="app", help="Prove that the log is whole."
    ),
    "retention": Where(module="gatekeeper.cli.log.retention", attribute="app", help="What is kept how long."),
    "hold": Where(
        module="gatekeeper.cli.log.holds",
        attribute="app",
        help="Keep what is looked into, though its period is over.",
    ),
    "privacy": Where(
        module="gatekeeper.cli.people.privacy",
        attribute="app",
        help="A person's own data, and forgetting them.",
    ),
    "witness": Where(
        module="gatekeeper.cli.witness",
        attribute="app",
        help="Be a witness of logs: cosign what has grown, refuse what was rewritten.",
    ),
}

app = typer.Typer(
    cls=group_of(_COMMANDS, load=loaded),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
        from gatekeeper.cli.faults import sentence_of  # noqa: PLC0415 - it knows of errors of the whole server

        sentence = sentence_of(error)
        if sentence is None:
            raise
        say(sentence)
        sys.exit(_MISUSED)
