"""`/docs` and the OpenAPI document: nothing is loaded from other servers, and generators can read it."""

import json
import re
import subprocess
from collections.abc import Iterator
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.problems import ApiProblem, ProblemDetails, ProblemType
from shared.schemas import EVENTS, ErrorCode, JobState
from shared.settings import Settings
from shared.vitals import CheckName, Reason, Stage, VitalName
from tests.service.conftest import Service, end_service, new_service

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "web/openapi/node_modules/.bin/openapi-typescript"
PAGES = ("/", "/docs")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = new_service(tmp_path_factory.mktemp("docs") / "service")
    yield service
    end_service(service)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    document: dict[str, Any] = create_app(Settings(redis_url="redis://127.0.0.1:1/0")).openapi()
    return document


class _Loads(HTMLParser):
    """The files that a page loads, and its inline parts."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in {"script", "img", "iframe", "link"} and (source := named.get("src") or named.get("href")):
            self.loaded.append(source)
        if tag == "style" or (tag == "script" and "src" not in named) or "style" in named:
            self.inline.append(tag)
        self.inline += [name for name in named if name.startswith("on")]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_and_its_files_are_served_locally_under_a_strict_policy(service: Service, path: str) -> None:
    with service.client() as client:
        page = client.get(path)
        policy = page.headers["content-security-policy"]
        directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert set(" ".join(directives.values()).split()) <= {"'none'", "'self'", "data:"}
        assert directives["script-src"] == "'self'"
        loads = _Loads()
        loads.feed(page.text)
        assert loads.inline == []
        for source in loads.loaded:
            assert not re.match(r"(https?:)?//", source), source
            answer = client.get(httpx.URL(service.url + path).join(source))
            assert answer.status_code == 200, source
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_api_viewer_has_its_files(service: Service) -> None:
    with service.client() as client:
        loads = _Loads()
        loads.feed(client.get("/docs").text)
        scripts = [source for source in loads.loaded if source.endswith(".js")]
        assert len(scripts) == 2
        kinds = {client.get(f"/{source}").headers["content-type"].partition(";")[0] for source in scripts}
        assert kinds == {"text/javascript"}
        assert client.get("/docs/oauth2-redirect").status_code == 404
        assert client.get("/docs/main.py").status_code == 404


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref" and isinstance(inner, str):
                yield inner
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    references = set(_references(document))
    assert len(references) > 10
    for reference in references:
        place: Any = document
        assert reference.startswith("#/"), reference
        for part in reference[2:].split("/"):
            assert part in place, reference
            place = place[part]


def test_every_call_that_needs_a_key_declares_it(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            needs_one = "401" in operation["responses"]
            assert bool(operation.get("security")) is needs_one, path
            assert all(set(each) <= set(schemes) for each in operation.get("security", [])), path


def test_every_call_has_the_name_that_clients_use(document: dict[str, Any]) -> None:
    names = {
        (method, path): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert names == {
        ("post", "/v1/jobs"): "create_job",
        ("get", "/v1/jobs/{job_id}"): "get_job",
        ("delete", "/v1/jobs/{job_id}"): "delete_job",
        ("get", "/v1/jobs/{job_id}/events"): "stream_job_events",
        ("get", "/v1/jobs/{job_id}/waveforms"): "get_job_waveforms",
        ("get", "/v1/jobs/{job_id}/fhir"): "get_job_fhir",
        ("get", "/v1/models"): "list_models",
        ("post", "/save_video"): "save_video",
        ("get", "/livez"): "get_livez",
        ("get", "/readyz"): "get_readyz",
        ("get", "/metrics"): "get_metrics",
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ProblemType", ProblemType),
        ("Reason", Reason),
        ("ErrorCode", ErrorCode),
        ("CheckName", CheckName),
        ("VitalName", VitalName),
        ("Stage", Stage),
        ("JobState", JobState),
    ],
)
def test_closed_lists_are_enums(document: dict[str, Any], name: str, values: type[StrEnum]) -> None:
    assert document["components"]["schemas"][name]["enum"] == list(values)


def test_every_error_names_the_types_of_problem_that_it_can_be(document: dict[str, Any]) -> None:
    seen = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/problem+json")
                if content is None:
                    # `/save_video` and `/readyz` answer errors in a format of their own.
                    assert int(status) < 400 or path in {"/save_video", "/readyz"}, (method, path, status)
                    continue
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
                for example in content["examples"].values():
                    problem = ProblemDetails.model_validate(example["value"])
                    assert problem.status == int(status)
                    seen.add(problem.type)
    raised = {problem.type for problem in ApiProblem.__subclasses__()}
    # Problems that come before a request reaches its call, and those of the framework and the proxy.
    before = {ProblemType.BAD_REQUEST, ProblemType.HEADER_TOO_LARGE}
    assert seen == raised - before
    others = {"INTERNAL", "NOT_FOUND", "METHOD_NOT_ALLOWED", "TOO_MANY_REQUESTS", "GATEWAY_AWAY", "ABOUT_BLANK"}
    assert set(ProblemType) == seen | before | {ProblemType[name] for name in others}


def test_every_event_has_a_schema_of_its_own(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    mapping = content["schema"]["discriminator"]["mapping"]
    assert list(mapping) == list(EVENTS)
    assert [one["$ref"] for one in content["schema"]["oneOf"]] == list(mapping.values())
    schemas = document["components"]["schemas"]
    for name, reference in mapping.items():
        sent = schemas[reference.rpartition("/")[2]]["properties"]
        assert sent["event"] == {"const": name}
        assert sent["data"]["contentSchema"] == {"$ref": f"#/components/schemas/{EVENTS[name].__name__}"}


def test_no_response_is_fastapis_own_validation_error(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert "ValidationError" not in text
    assert "422" not in document["webhooks"]["job-ended"]["post"]["responses"]


@pytest.mark.skipif(not GENERATOR.exists(), reason="the generator is not installed: make test-web")
def test_a_typescript_client_is_generated_from_it(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    generate = [str(GENERATOR), str(tmp_path / "openapi.json"), "-o", str(tmp_path / "client.ts")]
    check = [str(GENERATOR.with_name("tsc")), "--noEmit", "--strict", str(tmp_path / "client.ts")]
    for command in (generate, check):
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
    assert "JobDocument" in (tmp_path / "client.ts").read_text()


@pytest.mark.skipif(not GENERATOR.exists(), reason="the generator is not installed: make test-web")
def test_the_typescript_types_of_the_page_are_current(tmp_path: Path) -> None:
    written = tmp_path / "openapi.ts"
    subprocess.run(["bash", ROOT / "tools" / "web_types.sh", written], check=True, capture_output=True, timeout=120)
    assert written.read_text() == (ROOT / "web/src/api/openapi.ts").read_text(), "run: make web-types"
