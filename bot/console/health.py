"""Health: components, the queue, the event loop, models and threads."""

import threading
from collections import Counter

from fastapi import APIRouter, Request, Response

from bot.console.parts import Parts
from bot.console.view import View
from bot.inference.memory import free_memory
from bot.observability import metrics


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of health."""
    pages = APIRouter()

    @pages.get("/health")
    async def shown(request: Request) -> Response:
        lag, resident = await view.in_thread(_measured)
        return await view.page(
            request,
            "health.html",
            ready=parts.health.ready,
            reports=parts.health.reports,
            work=(await parts.administration.status()).lines(),
            lag=lag,
            resident=resident,
            free=free_memory(),
            models=parts.models(),
            threads=Counter(thread.name for thread in threading.enumerate()),
        )

    return pages


def _measured() -> tuple[dict[str, float], float | None]:
    """Return the lag of the event loop by quantile, in milliseconds, and the memory in use, in bytes. Takes milliseconds."""
    value = metrics.REGISTRY.get_sample_value
    lag = {share: value(metrics.LOOP_LAG_NAME, {"quantile": share}) for share in ("0.5", "0.99")}
    return (
        {share: seconds * 1000 for share, seconds in lag.items() if seconds is not None},
        value("process_resident_memory_bytes"),
    )
