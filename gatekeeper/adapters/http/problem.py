"""What went wrong, as a program reads it (RFC 9457)."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

__all__ = ["problem"]


def problem(
    status: int,
    *,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    further: Mapping[str, object] | None = None,
) -> JSONResponse:
    """An answer that says what is wrong; nobody keeps it."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(further or {})}
    return JSONResponse(
        document,
        status_code=status,
        media_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
