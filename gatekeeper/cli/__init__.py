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
    look,
    operators,
    people_files,
    proposals,
    serve,
    site,
    visitors,
)
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError
from gatekeeper.embedded import EmbeddedServerError
from gatekeeper.model.site_file import SiteFileError
from gatekeeper.ports import LedgerUnavailableError, TransportError
from gatekeeper.service.administration.directory import PeopleError
from gatekeeper.service.administration.folder import SiteFolderError
from gatekeeper.service.administration.opening import SiteNotOpenedError
from gatekeeper.service.administration.operators import OperatorError
from gatekeeper.service.administration.trust_list import TrustListError
from gatekeeper.service.engine.loading import SiteUnusableError

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(site.app, name="site")
app.add_typer(badges.app, name="badge", help="Issue badges, and say what has become of them.")
app.add_typer(changes.alert, name="alert")
app.add_typer(changes.lockdown, name="lockdown")
app.add_typer(changes.gate, name="gate")
app.add_typer(changes.tenant, name="tenant")
app.add_typer(people_files.app, name="holder", help="Register the people of a tenant.")
app.add_typer(visitors.app, name="visitor")
app.add_typer(operators.app, name="operator")
app.add_typer(proposals.app, name="proposal")
app.add_typer(audit.app, name="audit")
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("presence")(look.presence)
app.command("watch")(look.watch)
app.command("verify")(changes.verify)
app.command("can")(explain.can)
app.command("why")(explain.why)
app.command("replay")(explain.replay)

_MISUSED = 2
_TOLD = (
    SettingError,
    EmbeddedServerError,
    SiteFileError,
    SiteFolderError,
    SiteNotOpenedError,
    OperatorError,
    SiteUnusableError,
    TrustListError,
    PeopleError,
    LedgerUnavailableError,
    TransportError,
)


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
    except _TOLD as error:
        say(str(error))
        sys.exit(_MISUSED)
    except BaseExceptionGroup as group:
        told, other = group.split(_TOLD)
        if told is None or other is not None:
            raise
        say(str(_first(told)))
        sys.exit(_MISUSED)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
