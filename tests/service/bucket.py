"""A bucket on a real S3-speaking server (moto's), looked at past our own code."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Bucket:
    """One bucket; `env` is what a process needs to use it."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        """As FACEVITALS_STORE_URL names it."""
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

    def read(self, key: str) -> bytes:
        return httpx.get(f"{self.endpoint}/{self.name}/{key}").content


@contextmanager
def s3_server(port: int = 0) -> Iterator[str]:
    """The server's address, for the length of the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, bound = server.get_host_and_port()
        yield f"http://{host}:{bound}"
    finally:
        server.stop()


def make_bucket(endpoint: str, name: str, patch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, which this process and its children may use."""
    bucket = Bucket(endpoint, name)
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    for variable, value in bucket.env.items():
        patch.setenv(variable, value)
    return bucket
