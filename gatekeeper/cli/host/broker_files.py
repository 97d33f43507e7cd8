"""What the broker of a site is brought by hand: written anew in the site's folder, and a person told what to carry."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gatekeeper.cli.talk import say
from gatekeeper.config import Settings
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.identity.authority_files import damaged_files, read_authority, write_broker_files

__all__ = ["say_carry", "write_anew"]


def write_anew(settings: Settings, folder: SiteFolder, trust: Trust) -> tuple[str, ...]:
    """Write what the broker reads anew: whom the trust list revokes has no rights there, and who is admitted again has.

    Gives the places of what changed, and says which files of what was issued are damaged. Raises `SiteFolderError` while another
    process holds the folder.
    """
    revoked = [name for name, key in trust.listing.gates.items() if key.state is KeyState.REVOKED]
    with folder.alone():
        changed = write_broker_files(
            folder,
            read_authority(folder),
            prefix=settings.prefix,
            revoked_gates=revoked,
            now=datetime.now(UTC),
        )
        damaged = damaged_files(folder)
    for file in damaged:
        say(
            f"{file} is damaged, and nobody knows whose certificate it was: the one of that number counts no more, and none leaves "
            "crl.pem while the file is there. Who is turned away for it needs another certificate."
        )
    return changed


def say_carry(folder: SiteFolder, changed: Sequence[str], *, until_then: str) -> None:
    """Say which of the broker's files changed, what is to be done with them, and what is the case until that is done."""
    if not changed:
        return
    names = " and ".join(Path(place).name for place in changed)
    say(
        f"The broker does not know yet. Carry {names} from {folder.root / 'broker'} to it, and have it read what is there "
        f"(systemctl reload mosquitto). {until_then}"
    )
