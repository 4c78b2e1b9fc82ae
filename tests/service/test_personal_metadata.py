"""Personal metadata of an upload is neither stored beyond the clip nor logged nor returned."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from shared.access.api_keys import new_webhook_secret
from tests.service.conftest import Service, wait_until
from tests.service.receiver import make_certificates, receiving

#: What identifies a person or a place, by the key of the metadata.
PERSONAL = {
    "title": "Title of Annabel",
    "artist": "Artist Annabel",
    "author": "Author Annabel",
    "comment": "Comment of Annabel",
    "creation_time": "2021-03-04T05:06:07.000000Z",
    "location": "+48.1374+011.5755/",
    "com.apple.quicktime.location.ISO6709": "+51.4779-000.0015+045/",
    "com.apple.quicktime.creationdate": "2021-03-04T05:06:07+0100",
    "com.apple.quicktime.author": "QuickTime Annabel",
    "com.apple.quicktime.displayname": "Annabels iPhone",
    "serial_number": "C02XK1XJJGH5",
    "com.apple.quicktime.model": "iPhone of Annabel",
    "model": "Annabels Phone",
    "software": "F2LW48XPJC6L",
}
#: Parts of these values in any form in which they could be stored or logged.
SECRETS = ("Annabel", "48.137", "011.57", "51.477", "C02XK1XJJGH5", "F2LW48XPJC6L", "2021-03-04")


def recording(path: Path, size: tuple[int, int] = (320, 240), seconds: float = 2.0) -> bytes:
    """Return an MP4 file with personal metadata, which is also in its bytes."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as output:
        stream = output.add_stream("libx264", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        output.metadata.update(PERSONAL)
        for index in range(round(30 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 60 + index, np.uint8), "rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    content = path.read_bytes()
    assert b"Annabel" in content
    assert b"C02XK1XJJGH5" in content
    return content


def stored(service: Service) -> str:
    """Return every key and value of the broker as text."""
    client = service.redis
    found = []
    for key in client.scan_iter():
        kind = client.type(key)
        readers: dict[str, Callable[[str], object]] = {
            "string": client.get,
            "hash": client.hgetall,
            "set": client.smembers,
            "list": lambda name: client.lrange(name, 0, -1),
            "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
            "stream": client.xrange,
        }
        found.append(f"{key} {readers[str(kind)](key)}")
    return "\n".join(found)


@pytest.mark.timeout(300)
def test_personal_metadata_stays_in_the_clip(
    make_service: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, leaf = make_certificates(tmp_path)
    # The gateway reads the authority from this variable, as in a deployment.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    webhooks = {"webhook_secret": new_webhook_secret(), "webhook_allow": "127.0.0.0/8, ::1/128"}
    service = make_service(log_level="debug", log_format="json", **webhooks)
    service.start_worker("vision,rppg")
    content = recording(tmp_path / "clip.mp4")
    # The second one is rejected as too short, the third one is cut off: their metadata takes other ways.
    clips = [content, recording(tmp_path / "short.mp4", seconds=0.5), content[: len(content) - 200]]
    with receiving(leaf) as receiver:
        jobs = [service.submit(clip, webhook_url=receiver.url()) for clip in clips]
        documents = [service.finished(job) for job in jobs]
        wait_until(lambda: len(receiver.requests) == len(jobs), "the webhooks are received")
    assert documents[0]["state"] == "succeeded"
    assert documents[0]["clip"]["device"] is None
    assert documents[1]["error"]["code"] == "clip_too_short"
    wait_until(lambda: not service.clips, "the clips are erased")
    with service.client() as client:
        events = "".join(client.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "0"}).text for job in jobs)
        metrics = client.get("/metrics").text
    places = {
        "documents": json.dumps(documents),
        "webhooks": "".join(f"{request.headers} {request.body}" for request in receiver.requests),
        "events": events,
        "metrics": metrics,
        "broker": stored(service),
        "logs": service.whole_logs(),
    }
    assert jobs[0] in places["logs"]
    assert jobs[0] in places["broker"]
    assert jobs[0] in places["webhooks"]
    for place, text in places.items():
        assert [secret for secret in SECRETS if secret in text] == [], place
