"""Gender by a vision-language model, against servers that follow Ollama's protocol or violate it."""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from shared.schemas import Gender, VitalStatus
from shared.vitals import Reason
from workers.face.portraits import Portrait
from workers.vision.age_gender.ollama import (
    COOLDOWN_S,
    MAX_FAILURES,
    CircuitBreaker,
    NoAnswer,
    OllamaGender,
    OllamaOptions,
    prefer_remote,
)

Answer = tuple[int, bytes]


def response_with(text: str, **more: object) -> Answer:
    return 200, json.dumps({"model": "llava:13b", "response": text, "done": True} | more).encode()


class Server(ThreadingHTTPServer):
    """Respond to `/api/generate` with `answer`, and record the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[], Answer] = lambda: response_with('{"gender": "female"}')
        self.drip_s = 0.0
        self.timeout_s = 20.0

    @property
    def options(self) -> OllamaOptions:
        return OllamaOptions(f"http://127.0.0.1:{self.server_address[1]}", "llava:13b", timeout_s=self.timeout_s)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request | {"path": self.path})
        status, body = self.server.answer()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not self.server.drip_s:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(self.server.drip_s)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def portrait(quality: float, level: int) -> Portrait:
    rgb = np.full((900, 700, 3), (level, 0, 0), np.uint8)
    return Portrait(0.0, rgb, np.zeros((478, 2), np.float32), quality, 1.0, quality)


PORTRAITS = [portrait(0.2, 10), portrait(0.9, 200), portrait(0.5, 90)]


def test_the_best_portrait_is_sent_with_a_json_schema(server: Server) -> None:
    assert OllamaGender(server.options)(PORTRAITS) == "female"
    (request,) = server.requests
    assert request["path"] == "/api/generate"
    assert (request["model"], request["stream"], request["keep_alive"]) == ("llava:13b", False, "30m")
    assert request["format"]["properties"]["gender"]["enum"] == ["female", "male", "unknown"]
    (image,) = request["images"]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(image, validate=True), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape) <= 512
    assert abs(int(picture[..., 2].mean()) - 200) < 5


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (response_with("She looks female."), "no JSON"),
        (response_with('{"gender": "woman"}'), "none of those"),
        (response_with('["female"]'), "no JSON object"),
        (response_with('{"gender": "unknown"}'), "did not choose a gender"),
        (response_with("I'm sorry, I can't identify people."), "no JSON"),
        (response_with('{"gender": "male"}', done=False), "no finished response"),
        ((200, b'{"error": "out of memory"}'), "no finished response"),
        ((200, b"<html>"), "no JSON"),
        ((500, b'{"error": "llama runner process has terminated"}'), "answered 500"),
        ((404, b'{"error": "model \'llava:13b\' not found, try pulling it first"}'), "ollama pull llava:13b"),
        ((200, b" " * 100_000), "too long"),
    ],
)
def test_an_unusable_answer_raises_with_its_reason(server: Server, answer: Answer, message: str) -> None:
    server.answer = lambda: answer
    with pytest.raises(NoAnswer, match=message):
        OllamaGender(server.options)(PORTRAITS)


def test_a_slow_server_ends_at_the_time_out(server: Server) -> None:
    over = threading.Event()

    def late() -> Answer:
        over.wait(60)
        return response_with('{"gender": "male"}')

    server.answer, server.timeout_s = late, 1
    with pytest.raises(NoAnswer, match="within 1 s"):
        OllamaGender(server.options)(PORTRAITS)
    over.set()


def test_a_slowly_sent_body_ends_at_the_time_out(server: Server) -> None:
    server.drip_s, server.timeout_s = 0.9, 1
    with pytest.raises(NoAnswer, match="within 1 s"):
        OllamaGender(server.options)(PORTRAITS)


def test_a_slowly_sent_header_ends_at_the_time_out() -> None:
    """Every read returns in time, and the header never ends."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Dripping: ")
                while not over.wait(0.2):
                    connection.sendall(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        # Ends the test when it fails.
        end = threading.Timer(45, over.set)
        end.start()
        options = OllamaOptions(f"http://127.0.0.1:{listener.getsockname()[1]}", "llava:13b", timeout_s=1)
        with pytest.raises(NoAnswer, match="within 1 s"):
            OllamaGender(options)(PORTRAITS)
        # The client has closed the connection.
        thread.join(30)
        assert not over.is_set()
        end.cancel()


def test_an_unreachable_server_gives_no_answer() -> None:
    closed = Server()
    closed.server_close()
    with pytest.raises(NoAnswer, match="can't be reached"):
        OllamaGender(closed.options)(PORTRAITS)


def test_repeated_failures_pause_requests_until_the_cooldown_ends(server: Server) -> None:
    now_s = 0.0
    model = OllamaGender(server.options, CircuitBreaker(clock=lambda: now_s))
    server.answer = lambda: (500, b"{}")
    for _ in range(MAX_FAILURES):
        with pytest.raises(NoAnswer, match="answered 500"):
            model(PORTRAITS)
    with pytest.raises(NoAnswer, match="no requests for a minute"):
        model(PORTRAITS)
    assert len(server.requests) == MAX_FAILURES
    now_s = COOLDOWN_S + 1
    with pytest.raises(NoAnswer, match="answered 500"):
        model(PORTRAITS)
    with pytest.raises(NoAnswer, match="no requests for a minute"):
        model(PORTRAITS)
    now_s = 2 * COOLDOWN_S + 3
    server.answer = lambda: response_with('{"gender": "male"}')
    assert model(PORTRAITS) == "male"
    assert model(PORTRAITS) == "male"


def local(value: Literal["female", "male"] | None) -> Gender:
    if value is None:
        return Gender.without_value(None, VitalStatus.ABSTAINED, Reason.ESTIMATORS_DISAGREE, "Not telling.")
    return Gender(value=value, unit=None, status=VitalStatus.OK, probability=0.9)


def test_the_remote_answer_is_preferred_and_names_its_model(server: Server) -> None:
    model = OllamaGender(server.options)
    vital = prefer_remote(model, PORTRAITS, local("male"))
    assert (vital.value, vital.status, vital.probability) == ("female", VitalStatus.EXPERIMENTAL, None)
    assert vital.method is not None
    assert vital.method.models == ["llava:13b"]
    assert vital.detail == "The local models' answer is male."
    assert prefer_remote(model, PORTRAITS, local("female")).detail is None
    server.answer = lambda: (500, b"{}")
    fallback = prefer_remote(model, PORTRAITS, local("male"))
    assert (fallback.value, fallback.status, fallback.probability) == ("male", VitalStatus.OK, 0.9)
    assert "answered 500; the local models answered" in (fallback.detail or "")
    assert prefer_remote(model, PORTRAITS, local(None)).status is VitalStatus.ABSTAINED


def test_warming_up_sends_no_image(server: Server) -> None:
    OllamaGender(server.options).warm_up().join(5)
    (request,) = server.requests
    assert request["prompt"] == ""
    assert "images" not in request
    closed = Server()
    closed.server_close()
    OllamaGender(closed.options).warm_up().join(5)
