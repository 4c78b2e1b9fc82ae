"""A gateway without keys serves its own page and programs of its machine, and no pages of other origins."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service

LISTED = "https://app.example"
#: Every call that reads or changes jobs.
CALLS = (
    ("POST", "/v1/jobs"),
    ("POST", "/save_video"),
    ("GET", "/v1/models"),
    ("HEAD", "/v1/models"),
    *(("GET", f"/v1/jobs/{{job}}{part}") for part in ("", "/events", "/waveforms", "/fhir")),
    ("DELETE", "/v1/jobs/{job}"),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway that is open to its own machine, without workers."""
    service = new_service(tmp_path_factory.mktemp("opened") / "service", cors_origins=LISTED)
    yield service
    end_service(service)


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = new_service(tmp_path_factory.mktemp("open") / "service", cors_origins=LISTED, allow_open="true")
    yield service
    end_service(service)


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Host": ""}], ids=str)
def test_a_foreign_host_name_that_resolves_to_this_machine_is_refused(opened: Service, headers: dict[str, str]) -> None:
    job = opened.submit()
    with opened.client() as client:
        for method, path in CALLS:
            # As a page at that name would send it: its origin is its own host.
            own = {"Origin": f"http://{headers['Host']}", **headers}
            for sent in (headers, own):
                answer = client.request(method, path.format(job=job), content=b"", headers=sent)
                assert answer.status_code == 421, (method, path, sent)
        assert kind(client.get("/v1/models", headers=headers)) == (421, "wrong-host")
        old = client.post("/save_video", content=LOOKS_LIKE_MP4, headers=headers)
        assert (old.status_code, old.json()["success"]) == (421, False)
        assert client.get(f"/v1/jobs/{job}").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        *("localhost.evil.example", "127.0.0.1.evil.example", "evil.example@127.0.0.1", "127.0.0.1:8000.evil.example"),
        *("127.0.0.1/evil", "[::1].evil.example", "0x7f000001", "2130706433", "0.0.0.0", "10.0.0.1", "[::]", "a b"),
    ],
)
def test_host_names_that_resemble_loopback_are_refused(opened: Service, name: str) -> None:
    with opened.client() as client:
        assert client.get("/v1/models", headers={"Host": name}).status_code == 421


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_every_loopback_name_is_served_with_any_port_and_its_own_origin(opened: Service, name: str) -> None:
    with opened.client() as client:
        for host in (name, f"{name}:8000", f"{name}:{opened.port}"):
            for headers in ({}, {"Origin": f"http://{host.lower()}"}):
                answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers={"Host": host, **headers})
                assert answer.status_code == 202, (host, headers)


@pytest.mark.parametrize("service_name", ["opened", "open_to_all"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://app.example.evil.example"},
        {"Origin": "http://app.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_cannot_read_submit_or_delete(
    request: pytest.FixtureRequest, service_name: str, headers: dict[str, str]
) -> None:
    service: Service = request.getfixturevalue(service_name)
    job = service.submit()
    with service.client() as client:
        for method, path in CALLS:
            answer = client.request(method, path.format(job=job), headers=headers)
            assert answer.status_code == 403, (method, path)
        # Requests that a form of any page may send without a preflight.
        form = client.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, headers=headers)
        assert kind(form) == (403, "foreign-origin")
        assert client.get(f"/v1/jobs/{job}").status_code == 200
        # Any page may link to the gateway's page.
        assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("service_name", ["opened", "open_to_all"])
def test_listed_origins_the_own_page_and_programs_may_call(request: pytest.FixtureRequest, service_name: str) -> None:
    service: Service = request.getfixturevalue(service_name)
    own = f"http://127.0.0.1:{service.port}"
    with service.client() as client:
        for headers in (
            {},
            {"Origin": own},
            {"Origin": own, "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": LISTED, "Sec-Fetch-Site": "cross-site"},
        ):
            answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers)
            assert answer.status_code == 202, headers
            assert client.get(answer.headers["location"], headers=headers).status_code == 200
            assert client.delete(answer.headers["location"], headers=headers).status_code == 204


def test_a_gateway_open_to_all_serves_any_host_name_and_its_page_behind_tls(open_to_all: Service) -> None:
    with open_to_all.client() as client:
        for host, origin in (
            ("vitals.example", "https://vitals.example"),
            ("vitals.example:8443", "https://vitals.example:8443"),
            ("vitals.example:443", "https://vitals.example"),
            ("10.0.0.7:8000", "http://10.0.0.7:8000"),
        ):
            headers = {"Host": host, "Origin": origin}
            assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers).status_code == 202
        headers = {"Host": "vitals.example", "Origin": "https://vitals.example:8443"}
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=headers).status_code == 403


def test_the_host_names_of_an_open_gateway_can_be_restricted(make_service: Callable[..., Service]) -> None:
    service = make_service(allow_open="true", allow_hosts="Vitals.example, 10.0.0.7")
    with service.client() as client:
        for host, status in (
            *((name, 200) for name in ("vitals.example", "VITALS.example:8443", "10.0.0.7:8000", "localhost:1")),
            *((name, 421) for name in ("evil.example", "10.0.0.8", "vitals.example.evil.example")),
        ):
            assert client.get("/v1/models", headers={"Host": host}).status_code == status, host


def test_with_keys_required_host_and_origin_are_not_checked(make_service: Callable[..., Service]) -> None:
    service = make_service(api_keys="alpha")
    with service.client() as client:
        for headers in ({"Host": "vitals.example"}, {"Origin": "https://other.example"}, {"Origin": "null"}):
            assert client.get("/v1/models", headers={"X-API-Key": "alpha", **headers}).status_code == 200
            assert client.get("/v1/models", headers=headers).status_code == 401
