"""Requests for a bucket's unfinished uploads are signed as S3 asks, judged by Amazon's own library."""

import datetime as dt
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials

from shared.unfinished import Credentials, UnfinishedUploads, signature_headers

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
