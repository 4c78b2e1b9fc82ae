"""Names that resolve to private addresses are refused, and the checked address is the one that is used."""

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest

from api.ssrf_guard import AddressRefusedError, Resolver, checked_address, is_public, parse_networks, system_resolver
from api.webhooks import GROWTH, JITTER, TRIES, Answer, Sender, wait_s
from shared.access.api_keys import new_webhook_secret
from shared.jobs.webhooks import Webhook
from tests.service.receiver import make_certificates, receiving


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "168.63.129.16", "192.88.99.1", "203.0.113.9"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fec0::1", "fc00::1"),
        *("fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
        *("2002:7f00:1::", "3fff::1", "5f00::1", "4000::1"),
    ],
)
def test_private_and_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_internet_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def resolver(*answers: Sequence[str]) -> tuple[list[str], Resolver]:
    """A resolver that returns the next answer at each call (the last one repeats), and the names that it resolved."""
    resolved: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        resolved.append(host)
        return answers[min(len(resolved), len(answers)) - 1]

    return resolved, resolve


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["fe80::1%eth0"],
        ["8.8.8.8", "192.168.0.1"],
        ["8.8.8.8", "::1"],
    ],
)
def test_a_name_with_one_private_address_is_refused(addresses: list[str]) -> None:
    with pytest.raises(AddressRefusedError):
        asyncio.run(checked_address("receiver.example", 443, (), resolver(addresses)[1]))


def test_a_public_name_resolves_to_its_first_address() -> None:
    addresses = ["2606:4700:4700::1111", "1.1.1.1"]
    assert asyncio.run(checked_address("receiver.example", 443, (), resolver(addresses)[1])) == addresses[0]


def test_a_listed_network_is_allowed_but_not_by_a_mapped_address() -> None:
    allowed = parse_networks(["10.1.0.0/16"])
    assert asyncio.run(checked_address("inside.example", 443, allowed, resolver(["10.1.2.3"])[1])) == "10.1.2.3"
    for other in ("10.2.0.1", "::ffff:10.1.2.3"):
        with pytest.raises(AddressRefusedError):
            asyncio.run(checked_address("inside.example", 443, allowed, resolver([other])[1]))


@pytest.mark.parametrize("name", ["localhost", "127.1", "2130706433", "0x7f.0.0.1", "0", "::ffff:127.0.0.1"])
def test_every_spelling_of_loopback_is_refused(name: str) -> None:
    with pytest.raises(AddressRefusedError):
        asyncio.run(checked_address(name, 443, (), system_resolver))


def webhook(url: str) -> Webhook:
    return Webhook("01J", url, "-", 1, "succeeded", "2026-01-01T00:00:00Z", "{}", "msg_1")


def test_a_name_that_resolves_differently_the_second_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, leaf = make_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    # The name resolves to a permitted address first, and to a private one at the second call.
    resolved, resolve = resolver(["127.0.0.2"], ["127.0.0.1"])

    async def twice(url: str) -> Answer:
        sender = Sender(parse_networks(["127.0.0.2/32"]), resolve)
        try:
            answer = await sender.post(webhook(url), [new_webhook_secret()])
            assert resolved == ["receiver.example"]
            with pytest.raises(AddressRefusedError):
                await sender.post(webhook(url), [new_webhook_secret()])
        finally:
            await sender.close()
        return answer

    with (
        receiving(leaf, 204, address="127.0.0.2") as outside,
        receiving(leaf, 204, address="127.0.0.1", port=outside.port) as inside,
    ):
        answer = asyncio.run(twice(outside.url(host="receiver.example")))
        assert answer.status == 204
        assert [request.headers["host"] for request in outside.requests] == [f"receiver.example:{outside.port}"]
        assert not inside.requests


def test_proxy_variables_of_the_environment_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, leaf = make_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    async def send(url: str) -> Answer:
        sender = Sender(parse_networks(["127.0.0.1/32"]), resolver(["127.0.0.1"])[1])
        try:
            return await sender.post(webhook(url), [new_webhook_secret()])
        finally:
            await sender.close()

    with receiving(leaf, 204) as receiver:
        assert asyncio.run(send(receiver.url(host="receiver.example"))).status == 204


def test_a_punycode_name_is_resolved_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second is no valid IDNA: decoding it would raise.
    names = ("xn--mnchen-3ya.example", "xn--a.example")
    authority, leaf = make_certificates(tmp_path, names)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    resolved, resolve = resolver(["127.0.0.1"])

    async def send(url: str) -> Answer:
        sender = Sender(parse_networks(["127.0.0.1/32"]), resolve)
        try:
            return await sender.post(webhook(url), [new_webhook_secret()])
        finally:
            await sender.close()

    with receiving(leaf, 204) as receiver:
        for name in names:
            assert asyncio.run(send(receiver.url(host=name))).status == 204
        assert resolved == list(names)


def test_retry_delays_grow_over_hours_with_jitter() -> None:
    waits = [[wait_s(tries, 5) for _ in range(200)] for tries in range(1, TRIES)]
    for tries, drawn in enumerate(waits, start=1):
        planned = 5 * GROWTH ** (tries - 1)
        assert planned * (1 - JITTER) <= min(drawn) < max(drawn) <= planned * (1 + JITTER)
        assert max(drawn) - min(drawn) > planned * JITTER
    assert 6 * 3600 < sum(map(min, waits)) < sum(map(max, waits)) < 24 * 3600
    assert wait_s(1, 5, retry_after_s=100) == 100
    assert wait_s(1, 5, retry_after_s=1e9) == 6 * 3600
