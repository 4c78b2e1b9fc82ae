"""Requests for a bucket's unfinished uploads are signed as S3 asks, judged by Amazon's own library."""

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
from botocore.credentials import Credentials as TheirCredentials

from shared.clips.multipart_cleanup import Credentials, SweepRefusedError, UnfinishedUploads, signature_headers

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
def test_a_signature_is_what_amazons_library_makes(
    method: str, path: str, query: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime.now(dt.UTC)
    url = f"https://s3.eu-central-1.amazonaws.com{path}?{query}"
    ours = signature_headers(method, url, "eu-central-1", Credentials("AKIDTESTONLY", "s3cr3t/test+only", token), now)
    theirs = AWSRequest(method=method, url=url, headers={"x-amz-content-sha256": ours["x-amz-content-sha256"]})
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    SigV4Auth(TheirCredentials("AKIDTESTONLY", "s3cr3t/test+only", token or None), "s3", "eu-central-1").add_auth(
        theirs
    )
    assert ours["authorization"] == theirs.headers["Authorization"]


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
def test_the_bucket_is_where_the_store_is_and_no_more_than_its_clips_are_looked_at(
    environment: dict[str, str], url: str
) -> None:
    uploads = UnfinishedUploads.of(STORE, "clips", {**KEYS, **environment})
    assert uploads is not None
    assert (uploads.url, uploads.prefix) == (url, "deep/prefix/clips/")
    whole = UnfinishedUploads.of("s3://bucket", "clips", KEYS)
    assert whole is not None
    assert whole.prefix == "clips/"


def test_without_keys_of_its_own_or_off_s3_nobody_is_asked() -> None:
    assert UnfinishedUploads.of(STORE, "clips", {}) is None
    assert UnfinishedUploads.of("file:///clips", "clips", KEYS) is None


_UPLOAD = (
    "<Upload><Key>{key}</Key><UploadId>id-of-{key}</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
)
_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@contextmanager
def store_that_answers(status: int, pages: list[str]) -> Iterator[tuple[UnfinishedUploads, list[str]]]:
    """A store's words for two calls, which no server that a package brings says; what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            body = b"" if self.command == "DELETE" else pages[min(len(asked), len(pages)) - 1].encode()
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
        uploads = UnfinishedUploads.of("s3://bucket", "clips", keys)
        assert uploads is not None
        try:
            yield uploads, asked
        finally:
            server.shutdown()
            thread.join()


def test_a_listing_of_several_pages_is_read_to_its_end() -> None:
    markers = "<NextKeyMarker>clips/1</NextKeyMarker><NextUploadIdMarker>a/b</NextUploadIdMarker>"
    pages = [
        f"<Result {_SPACE}><IsTruncated>true</IsTruncated>{markers}{_UPLOAD.format(key='clips/1')}</Result>",
        f"<Result {_SPACE}>{_UPLOAD.format(key='clips/2')}</Result>",
    ]
    with store_that_answers(200, pages) as (uploads, asked):
        assert uploads.abort_older_than(3600) == ["clips/1", "clips/2"]
    assert asked == [
        "GET /bucket?prefix=clips%2F&uploads=",
        "GET /bucket?key-marker=clips%2F1&prefix=clips%2F&upload-id-marker=a%2Fb&uploads=",
        "DELETE /bucket/clips/1?uploadId=id-of-clips%2F1",
        "DELETE /bucket/clips/2?uploadId=id-of-clips%2F2",
    ]


@pytest.mark.parametrize("status", [401, 403, 405, 501])
def test_a_store_that_does_not_allow_it_is_not_taken_for_one_that_is_away(status: int) -> None:
    with store_that_answers(status, [""]) as (uploads, _), pytest.raises(SweepRefusedError, match=str(status)):
        uploads.abort_older_than(3600)


@pytest.mark.parametrize("status", [500, 503])
def test_a_store_that_is_away_is_asked_again(status: int) -> None:
    with store_that_answers(status, [""]) as (uploads, _), pytest.raises(OSError, match=httpx.HTTPStatusError.__name__):
        uploads.abort_older_than(3600)
