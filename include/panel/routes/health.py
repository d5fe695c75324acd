"""Whether the panel runs; the one answer that needs no login, because it holds no data."""

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
def healthy() -> dict[str, str]:
    """Say that the app is mounted and answers."""
    return {"status": "ok"}
