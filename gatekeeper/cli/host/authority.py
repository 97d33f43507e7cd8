"""`gatekeeper ca`: the site's own certificate authority, for the broker, the enrolment desk and the gates' connections.

It says who may connect. What a gate says counts by its message key, and that is the trust list's matter (`gatekeeper gate`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.app import site_folder, the_site
from gatekeeper.cli.new_files import make_folder, see_new, write, write_all
from gatekeeper.cli.options import Data, Site, quiet_settings
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.certificates import to_pem
from gatekeeper.core.trust import KeyState
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.trust_list import read_current_trust
from gatekeeper.service.identity.authority_files import (
    AUTHORITY,
    BROKER_ACL,
    BROKER_CRL,
    broker_configuration,
    found_authority,
    issue_to_server,
    issue_to_service,
    make_tls_key,
    read_authority,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The site's own certificate authority.")

Out = Annotated[Path, typer.Option("--out", help="A new file.")]


@app.command()
def init(data: Data = None, site: Site = None) -> None:
    """Make the site's certificate authority: a key and a certificate in the site's folder, used for nothing else."""
    settings = quiet_settings(data=data, site=site)
    folder = _folder(settings)
    which, gates = folder.read_anchor().site, read_current_trust(folder).listing.gates
    authority = found_authority(
        folder,
        site=which,
        prefix=settings.prefix,
        now=datetime.now(UTC),
        revoked_gates=[gate for gate, key in gates.items() if key.state is KeyState.REVOKED],
    )
    say(
        f"{which} has a certificate authority until {authority.certificate.not_valid_after_utc:%Y-%m-%d}. Its key is in "
        f"{folder.root / 'ca'}, for the eyes of the service only."
    )


@app.command()
def broker(
    hosts: Annotated[list[str], typer.Argument(help="The broker's host names and addresses.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder, to carry to the broker.")],
    data: Data = None,
    site: Site = None,
) -> None:
    """Write all that the broker needs: configuration, rights, certificates, and the list of revoked ones."""
    folder = _folder(quiet_settings(data=data, site=site))
    authority = read_authority(folder)
    names = ("mosquitto.conf", "acl", "ca.pem", "crl.pem", "server-cert.pem", "server-key.pem")
    make_folder(out)
    see_new(*(out / name for name in names))
    key, pem = make_tls_key()
    certificate = issue_to_server(folder, authority, hosts, key.public_key(), now=datetime.now(UTC))
    contents = (
        broker_configuration(),
        folder.read(BROKER_ACL),
        folder.read(AUTHORITY),
        folder.read(BROKER_CRL),
        to_pem(certificate),
        pem,
    )
    write_all({out / name: content for name, content in zip(names, contents, strict=True)})
    say(f"Carry {out} to /etc/mosquitto/gatekeeper on the broker; server-key.pem is for its eyes only.")


@app.command()
def service(out: Out, data: Data = None, site: Site = None) -> None:
    """Write the certificate and key with which the service connects to the broker, in one file."""
    folder = _folder(quiet_settings(data=data, site=site))
    authority = read_authority(folder)
    see_new(out)
    key, pem = make_tls_key()
    certificate = issue_to_service(folder, authority, key.public_key(), now=datetime.now(UTC))
    write(out, pem + to_pem(certificate))
    say(
        f"It lasts until {certificate.not_valid_after_utc:%Y-%m-%d}. Serve with GATEKEEPER_BROKER_CERTIFICATE={out} and "
        f"GATEKEEPER_BROKER_AUTHORITY={folder.root / AUTHORITY}."
    )


def _folder(settings: Settings) -> SiteFolder:
    folder = site_folder(settings, the_site(settings))
    if not folder.holds_site():
        raise SettingError(f"{folder.root} holds no site.")
    return folder
