"""Every parameter of the API answers a value that is not allowed in one plain sentence."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from api.app import create_app
from shared.access.api_keys import new_webhook_secret
from shared.settings import Settings
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service

#: What belongs to a validation library or to a regular expression, and not into a sentence.
TECHNICAL: Final = re.compile(
    r"\^|\$|\\d|\[0-9|pattern|regex|Input should|String should|valid string|loc\b", re.IGNORECASE
)
LONG: Final = "x" * 5000
#: The first value that matches, without a search for a shorter one.
ONE: Final = settings(max_examples=1, database=None, phases=[Phase.generate])


@dataclass(frozen=True)
class Mistake:
    """One request with one mistake."""

    method: str
    path: str
    place: str
    name: str
    values: tuple[str, ...]
    is_ignored: bool

    @property
    def sent(self) -> str:
        """The beginning of the value as the gateway receives it; it reads headers as Latin-1."""
        value = self.values[0].encode().decode("latin-1") if self.place == "header" else self.values[0]
        return value[:50]

    def send(self, client: httpx.Client, job_id: str) -> httpx.Response:
        path = self.path.replace("{job_id}", self.values[0] if self.place == "path" else job_id)
        headers, query, form = [], [], {}
        if self.place == "header":
            headers = [(self.name.encode(), value.encode()) for value in self.values]
        if self.place == "query":
            query = [(self.name, value) for value in self.values]
        if self.place == "form":
            form = {self.name: list(self.values)}
        files = {"clip": LOOKS_LIKE_MP4} if self.place == "form" else None
        content = LOOKS_LIKE_MP4 if self.method == "post" and files is None else None
        url = httpx.URL(path, params=query)
        return client.request(self.method, url, headers=headers, content=content, files=files, data=form or None)


def allowed(schema: dict[str, Any]) -> str:
    """A value that the schema allows."""
    if "enum" in schema:
        return str(schema["enum"][0])
    if any(one.get("type") == "boolean" for one in schema.get("anyOf", [schema])):
        return "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pattern = re.compile(schema.get("pattern", "^x$"), re.ASCII)
        return str(find(st.from_regex(pattern, fullmatch=True), bool, settings=ONE))


def mistakes_in(schema: dict[str, Any], *, is_ignored: bool) -> Iterator[tuple[str, ...]]:
    """Values that the schema does not allow."""
    fine = allowed(schema)
    for value in ("nonsense!?", "", "1e999", LONG, "ünicode", f"{fine} ^"):
        is_short = len(value) <= schema.get("maxLength", len(value))
        if not (is_short and "pattern" in schema and re.search(schema["pattern"], value, re.ASCII)):
            yield (value,)
    if not is_ignored:
        yield (fine, fine)


def all_mistakes() -> list[Mistake]:
    document = create_app(Settings(redis_url="redis://127.0.0.1:1/0")).openapi()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts = [
                (parameter["in"], parameter["name"], parameter["schema"], parameter["description"])
                for parameter in operation.get("parameters", [])
            ]
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {})
            parts += [
                ("form", name, schema, schema.get("description", ""))
                for name, schema in form.get("schema", {}).get("properties", {}).items()
                if schema.get("format") != "binary"
            ]
            for place, name, schema, description in parts:
                is_ignored = "ignored" in description
                found += [
                    Mistake(method, path, place, name, values, is_ignored)
                    for values in mistakes_in(schema, is_ignored=is_ignored)
                    if place != "path" or (values[0] not in {"", LONG} and len(values) == 1)
                ]
    return found


MISTAKES: Final = all_mistakes()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("parameters") / "service"
    service = new_service(folder, webhook_secret=new_webhook_secret(), max_queued=1000)
    yield service
    end_service(service)


def test_every_place_of_a_parameter_is_tried() -> None:
    assert {mistake.place for mistake in MISTAKES} == {"path", "query", "header", "form"}
    names = {mistake.name.lower() for mistake in MISTAKES}
    assert names >= {"job_id", "vitals", "retain_clip", "webhook_url", "idempotency-key", "prefer", "last-event-id"}


def test_an_invalid_parameter_is_reported_with_its_value_and_the_allowed_ones(service: Service) -> None:
    job_id = service.submit()
    with service.client() as client:
        assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
        for mistake in MISTAKES:
            answer = mistake.send(client, job_id)
            where = f"{mistake} {answer.text}"
            body = answer.json() if answer.content else {}
            if mistake.place == "path" or mistake.is_ignored:
                assert (answer.status_code, body["type"].rpartition(":")[2]) == (404, "unknown-job"), where
                continue
            detail = body.get("detail") or body["message"].partition(". ")[2]
            assert answer.status_code == 422, where
            assert "type" not in body or body["type"].endswith(":bad-parameter"), where
            assert mistake.name.lower() in detail.lower(), where
            assert " takes " in detail or "may be sent once" in detail, where
            assert re.fullmatch(r"[^\n]{1,500}\.", detail), where
            assert not TECHNICAL.search(detail.replace(repr(mistake.values[0]), "")), where
            assert repr(mistake.sent)[1:-1] in detail, where


def test_a_list_of_vitals_in_the_query_has_no_empty_name(service: Service) -> None:
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"vitals": "age,"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("'age,' has a name that is empty. `vitals` takes a comma-separated list")


def test_the_sentence_about_an_unknown_vital_names_it_and_the_vitals(service: Service) -> None:
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"vitals": "age,heartrate"})
    assert answer.json()["detail"] == (
        "'heartrate' is not a vital. `vitals` takes a comma-separated list of: heart_rate, respiration_rate, "
        "heart_rate_variability, oxygen_saturation, stress, age, gender, bmi."
    )
