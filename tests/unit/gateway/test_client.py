"""The client where something else answers: a captive portal, a proxy, a connection that ends too soon."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facevitals import client
from facevitals.cli import app
from facevitals.client import RESUMES, Client, ClientError, ServerEvent

DONE = json.loads((Path(__file__).parents[3] / "web/src/fixtures/succeeded.json").read_text())
PAGE = "<!doctype html><title>Sign in</title>"
INVALID_BODIES = [PAGE, "", "null", "[]", '"ok"', "{}", json.dumps({"id": 7}), json.dumps(DONE)[:300], "[" * 100_000]
Answer = Callable[[str, str], tuple[int, str]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], str]]:
    """A server on loopback with the given answers; there are no pauses between tries."""
    monkeypatch.setattr(client, "PAUSE_S", 0)
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = answer(self.command, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"clip")
    return path


@pytest.mark.parametrize("body", [*INVALID_BODIES, json.dumps({"id": "../\n"})], ids=lambda body: body[:20])
def test_a_response_that_is_not_a_gateways_fails_the_submission_with_a_reason(
    serve: Callable[[Answer], str], clip: Path, body: str
) -> None:
    url = serve(lambda *_: (202, body))
    with pytest.raises(ClientError, match="not as a gateway"):
        Client(url).submit(clip)
    # The command ends with one sentence and without a traceback.
    result = CliRunner().invoke(app.app, ["submit", str(clip), "--url", url])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("body", INVALID_BODIES)
def test_a_few_invalid_responses_are_retried(serve: Callable[[Answer], str], body: str) -> None:
    invalid = iter([body] * (RESUMES - 1))

    def answer(_: str, path: str) -> tuple[int, str]:
        return (200, body) if path.endswith("/events") else (200, next(invalid, json.dumps(DONE)))

    events: list[ServerEvent] = []
    assert Client(serve(answer)).follow("x", events.append).state == "succeeded"
    assert events == []


@pytest.mark.parametrize("body", INVALID_BODIES)
def test_persistent_invalid_responses_fail_with_a_reason(serve: Callable[[Answer], str], body: str) -> None:
    with pytest.raises(ClientError, match="not as a gateway"):
        Client(serve(lambda *_: (200, body))).follow("x", lambda _: None)


@pytest.mark.parametrize("data", ["null", "[]", "7", "<p>", '{"name":'])
def test_invalid_events_are_ignored(serve: Callable[[Answer], str], data: str) -> None:
    stream = f'event: vital\ndata: {data}\n\nevent: state\ndata: {{"state":"running"}}\n\nevent: done\ndata: {{}}\n\n'
    url = serve(lambda _, path: (200, stream if path.endswith("/events") else json.dumps(DONE)))
    events: list[ServerEvent] = []
    Client(url).follow("x", events.append)
    assert [event.name for event in events] == ["state", "done"]


def test_an_event_with_missing_fields_does_not_end_the_command(serve: Callable[[Answer], str], clip: Path) -> None:
    invalid = "".join(
        f"event: {name}\ndata: {data}\n\n"
        for name in ("stage", "vital")
        for data in ("{}", '{"vital": null}', '{"name": "age", "vital": {"value": {}}}', '{"branch": 1, "stage": 2}')
    )
    stream = invalid + "event: done\ndata: {}\n\n"
    url = serve(
        lambda method, path: (
            (202, json.dumps(DONE))
            if method == "POST"
            else (200, stream if path.endswith("/events") else json.dumps(DONE))
        )
    )
    result = CliRunner().invoke(app.app, ["submit", str(clip), "--url", url])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("body", ["null", "[]", '"no"', PAGE, '{"title": 7}'])
def test_a_refusal_without_a_detail_is_reported_by_its_status(
    serve: Callable[[Answer], str], clip: Path, body: str
) -> None:
    with pytest.raises(ClientError, match="503"):
        Client(serve(lambda *_: (503, body))).submit(clip)


def test_events_that_repeat_without_progress_come_to_an_end(serve: Callable[[Answer], str]) -> None:
    stream = 'id: 1-0\nevent: stage\ndata: {"stage": "decoding"}\n\n'
    events: list[ServerEvent] = []

    def answer(_: str, path: str) -> tuple[int, str]:
        if len(events) > 10 * RESUMES:
            return 404, PAGE
        return (200, stream) if path.endswith("/events") else (200, json.dumps(DONE))

    assert Client(serve(answer)).follow(DONE["id"], events.append).state.is_final
    assert len(events) <= 2 * RESUMES


@pytest.mark.parametrize("name", ["[bold]clip.mp4", "[/x] clip.mp4"])
def test_a_file_name_is_printed_without_markup(name: str) -> None:
    result = CliRunner().invoke(app.app, ["submit", name, "--url", "http://127.0.0.1:1"])
    assert isinstance(result.exception, SystemExit), result.exception
    assert name in result.output


@pytest.mark.parametrize("job_id", ["../../metrics", "..", "x?retain_clip=true", "x#y"])
def test_an_id_never_leads_to_another_path(serve: Callable[[Answer], str], job_id: str) -> None:
    paths: list[str] = []

    def answer(_: str, path: str) -> tuple[int, str]:
        paths.append(path)
        return 404, "{}"

    with Client(serve(answer)) as gateway:
        for call in (gateway.get, gateway.waveforms, lambda job: list(gateway.events(job))):
            with pytest.raises(ClientError):
                call(job_id)
    assert [path.split("/")[:3] for path in paths] == [["", "v1", "jobs"]] * 3
    assert [path.count("/") for path in paths] == [3, 4, 4]
    assert not any(mark in path for path in paths for mark in "?#")
