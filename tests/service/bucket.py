"""A bucket on moto's S3 server, inspected over HTTP without the project's own code."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from moto.s3.models import FakeMultipart
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Bucket:
    """A bucket; `env` holds the environment variables that a process needs to use it."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        """The value for FACEVITALS_STORE_URL."""
        return f"s3://{self.name}/prefix"

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "AKIDTESTONLY",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t-test-only",
            "AWS_REGION": "us-east-1",
        }

    def all_keys(self) -> list[str]:
        listing = httpx.get(f"{self.endpoint}/{self.name}", params={"list-type": "2"}).text
        return re.findall(r"<Key>([^<]+)</Key>", listing)

    def unfinished(self) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        return re.findall(r"<Key>([^<]+)</Key>", httpx.get(f"{self.endpoint}/{self.name}?uploads").text)

    def keep_versions(self) -> None:
        """Turn on versioning, so that deleted objects stay visible."""
        state = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        httpx.put(f"{self.endpoint}/{self.name}?versioning", content=state).raise_for_status()

    def versions(self) -> list[str]:
        """Keys of all versions, deleted ones included."""
        return re.findall(r"<Key>([^<]+)</Key>", httpx.get(f"{self.endpoint}/{self.name}?versions").text)

    def read(self, key: str) -> bytes:
        return httpx.get(f"{self.endpoint}/{self.name}/{key}").content


@contextmanager
def s3_server(port: int = 0) -> Iterator[str]:
    """Run the server for the length of the block; yield its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        _report_upload_times(patch)
        try:
            host, bound = server.get_host_and_port()
            yield f"http://{host}:{bound}"
        finally:
            server.stop()


def _report_upload_times(patch: pytest.MonkeyPatch) -> None:
    """Correct the time at which multipart uploads began: moto reports 2010 for all of them."""
    begun: dict[str, str] = {}
    begin, answer = FakeMultipart.__init__, S3Response.list_multipart_uploads

    def begin_now(upload: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        begin(upload, *args, **kwargs)
        begun[upload.id] = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"

    def answer_with_begun_times(response: Any) -> Any:  # noqa: ANN401
        status, headers, body = answer(response)
        for upload, time in begun.items():
            body = re.sub(
                rf"(<UploadId>{upload}</UploadId>.*?<Initiated>)[^<]*", rf"\g<1>{time}", str(body), flags=re.DOTALL
            )
        return status, headers, body

    patch.setattr(FakeMultipart, "__init__", begin_now)
    patch.setattr(S3Response, "list_multipart_uploads", answer_with_begun_times)


def make_bucket(endpoint: str, name: str, patch: pytest.MonkeyPatch) -> Bucket:
    """Create a bucket, with access for this process and its children."""
    bucket = Bucket(endpoint, name)
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    for variable, value in bucket.env.items():
        patch.setenv(variable, value)
    return bucket
