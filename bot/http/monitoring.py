"""Health and metrics, for probes and for Prometheus."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client.exposition import choose_encoder

from bot import __version__
from bot.http.guard import BEARER, Guard
from bot.observability import metrics
from bot.observability.health import Health


def monitoring_router(health: Health, guard: Guard) -> APIRouter:
    """Serve liveness and readiness to everybody, and the problems only to clients that the guard admits."""
    router = APIRouter(tags=["monitoring"])

    @router.get("/health/live", summary="Whether the process lives")
    async def live() -> dict[str, str]:
        return {"status": "live", "version": __version__}

    @router.get(
        "/health/ready",
        summary="Whether every component does its work; each with its state, since when, and what is wrong",
        response_class=JSONResponse,
        responses={503: {"description": "The bot isn't ready."}},
    )
    async def ready(request: Request) -> Response:
        states = health.to_json()
        content = states if guard.admits(request) else {"status": states["status"]}
        return JSONResponse(content, HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get(
        "/metrics", summary="Figures for Prometheus", dependencies=[Depends(BEARER)], response_class=PlainTextResponse
    )
    async def figures(request: Request) -> Response:
        for report in health.reports:
            metrics.COMPONENTS.labels(report.name).set(report.state.serves)
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        # In a thread, for the quantiles of the lag are sorted from thousands of measurements.
        return Response(await asyncio.to_thread(encode, metrics.REGISTRY), headers={"Content-Type": media_type})

    return router
