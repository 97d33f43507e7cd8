"""`gatekeeper audit keys`: by which keys the logs of a site are known, for whoever witnesses or verifies them."""

import typer

from gatekeeper.app import site_folder, the_site
from gatekeeper.cli.options import Data, Site, quiet_settings
from gatekeeper.config import SettingError
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.service.administration.trust_list import read_current_trust
from gatekeeper.service.verification.keys import tree_verifiers

__all__ = ["keys"]


def keys(data: Data = None, site: Site = None) -> None:
    """Print the verifier keys of the site's logs, its own and each tenant's, one a line."""
    settings = quiet_settings(data=data, site=site)
    named = the_site(settings)
    folder = site_folder(settings, named)
    if not folder.holds_site():
        raise SettingError(f"{folder.root} holds no site.")
    trust = read_current_trust(folder)
    trees = [SITE_TREE, *(tenant_tree(tenant) for tenant in sorted(trust.listing.tenants))]
    for verifiers in tree_verifiers(named, trust, trees=trees).values():
        for verifier in verifiers:
            typer.echo(verifier.key())
