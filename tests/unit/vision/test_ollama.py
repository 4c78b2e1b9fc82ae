"""Gender by a vision model: against a server that speaks Ollama's protocol, well and badly."""

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

from shared.schemas import Vital, VitalStatus
from shared.vitals import Reason
from workers.face.portraits import Portrait
from workers.vision.age_gender.ollama import FAILURES, REST_S, Breaker, NoAnswer, OllamaGender, OllamaOptions, asked

Answer = tuple[int, bytes]


def said(text: str, **more: object) -> Answer:
    return 200, json.dumps({"model": "llava:13b", "response": text, "done": True} | more).encode()


class Server(ThreadingHTTPServer):
    """Answers `/api/generate` by `answer`, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[], Answer] = lambda: said('{"gender": "female"}')
        self.drip_s = 0.0
        self.timeout_s = 20.0

    @property
    def options(self) -> OllamaOptions:
        return OllamaOptions(f"http://127.0.0.1:{self.server_address[1]}", "llava:13b", timeout_s=self.timeout_s)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question | {"path": self.path})
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


def test_the_best_portrait_is_asked_about_and_json_is_asked_for(server: Server) -> None:
    assert OllamaGender(server.options)(PORTRAITS) == "female"
    (question,) = server.asked
    assert question["path"] == "/api/generate"
    assert (question["model"], question["stream"], question["keep_alive"]) == ("llava:13b", False, "30m")
    assert question["format"]["properties"]["gender"]["enum"] == ["female", "male", "unknown"]
    (image,) = question["images"]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(image, validate=True), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape) <= 512
    assert abs(int(picture[..., 2].mean()) - 200) < 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (said("She looks female."), "no JSON"),
        (said('{"gender": "woman"}'), "none of those"),
        (said('["female"]'), "no JSON object"),
        (said('{"gender": "unknown"}'), "could not tell"),
        (said("I'm sorry, I can't identify people."), "no JSON"),
        (said('{"gender": "male"}', done=False), "no finished response"),
        ((200, b'{"error": "out of memory"}'), "no finished response"),
        ((200, b"<html>"), "no JSON"),
        ((500, b'{"error": "llama runner process has terminated"}'), "answered 500"),
        ((404, b'{"error": "model \'llava:13b\' not found, try pulling it first"}'), "ollama pull llava:13b"),
        ((200, b" " * 100_000), "far more"),
    ],
)
def test_whatever_is_wrong_with_an_answer_is_said(server: Server, answer: Answer, why: str) -> None:
    server.answer = lambda: answer
    with pytest.raises(NoAnswer, match=why):
        OllamaGender(server.options)(PORTRAITS)


def test_a_slow_server_costs_no_more_than_its_time(server: Server) -> None:
    over = threading.Event()

    def late() -> Answer:
        over.wait(60)
        return said('{"gender": "male"}')

    server.answer, server.timeout_s = late, 1
    begun = time.monotonic()
    with pytest.raises(NoAnswer, match="within 1 s"):
        OllamaGender(server.options)(PORTRAITS)
    assert time.monotonic() - begun < 30
    over.set()


def test_nor_does_one_that_drips(server: Server) -> None:
    server.drip_s, server.timeout_s = 0.9, 1
    begun = time.monotonic()
    with pytest.raises(NoAnswer, match="within 1 s"):
        OllamaGender(server.options)(PORTRAITS)
    # It would take a minute to say it all.
    assert time.monotonic() - begun < 30


def test_nor_does_one_whose_head_drips() -> None:
    """Each read gets its byte in time, and no status or body ever comes."""
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
        # A test that fails must end too.
        end = threading.Timer(45, over.set)
        end.start()
        options = OllamaOptions(f"http://127.0.0.1:{listener.getsockname()[1]}", "llava:13b", timeout_s=1)
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="within 1 s"):
            OllamaGender(options)(PORTRAITS)
        assert time.monotonic() - begun < 30
        # It hung up: nothing of ours goes on listening.
        thread.join(30)
        assert not over.is_set()
        end.cancel()


def test_nobody_there_is_no_answer() -> None:
    closed = Server()
    closed.server_close()
    with pytest.raises(NoAnswer, match="can't be reached"):
        OllamaGender(closed.options)(PORTRAITS)


def test_after_failures_in_a_row_it_is_left_alone_and_tried_again_later(server: Server) -> None:
    now_s = 0.0
    ask = OllamaGender(server.options, Breaker(clock=lambda: now_s))
    server.answer = lambda: (500, b"{}")
    for _ in range(FAILURES):
        with pytest.raises(NoAnswer, match="answered 500"):
            ask(PORTRAITS)
    with pytest.raises(NoAnswer, match="left alone"):
        ask(PORTRAITS)
    assert len(server.asked) == FAILURES
    now_s = REST_S + 1
    with pytest.raises(NoAnswer, match="answered 500"):
        ask(PORTRAITS)
    with pytest.raises(NoAnswer, match="left alone"):
        ask(PORTRAITS)
    now_s = 2 * REST_S + 3
    server.answer = lambda: said('{"gender": "male"}')
    assert ask(PORTRAITS) == "male"
    assert ask(PORTRAITS) == "male"


def local(value: Literal["female", "male"] | None) -> Vital:
    if value is None:
        return Vital.without_value(None, VitalStatus.ABSTAINED, Reason.ESTIMATORS_DISAGREE, "Not telling.")
    return Vital(value=value, unit=None, status=VitalStatus.OK, probability=0.9)


def test_the_answer_says_who_gave_it_and_what_the_others_say(server: Server) -> None:
    ask = OllamaGender(server.options)
    told = asked(ask, PORTRAITS, local("male"))
    assert (told.value, told.status, told.probability) == ("female", VitalStatus.EXPERIMENTAL, None)
    assert told.method is not None
    assert told.method.models == ["llava:13b"]
    assert told.detail == "The local models say male."
    assert asked(ask, PORTRAITS, local("female")).detail is None
    server.answer = lambda: (500, b"{}")
    fallen = asked(ask, PORTRAITS, local("male"))
    assert (fallen.value, fallen.status, fallen.probability) == ("male", VitalStatus.OK, 0.9)
    assert "answered 500; the local models answered" in (fallen.detail or "")
    assert asked(ask, PORTRAITS, local(None)).status is VitalStatus.ABSTAINED


def test_warming_up_asks_for_nothing_but_the_model(server: Server) -> None:
    OllamaGender(server.options).warm_up().join(5)
    (question,) = server.asked
    assert question["prompt"] == ""
    assert "images" not in question
    closed = Server()
    closed.server_close()
    OllamaGender(closed.options).warm_up().join(5)
