"""Why an export of the log is not made as it was asked for: stable codes, which `schemas/reasons.md` lists."""

from enum import StrEnum

__all__ = ["LogExportRefusal"]


class LogExportRefusal(StrEnum):
    """Why no bundle is written, or not gone on with."""

    BEGUN_OTHERWISE = "export-begun-otherwise"
    TREE_UNKNOWN = "export-tree-unknown"
    DOOR_UNKNOWN = "export-door-unknown"
    HOLDER_UNKNOWN = "export-holder-unknown"
    SEEN_OTHER = "export-seen-other"
    SEEN_AHEAD = "export-seen-ahead"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    LogExportRefusal.BEGUN_OTHERWISE: "The half-done bundle was begun with other options: give those, or write another file.",
    LogExportRefusal.TREE_UNKNOWN: "The log has no such tree: the site has no such tenant.",
    LogExportRefusal.DOOR_UNKNOWN: "The site has no such access point, and no policy of it ever had.",
    LogExportRefusal.HOLDER_UNKNOWN: "The site has no such holder, or not one whom this operator may ask about.",
    LogExportRefusal.SEEN_OTHER: "The checkpoint is of another log, or of another tree: nothing here grew from it.",
    LogExportRefusal.SEEN_AHEAD: "The checkpoint covers more entries than the log holds: the log was cut, or is not the same.",
}
