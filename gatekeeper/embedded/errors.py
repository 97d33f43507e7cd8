"""The one family of errors of the embedded servers."""

__all__ = ["EmbeddedServerError"]


class EmbeddedServerError(Exception):
    """An embedded server cannot be had or does not run; the sentence says what to do."""
