"""The names of people, for commands that show who somebody is: sealed in the log's database, opened with the vault's keys."""

from collections.abc import Mapping

from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.cli.talk import say
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.sealed import open_names

__all__ = ["Names"]


class Names:
    """Opens names; without a vault, or while it is away, there are none, and that is said once."""

    def __init__(self, vault_dsn: str, site: SiteId) -> None:
        self._vault = PostgresKeyVault(vault_dsn) if vault_dsn else None
        self._site = site
        self._told = False

    async def open(self, sealed: Mapping[HolderId, bytes | None]) -> dict[HolderId, str]:
        """The names of who has one and was not forgotten."""
        named = {holder: name for holder, name in sealed.items() if name}
        if not named:
            return {}
        if self._vault is None:
            self._tell("Names are sealed: give --vault-dsn to see them.")
            return {}
        try:
            keys = await self._vault.keys_of(self._site, list(named))
        except LedgerUnavailableError:
            self._tell("The key vault does not answer: no names are shown.")
            return {}
        return open_names(named, keys=keys, site=self._site)

    def _tell(self, sentence: str) -> None:
        if not self._told:
            say(sentence)
            self._told = True
