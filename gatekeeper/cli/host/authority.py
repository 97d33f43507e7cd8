"""`gatekeeper ca`: the site's own certificate authority, for the broker, the enrolment desk and who connects to either.

It says who may connect. What a gate says counts by its message key, and that is the trust list's matter (`gatekeeper gate`).

broker                       all that the broker runs with; its certificate
service, outward, integrator a certificate and key for one who connects; --renew puts the next one in the place of the last
device                       the login of a reader or relay behind a bridge, which has no certificate
revoke                       what was issued to one of them counts no more
"""

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.x509.oid import NameOID

from gatekeeper.app import site_folder, the_site
from gatekeeper.cli.host.broker_files import say_carry, write_anew
from gatekeeper.cli.new_files import make_folder, replace, see_new, see_there, write, write_all
from gatekeeper.cli.options import Data, Site, quiet_settings
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.certificates import (
    OUTWARD,
    SERVICE,
    Authority,
    account_name,
    hosts_of,
    integrator_account,
    to_pem,
)
from gatekeeper.core.trust import KeyState
from gatekeeper.model.ids import GateId
from gatekeeper.service.administration.folder import SiteFolder, in_gate
from gatekeeper.service.administration.trust_list import read_current_trust
from gatekeeper.service.identity.authority_files import (
    AUTHORITY,
    BROKER_ACL,
    BROKER_CRL,
    DEVICE_ACL,
    DEVICE_PASSWORDS,
    admit_device,
    found_authority,
    issue_to_account,
    issue_to_server,
    make_tls_key,
    read_authority,
    revoke_certificates,
)
from gatekeeper.service.identity.broker_rights import (
    DEVICES_PORT,
    BridgeUnknownError,
    broker_configuration,
    device_login,
    read_bridge,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The site's own certificate authority.")

_SERVER = "server.pem"

Out = Annotated[Path, typer.Option("--out", help="A new file; with --renew the one that is there.")]
Renew = Annotated[
    bool,
    typer.Option(
        "--renew", help="Put a new key and certificate in the place of those that --out names, whole."
    ),
]


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
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="A new folder, to carry to the broker; with --renew the one that is there."
        ),
    ],
    hosts: Annotated[
        list[str] | None,
        typer.Argument(
            help="The broker's host names and addresses; with --renew those that it has, unless others are given."
        ),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Listen there, too, in the clear, for devices that log in with a password.",
        ),
    ] = None,
    devices_port: Annotated[
        int, typer.Option("--devices-port", min=1, max=65535, help="The port of that.")
    ] = DEVICES_PORT,
    renew: Renew = False,
    data: Data = None,
    site: Site = None,
) -> None:
    """Write all that the broker needs: configuration, rights, its certificate, and the list of revoked ones."""
    settings = quiet_settings(data=data, site=site)
    folder = _folder(settings)
    authority = read_authority(folder)
    if renew:
        _renew_server(folder, authority, hosts, out / _SERVER)
        return
    if not hosts:
        raise SettingError("Name the hosts and addresses by which the broker is reached.")
    listener = None if devices is None else (_address(devices), devices_port)
    configuration = broker_configuration(devices=listener)
    write_anew(settings, folder, read_current_trust(folder))
    contents = {
        "mosquitto.conf": configuration,
        "acl": folder.read(BROKER_ACL),
        "ca.pem": folder.read(AUTHORITY),
        "crl.pem": folder.read(BROKER_CRL),
    }
    if devices is not None:
        logins = folder.read(DEVICE_PASSWORDS) if folder.holds(DEVICE_PASSWORDS) else b""
        contents |= {"device-acl": folder.read(DEVICE_ACL), "device-passwords": logins}
    make_folder(out)
    see_new(*(out / name for name in (*contents, _SERVER)))
    certificate, made = _server(folder, authority, hosts)
    write_all({out / name: content for name, content in (contents | {_SERVER: made}).items()})
    say(
        f"Carry {out} to /etc/mosquitto/gatekeeper on the broker; {_SERVER} is for its eyes only. "
        f"It lasts until {certificate.not_valid_after_utc:%Y-%m-%d}."
    )


@app.command()
def service(out: Out, renew: Renew = False, data: Data = None, site: Site = None) -> None:
    """Write the certificate and key with which the service connects to the broker, in one file."""
    settings = quiet_settings(data=data, site=site)
    until = _certify(settings, SERVICE, out, renew=renew)
    where = _folder(settings).root / AUTHORITY
    say(
        f"It lasts until {until}. Serve with GATEKEEPER_BROKER_CERTIFICATE={out} and GATEKEEPER_BROKER_AUTHORITY={where}."
    )


@app.command()
def outward(out: Out, renew: Renew = False, data: Data = None, site: Site = None) -> None:
    """Write the certificate and key with which the service tells outward, in ONVIF's words: a session of its own."""
    until = _certify(quiet_settings(data=data, site=site), OUTWARD, out, renew=renew)
    say(f"It lasts until {until}. Serve with GATEKEEPER_ONVIF=true and GATEKEEPER_ONVIF_CERTIFICATE={out}.")


@app.command()
def integrator(
    out: Out,
    name: Annotated[
        str, typer.Option("--name", help="Which of several; each connection needs a certificate of its own.")
    ] = "",
    renew: Renew = False,
    data: Data = None,
    site: Site = None,
) -> None:
    """Write a certificate and key for somebody who reads what is told outward, and nothing else."""
    settings = quiet_settings(data=data, site=site)
    account = _named(integrator_account, name)
    until = _certify(settings, account, out, renew=renew)
    where = _folder(settings).root / AUTHORITY
    say(
        f"It lasts until {until}. Hand {out} over in secret, and {where} with it; both name and client id are in it."
    )


@app.command()
def device(
    gate: Annotated[str, typer.Argument(metavar="GATE", help="The bridge that speaks for the device.")],
    name: Annotated[
        str, typer.Option("--name", help="Which of several; each needs a login of its own.")
    ] = "",
    data: Data = None,
    site: Site = None,
) -> None:
    """Give a reader or relay behind a bridge a login at the broker, or another password in the place of the one it had.

    The password is printed once and kept nowhere.
    """
    settings = quiet_settings(data=data, site=site)
    folder = _folder(settings)
    place = in_gate(GateId(gate), "gate.json")
    if GateId(gate) not in folder.gates():
        raise SettingError(f"{folder.root / place} is not there: {gate} is no gate of this site.")
    try:
        rights = read_bridge(GateId(gate), folder.read(place), prefix=settings.prefix)
    except BridgeUnknownError as error:
        raise SettingError(str(error)) from None
    if rights is None:
        raise SettingError(f"{gate} is no bridge: its gate.json has no bridge in it ({folder.root / place}).")
    login = _named(lambda which: device_login(GateId(gate), which), name)
    read_authority(folder)
    with folder.alone():
        password = admit_device(folder, login)
    changed = write_anew(settings, folder, read_current_trust(folder))
    say(
        f"User {login}; its client id is the same, whatever it says. It may publish {', '.join(rights.devices_say)}. Its password:"
    )
    typer.echo(password)
    # What its bridge reaches may have been written into gate.json since acl was.
    carried = tuple(dict.fromkeys((DEVICE_PASSWORDS, DEVICE_ACL, *changed)))
    say_carry(folder, carried, until_then="Until then the device is turned away, or nobody hears it.")


@app.command()
def revoke(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="service, outward, integrator, or integrator-NAME.")
    ],
    data: Data = None,
    site: Site = None,
) -> None:
    """Take back every certificate of an account; for a gate it is `gatekeeper gate revoke`."""
    settings = quiet_settings(data=data, site=site)
    folder = _folder(settings)
    name = _named(lambda which: account_name(which, read_authority(folder).site), account)
    with folder.alone():
        count = revoke_certificates(folder, name, now=datetime.now(UTC))
    say(f"{count} certificate{'' if count == 1 else 's'} of {name} taken back.")
    say_carry(
        folder,
        write_anew(settings, folder, read_current_trust(folder)),
        until_then="Then the session that is there is mute, and no other begins.",
    )


# -- certificates -------------------------------------------------------------------------------------------------------


def _certify(settings: Settings, account: str, out: Path, *, renew: bool) -> str:
    """Write the certificate and key of an account; the day until which it lasts."""
    folder = _folder(settings)
    authority = read_authority(folder)
    name = _named(lambda which: account_name(which, authority.site), account)
    if renew:
        _see_own(out, authority, name)
    else:
        see_new(out)
    key, pem = make_tls_key()
    with folder.alone():
        certificate = issue_to_account(folder, authority, account, key.public_key(), now=datetime.now(UTC))
    (replace if renew else write)(out, pem + to_pem(certificate))
    if renew:
        say("The former one is replaced. A session that it has goes on; start anew what connects with it.")
    say_carry(
        folder,
        write_anew(settings, folder, read_current_trust(folder)),
        until_then=f"Do that before anybody connects with it: until then {name} has not the rights that are its own.",
    )
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"


def _renew_server(folder: SiteFolder, authority: Authority, hosts: list[str] | None, file: Path) -> None:
    former = _see_own(file, authority, None)
    certificate, made = _server(folder, authority, hosts or hosts_of(former))
    replace(file, made)
    say(
        f"Carry {file} to the broker and have it read it (systemctl reload mosquitto). It is for {', '.join(hosts_of(certificate))}, "
        f"and lasts until {certificate.not_valid_after_utc:%Y-%m-%d}."
    )


def _server(folder: SiteFolder, authority: Authority, hosts: list[str]) -> tuple[x509.Certificate, bytes]:
    key, pem = make_tls_key()
    with folder.alone():
        certificate = issue_to_server(folder, authority, hosts, key.public_key(), now=datetime.now(UTC))
    return certificate, pem + to_pem(certificate)


def _see_own(file: Path, authority: Authority, name: str | None) -> x509.Certificate:
    """See that a file holds what this authority issued to a name, a server's for None: nothing else is ever replaced.

    Raises SettingError.
    """
    see_there(file)
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError:
        raise SettingError(f"{file} holds no certificate, and is left as it is.") from None
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    is_right = bool(hosts_of(certificate)) if name is None else names == [name]
    if not authority.has_signed(certificate) or not is_right:
        whose = "the broker" if name is None else name
        raise SettingError(f"{file} holds no certificate of this site for {whose}, and is left as it is.")
    return certificate


# -- what is written on the command line -----------------------------------------------------------------------------------


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address to listen at. Raises SettingError."""
    try:
        address = ip_address(text)
    except ValueError:
        raise SettingError(f"--devices is an address of the broker, as in 10.0.9.1, not {text!r}.") from None
    if address.is_unspecified:
        raise SettingError("--devices is the one address where the devices are: never all addresses.")
    return address


def _named(make: Callable[[str], str], text: str) -> str:
    try:
        return make(text)
    except ValueError as error:
        raise SettingError(f"{error}.") from None


def _folder(settings: Settings) -> SiteFolder:
    folder = site_folder(settings, the_site(settings))
    if not folder.holds_site():
        raise SettingError(f"{folder.root} holds no site.")
    return folder
