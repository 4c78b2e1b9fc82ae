"""Cleanup of incomplete multipart uploads, which a killed gateway leaves and which no listing of a bucket shows.

obstore neither lists nor aborts them, so both requests are made here, signed with AWS Signature Version 4
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
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

_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
#: Time-out of a request in seconds. The next sweep tries again.
_TIMEOUT_S: Final = 10.0


class SweepRefusedError(Exception):
    """The store does not allow these credentials to list or abort multipart uploads."""


@dataclass(frozen=True)
class Credentials:
    """Static credentials of the environment. The temporary ones of a role are not supported."""

    key_id: str
    secret: str
    token: str = ""


def signature_headers(method: str, url: str, region: str, credentials: Credentials, now: dt.datetime) -> dict[str, str]:
    """Return the headers that sign a request without a body. The query of `url` must be quoted, and sorted by name."""
    parts = urlsplit(url)
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": time}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}\n" for name in sorted(headers)]
    request = "\n".join([method, parts.path or "/", parts.query, "".join(lines), names, _EMPTY_SHA256])
    scope = f"{day}/{region}/s3/aws4_request"
    key = f"AWS4{credentials.secret}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed = f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": signed}


@dataclass(frozen=True)
class IncompleteUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    begun: dt.datetime


@dataclass(frozen=True)
class IncompleteUploads:
    """The incomplete uploads of the bucket at `url` whose keys begin with `prefix`."""

    url: str
    prefix: str
    region: str
    credentials: Credentials

    @classmethod
    def from_environment(
        cls, store_url: str, folder: str, environment: Mapping[str, str]
    ) -> "IncompleteUploads | None":
        """Return those of a store's `folder`; None for a store other than S3, or without static credentials."""
        parts = urlsplit(store_url)
        key_id, secret = (environment.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        if parts.scheme not in {"s3", "s3a"} or not key_id or not secret:
            return None
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        # As in obstore: the endpoint then contains the bucket.
        hosted = environment.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in {"true", "1"}
        bucket = endpoint if hosted else f"{endpoint}/{parts.netloc}"
        credentials = Credentials(key_id, secret, environment.get("AWS_SESSION_TOKEN", ""))
        return cls(bucket, f"{parts.path}/{folder}/".lstrip("/").replace("//", "/"), region, credentials)

    def abort_older_than(self, age_s: float) -> list[str]:
        """Abort the uploads that began more than `age_s` seconds ago, and return their keys.

        Raises:
            SweepRefusedError: The store does not allow it.
            OSError: The store can't be reached.
        """
        limit = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as client:
                old = [upload for upload in self._list(client) if upload.begun < limit]
                for upload in old:
                    self._request(client, "DELETE", "/" + quote(upload.key), {"uploadId": upload.upload_id}, gone=True)
        except (httpx.HTTPError, ElementTree.ParseError) as error:
            raise OSError(f"the store: {type(error).__name__}") from error
        return [upload.key for upload in old]

    def _list(self, client: httpx.Client) -> Iterator[IncompleteUpload]:
        query = {"uploads": "", "prefix": self.prefix}
        while True:
            # The response comes from the operator's own store, and current expat limits the expansion of entities.
            response = ElementTree.fromstring(self._request(client, "GET", "", query))  # noqa: S314
            namespace = response.tag.partition("}")[0] + "}" if response.tag.startswith("{") else ""
            for upload in response.iter(f"{namespace}Upload"):
                key, upload_id, begun = (
                    upload.findtext(namespace + name, "") for name in ("Key", "UploadId", "Initiated")
                )
                yield IncompleteUpload(key, upload_id, dt.datetime.fromisoformat(begun))
            if response.findtext(f"{namespace}IsTruncated", "false") != "true":
                return
            query["key-marker"] = response.findtext(f"{namespace}NextKeyMarker", "")
            query["upload-id-marker"] = response.findtext(f"{namespace}NextUploadIdMarker", "")

    def _request(
        self, client: httpx.Client, method: str, path: str, query: Mapping[str, str], *, gone: bool = False
    ) -> str:
        encoded = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        url = f"{self.url}{path}?{encoded}"
        headers = signature_headers(method, url, self.region, self.credentials, dt.datetime.now(dt.UTC))
        response = client.request(method, url, headers=headers)
        if response.status_code in {401, 403, 405, 501}:
            raise SweepRefusedError(f"{method} of multipart uploads is answered {response.status_code}")
        if not (gone and response.status_code == 404):
            response.raise_for_status()
        return response.text
