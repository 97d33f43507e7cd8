"""What is not as it should be outside of the program, and the sentence in which a person is told of it.

Everything else that is raised is a defect of the program, and shows its traceback.
"""

from gatekeeper.config import SettingError
from gatekeeper.embedded import EmbeddedServerError
from gatekeeper.model.site_file import SiteFileError
from gatekeeper.ports import (
    CollectorUnavailableError,
    LedgerUnavailableError,
    TransportError,
    WitnessStoreError,
)
from gatekeeper.service.administration.directory import PeopleError
from gatekeeper.service.administration.folder import SiteFolderError
from gatekeeper.service.administration.opening import SiteNotOpenedError
from gatekeeper.service.administration.operators import OperatorError
from gatekeeper.service.administration.photos import PhotoError
from gatekeeper.service.administration.trust_list import TrustListError
from gatekeeper.service.engine.loading import SiteUnusableError
from gatekeeper.service.export.parquet import ParquetError
from gatekeeper.service.witnessing import WitnessFolderError

__all__ = ["sentence_of"]

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
    PhotoError,
    ParquetError,
    LedgerUnavailableError,
    CollectorUnavailableError,
    TransportError,
    WitnessFolderError,
    WitnessStoreError,
)


def sentence_of(error: BaseException) -> str | None:
    """What to tell of an error; None when it is a defect. Of several that came at once, the first is told."""
    match error:
        case BaseExceptionGroup(exceptions=errors):
            sentences = [sentence_of(inner) for inner in errors]
            return None if None in sentences else sentences[0]
        case OSError(errno=int(), strerror=str(why), filename=name):
            return f"{why}." if name is None else f"{name}: {why}."
        case _:
            return str(error) if isinstance(error, _TOLD) else None
