"""Requests for a bucket's incomplete uploads, with signatures checked against botocore."""

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from shared.clips.multipart_cleanup import Credentials, IncompleteUploads, SweepRefusedError, signature_headers

STORE = "s3://bucket/deep/prefix"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDTESTONLY", "AWS_SECRET_ACCESS_KEY": "s3cr3t/test+only"}


@pytest.mark.parametrize("token", ["", "a-token/of+a=role"])
@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/bucket", f"prefix={quote('deep/clips/', safe='')}&uploads="),
        ("DELETE", "/bucket/deep/clips/01J", f"uploadId={quote('a+b/c==', safe='')}"),
    ],
)
def test_signatures_equal_botocores(
    method: str, path: str, query: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime.now(dt.UTC)
    url = f"https://s3.eu-central-1.amazonaws.com{path}?{query}"
    actual = signature_headers(method, url, "eu-central-1", Credentials("AKIDTESTONLY", "s3cr3t/test+only", token), now)
    expected = AWSRequest(method=method, url=url, headers={"x-amz-content-sha256": actual["x-amz-content-sha256"]})
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    SigV4Auth(BotocoreCredentials("AKIDTESTONLY", "s3cr3t/test+only", token or None), "s3", "eu-central-1").add_auth(
        expected
    )
    assert actual["authorization"] == expected.headers["Authorization"]


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://s3.us-east-1.amazonaws.com/bucket"),
        ({"AWS_REGION": "eu-west-3"}, "https://s3.eu-west-3.amazonaws.com/bucket"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000/bucket"),
        (
            {"AWS_ENDPOINT_URL": "https://bucket.s3.example", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            "https://bucket.s3.example",
        ),
    ],
)
def test_the_bucket_and_prefix_follow_from_the_store_url(environment: dict[str, str], url: str) -> None:
    uploads = IncompleteUploads.from_environment(STORE, "clips", {**KEYS, **environment})
    assert uploads is not None
    assert (uploads.url, uploads.prefix) == (url, "deep/prefix/clips/")
    whole = IncompleteUploads.from_environment("s3://bucket", "clips", KEYS)
    assert whole is not None
    assert whole.prefix == "clips/"


def test_without_static_credentials_or_s3_there_is_no_cleanup() -> None:
    assert IncompleteUploads.from_environment(STORE, "clips", {}) is None
    assert IncompleteUploads.from_environment("file:///clips", "clips", KEYS) is None


_UPLOAD = (
    "<Upload><Key>{key}</Key><UploadId>id-of-{key}</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
)
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@contextmanager
def store_with_responses(status: int, pages: list[str]) -> Iterator[tuple[IncompleteUploads, list[str]]]:
    """A server with fixed responses that no packaged S3 server gives, and the requests that it received."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(f"{self.command} {self.path}")
            body = b"" if self.command == "DELETE" else pages[min(len(requests), len(pages)) - 1].encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_GET  # noqa: N815  (the base class's spelling)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        keys = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        uploads = IncompleteUploads.from_environment("s3://bucket", "clips", keys)
        assert uploads is not None
        try:
            yield uploads, requests
        finally:
            server.shutdown()
            thread.join()


def test_all_pages_of_a_listing_are_read() -> None:
    markers = "<NextKeyMarker>clips/1</NextKeyMarker><NextUploadIdMarker>a/b</NextUploadIdMarker>"
    pages = [
        f"<Result {_NAMESPACE}><IsTruncated>true</IsTruncated>{markers}{_UPLOAD.format(key='clips/1')}</Result>",
        f"<Result {_NAMESPACE}>{_UPLOAD.format(key='clips/2')}</Result>",
    ]
    with store_with_responses(200, pages) as (uploads, requests):
        assert uploads.abort_older_than(3600) == ["clips/1", "clips/2"]
    assert requests == [
        "GET /bucket?prefix=clips%2F&uploads=",
        "GET /bucket?key-marker=clips%2F1&prefix=clips%2F&upload-id-marker=a%2Fb&uploads=",
        "DELETE /bucket/clips/1?uploadId=id-of-clips%2F1",
        "DELETE /bucket/clips/2?uploadId=id-of-clips%2F2",
    ]


@pytest.mark.parametrize("status", [401, 403, 405, 501])
def test_a_refusal_is_not_an_outage(status: int) -> None:
    with store_with_responses(status, [""]) as (uploads, _), pytest.raises(SweepRefusedError, match=str(status)):
        uploads.abort_older_than(3600)


@pytest.mark.parametrize("status", [500, 503])
def test_an_outage_is_an_os_error(status: int) -> None:
    with (
        store_with_responses(status, [""]) as (uploads, _),
        pytest.raises(OSError, match=httpx.HTTPStatusError.__name__),
    ):
        uploads.abort_older_than(3600)
