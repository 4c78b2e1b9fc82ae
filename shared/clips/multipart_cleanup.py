"""Multipart uploads that nobody will finish, because their gateway was killed: no listing of a bucket shows them.

obstore neither lists nor aborts them, so the two calls are made here, signed as S3 asks (AWS Signature Version 4,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

_NOTHING: Final = hashlib.sha256(b"").hexdigest()
#: A store that does not answer is asked again by the next sweep.
_ANSWER_S: Final = 10.0


class SweepRefusedError(Exception):
    """The store does not let these credentials list or abort multipart uploads."""


@dataclass(frozen=True)
class Credentials:
    """What the environment says of the caller; a role's, which change by the hour, are not known here."""

    key_id: str
    secret: str
    token: str = ""


def signature_headers(method: str, url: str, region: str, credentials: Credentials, now: dt.datetime) -> dict[str, str]:
    """The headers that sign a request without a body. `url`: its query sorted by name, and quoted."""
    parts = urlsplit(url)
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _NOTHING, "x-amz-date": time}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}\n" for name in sorted(headers)]
    request = "\n".join([method, parts.path or "/", parts.query, "".join(lines), names, _NOTHING])
    scope = f"{day}/{region}/s3/aws4_request"
    key = f"AWS4{credentials.secret}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed = f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": signed}


@dataclass(frozen=True)
class Unfinished:
    """One upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    begun: dt.datetime


@dataclass(frozen=True)
class UnfinishedUploads:
    """Those of one bucket whose keys begin with `prefix`: the rest of it is not ours. `url` is the bucket's."""

    url: str
    prefix: str
    region: str
    credentials: Credentials

    @classmethod
    def of(cls, store_url: str, folder: str, environment: Mapping[str, str]) -> "UnfinishedUploads | None":
        """Those of a store's `folder`; None if it is no S3, or its credentials are a role's."""
        parts = urlsplit(store_url)
        key_id, secret = (environment.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        if parts.scheme not in {"s3", "s3a"} or not key_id or not secret:
            return None
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        # As obstore reads it: then the endpoint names the bucket itself.
        hosted = environment.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in {"true", "1"}
        bucket = endpoint if hosted else f"{endpoint}/{parts.netloc}"
        credentials = Credentials(key_id, secret, environment.get("AWS_SESSION_TOKEN", ""))
        return cls(bucket, f"{parts.path}/{folder}/".lstrip("/").replace("//", "/"), region, credentials)

    def abort_older_than(self, age_s: float) -> list[str]:
        """Abort those begun more than `age_s` seconds ago; their keys.

        Raises:
            SweepRefusedError: the store does not allow it.
            OSError: the store is away.
        """
        limit = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        try:
            with httpx.Client(timeout=_ANSWER_S) as client:
                old = [upload for upload in self._all(client) if upload.begun < limit]
                for upload in old:
                    self._ask(client, "DELETE", "/" + quote(upload.key), {"uploadId": upload.upload_id}, gone=True)
        except (httpx.HTTPError, ElementTree.ParseError) as error:
            raise OSError(f"the store: {type(error).__name__}") from error
        return [upload.key for upload in old]

    def _all(self, client: httpx.Client) -> Iterator[Unfinished]:
        asked = {"uploads": "", "prefix": self.prefix}
        while True:
            # The operator's own store says this, and expat of today bounds what entities may grow to.
            answer = ElementTree.fromstring(self._ask(client, "GET", "", asked))  # noqa: S314
            space = answer.tag.partition("}")[0] + "}" if answer.tag.startswith("{") else ""
            for upload in answer.iter(f"{space}Upload"):
                key, upload_id, begun = (upload.findtext(space + name, "") for name in ("Key", "UploadId", "Initiated"))
                yield Unfinished(key, upload_id, dt.datetime.fromisoformat(begun))
            if answer.findtext(f"{space}IsTruncated", "false") != "true":
                return
            asked["key-marker"] = answer.findtext(f"{space}NextKeyMarker", "")
            asked["upload-id-marker"] = answer.findtext(f"{space}NextUploadIdMarker", "")

    def _ask(
        self, client: httpx.Client, method: str, path: str, query: Mapping[str, str], *, gone: bool = False
    ) -> str:
        words = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        url = f"{self.url}{path}?{words}"
        headers = signature_headers(method, url, self.region, self.credentials, dt.datetime.now(dt.UTC))
        answer = client.request(method, url, headers=headers)
        if answer.status_code in {401, 403, 405, 501}:
            raise SweepRefusedError(f"{method} of multipart uploads is answered {answer.status_code}")
        if not (gone and answer.status_code == 404):
            answer.raise_for_status()
        return answer.text
