"""Requests that try to exhaust a gateway: `python -m facevitals.bench.floods --port 8000 --pid PID --seconds 60`.

Each attack runs on many connections at once and reopens those that the gateway closes, while another client calls
`/livez`. The last line printed is one JSON object: for each attack its responses, the gateway's largest resident
memory in MB, and the slowest response of `/livez` in seconds.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, repeat
from typing import Final

import httpx

from facevitals.bench.process_usage import resident_mb

#: The output of an attack: bytes to send, or seconds of silence.
Pieces = Iterator[bytes | float]

_BLOCK: Final = b"a" * 65_536
_MP4: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def _post(*lines: str, length: int | None = 200_000_000) -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join(["POST /v1/jobs HTTP/1.1", "Host: 127.0.0.1", framing, *lines, "", ""]).encode()


def _form(pieces: Iterable[bytes]) -> Pieces:
    """A form without a declared length: with 200 MB of it, the length alone would be refused."""
    yield _post("Content-Type: multipart/form-data; boundary=x", length=None)
    yield from (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def _part(name: str, *lines: str) -> bytes:
    head = [f'Content-Disposition: form-data; name="{name}"', *lines]
    return "\r\n".join(["--x", *head, "", ""]).encode()


def one_huge_header() -> Pieces:
    """A header line that never ends."""
    yield b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: "
    yield from repeat(_BLOCK)


def many_headers() -> Pieces:
    """Header lines that never end."""
    yield b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    yield from (b"".join(b"X-%d-%d: v\r\n" % (block, n) for n in range(4000)) for block in count())


def huge_request_line() -> Pieces:
    """An address that never ends."""
    yield b"GET /livez?"
    yield from repeat(_BLOCK)


def slow_header() -> Pieces:
    """A byte of a header each second."""
    yield b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    for _ in count():
        yield b"a"
        yield 1.0


def silence() -> Pieces:
    """A connection on which nothing is sent."""
    yield 3600.0


def pipelined() -> Pieces:
    """Requests that do not wait for their answers."""
    yield from repeat(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 5000)


def slow_body() -> Pieces:
    """A clip that comes by a byte each second, after a first part that is held in memory."""
    yield _post(length=40_000_000) + _MP4 + b"\x00" * 1_000_000
    for _ in count():
        yield b"\x00"
        yield 1.0


def stalled_body() -> Pieces:
    """A clip that stops in the middle."""
    yield _post(length=40_000_000) + _MP4 + b"\x00" * 1_000_000
    yield 3600.0


def unknown_fields() -> Pieces:
    """Form fields with unknown names."""
    one_block = (b"".join(_part(f"f{n}-{k}") + b"v" * 4000 + b"\r\n" for k in range(16)) for n in count())
    yield from _form(one_block)


def repeated_fields() -> Pieces:
    """One known form field, again and again."""
    yield from _form(repeat((_part("vitals") + b"heart_rate" + b"\r\n") * 500))


def long_field() -> Pieces:
    """A known form field that never ends."""
    yield from _form(chain([_part("vitals")], repeat(_BLOCK)))


def preamble() -> Pieces:
    """A form whose first part never begins."""
    yield from _form(repeat(b"\r\n" + _BLOCK))


def epilogue() -> Pieces:
    """A form that goes on after its last part."""
    yield from _form(chain([_part("clip") + _MP4 + b"\r\n--x--\r\n"], repeat(_BLOCK)))


def endless_part_header() -> Pieces:
    """A header of a form's part that never ends."""
    yield from _form(chain([b"--x\r\nX-Long: "], repeat(_BLOCK)))


def many_part_headers() -> Pieces:
    """Headers of a form's part that never end."""
    yield from _form(chain([b"--x\r\n"], repeat(b"X-Many: v\r\n" * 4000)))


def endless_chunks() -> Pieces:
    """A clip without a declared length that never ends."""
    yield _post(length=None) + b"%x\r\n%b\r\n" % (len(_MP4), _MP4)
    yield from repeat(b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK))


def tiny_chunks() -> Pieces:
    """The same by single bytes, so that the framing outweighs the body."""
    yield _post(length=None) + b"%x\r\n%b\r\n" % (len(_MP4), _MP4)
    yield from repeat(b"1\r\na\r\n" * 10_000)


def chunk_extension() -> Pieces:
    """The extension of a chunk that never ends."""
    yield _post(length=None) + b"1;x="
    yield from repeat(_BLOCK)


def trailers() -> Pieces:
    """A header line after the last chunk that never ends."""
    yield _post(length=None) + b"%x\r\n%b\r\n0\r\nX-Trailer: " % (len(_MP4), _MP4)
    yield from repeat(_BLOCK)


def body_of_a_get() -> Pieces:
    """200 MB with a call that takes no body."""
    yield b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000000\r\n\r\n"
    yield from repeat(_BLOCK)


def body_to_nowhere() -> Pieces:
    """200 MB to an address that does not exist."""
    yield b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000000\r\n\r\n"
    yield from repeat(_BLOCK)


#: Number of connections by attack: few for those that send many bytes, many for those that wait.
ATTACKS: Final[dict[Callable[[], Pieces], int]] = {
    one_huge_header: 8,
    many_headers: 8,
    huge_request_line: 8,
    slow_header: 400,
    silence: 400,
    pipelined: 16,
    slow_body: 400,
    stalled_body: 400,
    unknown_fields: 16,
    repeated_fields: 16,
    long_field: 16,
    preamble: 16,
    epilogue: 16,
    endless_part_header: 16,
    many_part_headers: 16,
    endless_chunks: 100,
    tiny_chunks: 16,
    chunk_extension: 16,
    trailers: 16,
    body_of_a_get: 16,
    body_to_nowhere: 16,
}


@dataclass
class Effect:
    """Responses to an attack, and its effect on the gateway."""

    answers: Counter[str] = field(default_factory=Counter)
    peak_mb: float = 0.0
    slowest_livez_s: float = 0.0
    livez_failures: int = 0


async def _attack_once(attack: Callable[[], Pieces], port: int, answers: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(_read_answers(reader))
    try:
        for piece in attack():
            if reading.done():
                break
            if isinstance(piece, float):
                await asyncio.wait((reading,), timeout=piece)
                continue
            writer.write(piece)
            await writer.drain()
            # `drain` alone need not let the answer be read.
            await asyncio.sleep(0)
        await asyncio.wait((reading,), timeout=5)
    except ConnectionError:
        # Earlier responses may still be in the buffer.
        await asyncio.wait((reading,), timeout=1)
    finally:
        answers[reading.result() if reading.done() else "none"] += 1
        reading.cancel()
        writer.transport.abort()


async def _read_answers(reader: asyncio.StreamReader) -> str:
    """The status of the last answer before the connection was closed."""
    status = "closed"
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(65_536):
            if at := block.rfind(b"HTTP/1.1 ") + 1:
                status = block[at + 8 : at + 11].decode()
    return status


async def _attack(attack: Callable[[], Pieces], port: int, seconds: float, answers: Counter[str]) -> None:
    async def repeat() -> None:
        while True:
            try:
                await _attack_once(attack, port, answers)
            except OSError:
                answers["refused"] += 1
                await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(repeat()) for _ in range(ATTACKS[attack])]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _call_livez(port: int, seconds: float, effect: Effect) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{port}/livez")
            effect.livez_failures += answer.status_code != 200
        except httpx.HTTPError:
            effect.livez_failures += 1
        effect.slowest_livez_s = max(effect.slowest_livez_s, time.monotonic() - begun)
        await asyncio.sleep(0.2)


async def _watch_memory(pid: int, effect: Effect) -> None:
    while True:
        effect.peak_mb = max(effect.peak_mb, resident_mb(pid))
        await asyncio.sleep(0.05)


async def run(attack: Callable[[], Pieces], port: int, pid: int, seconds: float) -> Effect:
    """Attack the gateway at `port` of loopback, whose process is `pid` (Linux), for `seconds`."""
    effect = Effect()
    watching = asyncio.create_task(_watch_memory(pid, effect))
    # In a thread with a loop of its own: the attack must not delay what is measured.
    attacking = asyncio.to_thread(lambda: asyncio.run(_attack(attack, port, seconds, effect.answers)))
    await asyncio.gather(attacking, _call_livez(port, seconds, effect))
    watching.cancel()
    return effect


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m facevitals.bench.floods", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the gateway on loopback")
    parser.add_argument("--pid", type=int, required=True, help="of the gateway's process")
    parser.add_argument("--seconds", type=float, default=60, help="for each attack")
    parser.add_argument("--only", default="", help="the attacks whose names contain this")
    options = parser.parse_args()
    summary = {}
    for attack in ATTACKS:
        if options.only not in attack.__name__:
            continue
        effect = asyncio.run(run(attack, options.port, options.pid, options.seconds))
        summary[attack.__name__] = {
            "peak_mb": round(effect.peak_mb),
            "slowest_livez_s": round(effect.slowest_livez_s, 2),
            "livez_failures": effect.livez_failures,
            "answers": dict(effect.answers.most_common(5)),
        }
        sys.stdout.write(f"{attack.__name__:<20} {summary[attack.__name__]}\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()
