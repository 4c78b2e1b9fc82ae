"""Device and program come from listed metadata alone, and only as names of products."""

from pathlib import Path

import av
import pytest

from workers.media.clip import open_clip
from workers.media.recorder import _is_product, device_of, encoder_of

from .conftest import Encode

APPLE = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 15 Pro"}


def rewritten(path: Path, name: str, metadata: dict[str, str]) -> Path:
    """Copy the clip's packets into a file with this metadata."""
    target = path.with_name(name)
    options = {"movflags": "use_metadata_tags"} if target.suffix in {".mp4", ".mov"} else {}
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        output.metadata.update(metadata)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return target


@pytest.mark.parametrize("name", ["made.mp4", "made.mov", "made.mkv"])
def test_make_model_and_program_are_facts(encode: Encode, name: str) -> None:
    with open_clip(rewritten(encode(), name, {**APPLE, "title": "Anna", "location": "+48.1374+011.5755/"})) as clip:
        list(clip.frames())
        facts = clip.facts
    assert facts.device == "Apple iPhone 15 Pro"
    assert facts.encoder is not None
    assert facts.encoder.startswith("Lavf")
    assert "Anna" not in facts.model_dump_json()
    assert "48.1374" not in facts.model_dump_json()


def test_a_file_without_a_device_has_none(encode: Encode) -> None:
    with av.open(str(encode())) as container:
        assert device_of(container) is None


@pytest.mark.parametrize(
    "value", ["Apple", "iPhone15,2", "SM-G991B", "Pixel 8 Pro", "HandBrake 1.7.3 2024021000", "Lavf62.12.102", "EOS R5"]
)
def test_names_of_products_are_accepted(value: str) -> None:
    assert _is_product(value)


@pytest.mark.parametrize(
    "value",
    [
        "C02XK1XJJGH5",
        "356938035643809",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "00-1B-63-84-45-E6",
        "48.1374, 11.5755",
        "anna@example.org",
        "Anna's iPhone",
        "Annas iPhone",
        "iPhone von Anna",
        "iPhone (Anna)",
        "M\u00fcller",
        "line\nbreak",
        "",
        "x" * 65,
    ],
)
def test_values_that_may_identify_a_person_are_dropped(value: str) -> None:
    assert not _is_product(value)


@pytest.mark.parametrize("made", ["damaged", "long"])
def test_damaged_or_long_metadata_costs_nothing(encode: Encode, made: str) -> None:
    value = "MODEL-MODEL" if made == "damaged" else "x" * 2_000_000
    path = rewritten(encode(), "made.mp4", {"model": value, "make": "Apple"})
    if made == "damaged":
        path.write_bytes(path.read_bytes().replace(b"MODEL-MODEL", b"\xff\xfe\xc3MODEL\xe2\x28\xa1"))
    with open_clip(path) as clip:
        assert len(list(clip.frames())) == 60
        # What is left of damaged text is not a matter of this test; it must be a product's name or nothing.
        assert clip.facts.device is None or clip.facts.device.startswith("Apple")
    with av.open(str(path), metadata_errors="ignore") as container:
        assert encoder_of(container) is not None
