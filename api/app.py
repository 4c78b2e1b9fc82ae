"""The gateway application. `facevitals gateway` serves it, on connections with limits (`api.connections`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import audit, cors, docs, jobs, legacy, openapi, operations, page, problems, webhooks
from api.authentication import Authenticator
from api.bodies import BodyLimits
from api.dependencies import Gateway
from api.head import HeadAsGet
from api.job_notifier import JobNotifier
from api.queue_limit import QueueLimit
from api.sweep import sweep_forever
from api.tracing import RequestSpans
from shared.clips.store import ClipStore, StoreUnavailableError
from shared.jobs.broker_errors import failure_log
from shared.jobs.job_store import JobStore
from shared.observability.audit import configure_audit
from shared.observability.logging import configure_logging
from shared.observability.tracing import configure_tracing, shutdown_tracing
from shared.schemas import NOTICE
from shared.settings import Settings, settings
from shared.version import VERSION

#: Description of the API in the OpenAPI document.
DESCRIPTION = f"""
Vitals from 15 seconds of webcam video: heart rate, respiration rate, heart-rate variability, SpO2, stress, age, gender
and BMI, each with an interval, or with the reason for its absence. {NOTICE}
"""


class SecurityHeaders:
    """Security headers on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers when the response starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                headers.setdefault("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", "no-store")
                    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            await send(message)

        await self.app(scope, receive, send_with_headers)


def create_app(config: Settings | None = None) -> FastAPI:
    """Build the gateway from settings (the environment's by default).

    Raises:
        ValueError: the settings leave it open to others than this machine, or name an audit log that can't be written.
    """
    config = config or settings()
    if not config.redis_url:
        raise ValueError("FACEVITALS_REDIS_URL is not set. Name a broker, or use `facevitals up`, which starts one.")
    guarded = config.keys or config.require_keys
    if not guarded and config.host not in {"127.0.0.1", "::1", "localhost"} and not config.allow_open:
        raise ValueError(
            f"The gateway would listen on {config.host} without API keys. Set FACEVITALS_REQUIRE_KEYS=true and make "
            "keys with `facevitals keys create`, or set FACEVITALS_API_KEYS; or FACEVITALS_ALLOW_OPEN=true if "
            "something in front of the gateway guards it."
        )
    webhooks.check_settings(config)
    configure_logging(config)
    configure_audit(config)
    traced = configure_tracing(config, "gateway")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        notifier = JobNotifier(config.redis_url)
        jobs_in_broker = JobStore.connect(config.redis_url, config.result_ttl_s)
        gateway = Gateway(
            settings=config,
            jobs=jobs_in_broker,
            store=ClipStore(config.store),
            notifier=notifier,
            queue_limit=QueueLimit(jobs_in_broker, config),
        )
        app.state.gateway = gateway
        await notifier.start()
        loops = [
            asyncio.create_task(sweep_forever(gateway), name="sweep"),
            asyncio.create_task(webhooks.send_forever(gateway), name="webhooks"),
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await notifier.stop()
            gateway.jobs.close()
            await run_in_threadpool(shutdown_tracing)

    app = FastAPI(
        title="Face Vitals",
        version=VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.authenticator = Authenticator(config)
    # The innermost: it reads the route that was found, and sees a HEAD as a GET.
    app.add_middleware(audit.AuditLines)
    app.add_middleware(HeadAsGet)
    # The last one added is the outermost: a refused body too is answered with CORS and security headers.
    app.add_middleware(
        BodyLimits,
        max_bytes=config.max_upload_bytes,
        silence_s=config.client_timeout_s,
        at_once=config.max_uploads,
    )
    cors.install(app, config)
    app.add_middleware(SecurityHeaders)
    if traced:
        app.add_middleware(RequestSpans)
    problems.install(app)

    @app.exception_handler(RedisError)
    async def broker_fails(_: Request, error: RedisError) -> JSONResponse:
        failure_log.warn("request refused for the broker", error)
        return problems.broker_problem(error).response()

    @app.exception_handler(StoreUnavailableError)
    async def store_away(_: Request, __: StoreUnavailableError) -> JSONResponse:
        return problems.StoreAway("Try again later.", headers={"Retry-After": "30"}).response()

    app.include_router(jobs.router)
    app.include_router(legacy.router)
    app.include_router(operations.router)
    page.install(app)
    docs.install(app)
    openapi.install(app)
    return app
