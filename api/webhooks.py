"""Webhooks: the document of a finished job is posted to its `webhook_url`, signed as in Standard Webhooks.

Only https, to a checked address, without redirects. It is sent again over hours, with jitter, until it is accepted
(2xx), refused for good (410), or `TRIES` are used up. See https://www.standardwebhooks.com.
"""

import asyncio
import base64
import binascii
import contextlib
import datetime as dt
import random
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx
import standardwebhooks
import structlog
from pydantic import BaseModel, ConfigDict
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.authentication import Caller
from api.dependencies import Gateway
from api.parameters import shown, webhook_url
from api.problems import BadParameter
from api.ssrf_guard import AddressRefusedError, Network, Resolver, checked_address, parse_networks, system_resolver
from shared.access.api_keys import OWNER_PREFIX, KeyRing, public_id
from shared.jobs.broker_errors import failure_log
from shared.jobs.webhooks import Outcome, Webhook, Webhooks
from shared.observability import audit
from shared.schemas import JobDocument
from shared.settings import Settings
from shared.version import VERSION

#: Waits grow by this factor: 5 s, 30 s, 3 min, 18 min, 1.8 h, 10.8 h.
GROWTH: Final = 6
TRIES: Final = 7
#: A wait varies by this share, so that not all webhooks of a receiver that failed are sent again at once.
JITTER: Final = 0.25
#: Longest `Retry-After` of a receiver that is honoured, seconds.
MAX_RETRY_AFTER_S: Final = 6 * 3600
TRY_S: Final = 20.0
CONNECT_S: Final = 5.0
AT_ONCE: Final = 32
#: Of those, for one owner: receivers that stall must not delay those of other owners.
SHARE: Final = 8
POLL_EVERY_S: Final = 0.5
#: The same after an unexpected error, which is logged each time.
AFTER_UNFORESEEN_S: Final = 5.0

log = structlog.get_logger()


class JobEnded(BaseModel):
    """The body of a webhook: the final document of a job."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type: Literal["job.succeeded", "job.failed"]
    timestamp: dt.datetime
    data: JobDocument


#: The webhook's name in OpenAPI.
EVENT: Final = "job-ended"


def operation() -> dict[str, Any]:
    """Describe the webhook for OpenAPI, for those who write a receiver."""
    return {
        "summary": "Job ended",
        "description": (
            "Posted to `webhook_url` when a job has ended, signed as described by Standard Webhooks. The headers are "
            "`webhook-id`, `webhook-timestamp` and `webhook-signature`. Answer 2xx to accept it, or 410 to refuse it "
            "for good; after any other answer it is sent again, over hours, with the same `webhook-id`."
        ),
        "operationId": "job_ended",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{JobEnded.__name__}"}}},
        },
        "responses": {"204": {"description": "Accepted."}},
    }


def checked_url(url: str | None, settings: Settings, caller: Caller) -> str | None:
    """Return the webhook's URL, or None where there is none.

    Raises:
        BadParameter: the URL is not allowed, or there is no secret to sign with.
    """
    if url is None:
        return None
    webhook_url(url)
    if not settings.webhook_secret and not caller.owner.startswith(OWNER_PREFIX):
        raise BadParameter(
            f"{shown(url)} can't be called: the gateway has no secret to sign with. `webhook_url` takes a URL if the "
            "request has a key made by `facevitals keys create`, or the operator has set FACEVITALS_WEBHOOK_SECRET."
        )
    return url


def check_settings(settings: Settings) -> None:
    """Check the settings of webhooks.

    Raises:
        ValueError: they are invalid.
    """
    try:
        parse_networks(settings.webhook_networks)
    except ValueError as error:
        raise ValueError(f"FACEVITALS_WEBHOOK_ALLOW: {error}") from error
    if settings.webhook_secret:
        kind, _, encoded = settings.webhook_secret.partition("_")
        with contextlib.suppress(binascii.Error):
            if kind == "whsec" and 24 <= len(base64.b64decode(encoded, validate=True)) <= 64:
                return
        raise ValueError("FACEVITALS_WEBHOOK_SECRET: give whsec_ and 24 to 64 random bytes in base64.")


def wait_s(tries: int, first_s: float, retry_after_s: float = 0.0) -> float:
    """Return the seconds until the next attempt after `tries` failed ones, at least the receiver's `Retry-After`."""
    planned = first_s * float(GROWTH) ** (tries - 1)
    return max(planned * random.uniform(1 - JITTER, 1 + JITTER), min(retry_after_s, MAX_RETRY_AFTER_S))


def _host(webhook: Webhook) -> str:
    """Return the host name as given; decoded from IDNA it would be another name to DNS and TLS."""
    return httpx.URL(webhook.url).raw_host.decode()


@dataclass(frozen=True)
class Answer:
    """A receiver's response."""

    status: int
    retry_after_s: float = 0.0


class Sender:
    """Posts webhooks."""

    def __init__(self, allowed: tuple[Network, ...] = (), resolve: Resolver = system_resolver) -> None:
        self._allowed, self._resolve = allowed, resolve
        # No proxy from the environment: it would resolve the name again. No connection is kept: one that was opened
        # for a name must not be used for another name at the same address.
        self._http = httpx.AsyncClient(
            verify=httpx.create_ssl_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(TRY_S, connect=CONNECT_S),
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": f"facevitals/{VERSION}", "Accept": "*/*"},
        )

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()

    async def post(self, webhook: Webhook, secrets: list[str]) -> Answer:
        """Post one webhook, signed with each of `secrets`.

        Raises:
            AddressRefusedError: the name resolves to an address that the gateway does not call.
            OSError: the name has no address.
            httpx.HTTPError: the receiver can't be reached, or its certificate is not for this name.
            TimeoutError: it took too long.
        """
        url, now, body = httpx.URL(webhook.url), dt.datetime.now(dt.UTC), webhook.body
        signatures = [standardwebhooks.Webhook(secret).sign(webhook.message_id, now, body) for secret in secrets]
        headers = {
            "Content-Type": "application/json",
            "Host": url.netloc.decode(),
            "webhook-id": webhook.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        async with asyncio.timeout(TRY_S):
            address = await checked_address(_host(webhook), url.port or 443, self._allowed, self._resolve)
            request = self._http.build_request(
                "POST",
                url.copy_with(host=address),
                content=body.encode(),
                headers=headers,
                # TLS requests and checks the certificate of the name, not of the address.
                extensions={"sni_hostname": _host(webhook)},
            )
            response = await self._http.send(request, stream=True)
            # The body is not needed, and may be endless.
            await response.aclose()
        wait = response.headers.get("retry-after", "")
        return Answer(response.status_code, float(wait[:9]) if wait.isascii() and wait.isdigit() else 0.0)


async def send_forever(gateway: Gateway) -> None:
    """Send webhooks that are due, until cancelled. Errors of the broker and others are retried."""
    settings = gateway.settings
    queue, sender = Webhooks(gateway.records.redis), None
    under_way: dict[asyncio.Task[None], str] = {}
    try:
        while True:
            pause_s = POLL_EVERY_S
            try:
                sender = sender or Sender(parse_networks(settings.webhook_networks))
                for webhook in await run_in_threadpool(queue.take, AT_ONCE - len(under_way)):
                    if list(under_way.values()).count(webhook.owner) >= SHARE:
                        await run_in_threadpool(queue.put_back, webhook.job_id, random.uniform(1, 5))
                        continue
                    task = asyncio.create_task(try_once(gateway, queue, sender, webhook))
                    under_way[task] = webhook.owner
                    task.add_done_callback(under_way.pop)
            except (RedisError, OSError) as error:
                failure_log.warn("webhooks put off", error)
            except Exception:
                # An unexpected error must not stop the next webhook.
                log.exception("webhooks failed")
                pause_s = AFTER_UNFORESEEN_S
            await asyncio.sleep(pause_s)
            while len(under_way) >= AT_ONCE:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if sender is not None:
            await sender.close()


async def try_once(gateway: Gateway, queue: Webhooks, sender: Sender, webhook: Webhook) -> None:
    """Send one webhook and store the outcome. Of its URL only the host is logged."""
    about = log.bind(job=webhook.job_id, tries=webhook.tries)
    try:
        about = about.bind(host=_host(webhook))
        secrets = await run_in_threadpool(_secrets, gateway, webhook.owner)
        if not secrets:
            about.info("webhook given up", why="its key is gone")
            await run_in_threadpool(queue.end, webhook.job_id, Outcome.UNSIGNED)
            return
        retry_after_s, stop, why = 0.0, None, ""
        try:
            answer = await sender.post(webhook, secrets)
            if 200 <= answer.status < 300:
                # First: the receiver has the result, whatever becomes of the queue.
                sent, key = audit.Action.SEND_WEBHOOK, public_id(webhook.owner)
                audit.record(sent, audit.Outcome.OK, key=key, job=webhook.job_id, status=answer.status)
                await run_in_threadpool(queue.end, webhook.job_id, Outcome.DELIVERED)
                about.info("webhook delivered", status=answer.status)
                return
            retry_after_s, why = answer.retry_after_s, f"status {answer.status}"
            stop = Outcome.GONE if answer.status == 410 else None
        except AddressRefusedError:
            stop, why = Outcome.REFUSED, "the address is not public"
        except Exception as error:
            # Any error counts as one attempt: a webhook that breaks the sender must not be retried forever.
            why = type(error).__name__
        if stop is None and webhook.tries >= TRIES:
            stop = Outcome.GIVEN_UP
        if stop is not None:
            about.warning("webhook given up", why=why)
            await run_in_threadpool(queue.end, webhook.job_id, stop)
            return
        wait = wait_s(webhook.tries, gateway.settings.webhook_retry_s, retry_after_s)
        about.info("webhook not accepted", why=why, again_in_s=round(wait, 1))
        await run_in_threadpool(queue.postpone, webhook.job_id, wait)
    except (RedisError, OSError) as error:
        # The hold expires, and the webhook is due again.
        about.warning("webhook put off", error=str(error))
    except Exception:
        # Its record or its key is invalid: the next attempt would fail, too.
        about.exception("webhook given up")
        with contextlib.suppress(RedisError, OSError):
            await run_in_threadpool(queue.end, webhook.job_id, Outcome.BROKEN)


def _secrets(gateway: Gateway, owner: str) -> list[str]:
    if owner.startswith(OWNER_PREFIX):
        return KeyRing(gateway.records.redis).webhook_secrets(owner)
    return [gateway.settings.webhook_secret] if gateway.settings.webhook_secret else []
