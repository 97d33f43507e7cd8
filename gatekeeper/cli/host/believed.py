"""What a command believes: the trust list in the database, as far as the roots in the site's folder signed it; the policy."""

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import site_folder
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.model.ids import SiteId
from gatekeeper.model.policy import SitePolicy

__all__ = ["policy_in_force", "trust_of_the_log"]


async def trust_of_the_log(settings: Settings, site: SiteId, reading: PostgresReading) -> Trust:
    """The trust list of a site, which names a key that signs the log. Raises SettingError when it is not to be believed."""
    try:
        anchor = site_folder(settings, site).read_anchor()
    except OSError as error:  # which is no fault of the database that is open here
        raise SettingError(f"{error.filename}: {error.strerror}.") from error
    if anchor.site != site:
        raise SettingError(f"The folder of {site} holds the trust anchor of {anchor.site}.")
    document = await reading.document(site, "trust")
    if document is None:
        raise SettingError(f"The database holds no site {site}.")
    trust = read_trust(document, anchor=anchor, not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
    if not trust.log_keys:
        raise SettingError("The trust list names no key that signs the log.")
    return trust


async def policy_in_force(reading: PostgresReading, site: SiteId, *, trust: Trust) -> SitePolicy:
    """The policy of a site as it was written. Raises SettingError when it is not to be believed."""
    policy = read_policy(await reading.document(site, "policy") or b"", trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingError(f"The policy is not believed: {policy.code.sentence}")
    return policy.written
