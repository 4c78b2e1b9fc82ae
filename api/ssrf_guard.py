"""A guard against server-side request forgery: webhooks go to public addresses and to networks the operator lists.

A name is resolved once for each call, and the call goes to the address that was checked, so that a name whose address
changes in between (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

#: IANA's special-purpose registries, written out: Python's own notion of "global" differs between its releases.
_NOT_PUBLIC_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Public by its number, but every Azure machine reaches its host's own services there.
        "168.63.129.16/32",
    )
)
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
#: Of that: protocol assignments with Teredo, documentation, 6to4, AS112. Addresses that embed an IPv4 address are
#: refused; the v4-mapped ones and the like are outside of 2000::/3 already.
_NOT_PUBLIC_V6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)


#: Names are resolved in separate threads: a stalling name server must not block the threads that store uploads.
_RESOLVING: Final = ThreadPoolExecutor(16, thread_name_prefix="resolve")


class AddressRefusedError(Exception):
    """The name resolves to an address that is not public and that FACEVITALS_WEBHOOK_ALLOW does not list."""


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse networks.

    Raises:
        ValueError: a text is not a network.
    """
    return tuple(map(ipaddress.ip_network, texts))


def is_public(address: Address) -> bool:
    """Return whether this address can be reached from the whole internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Return the addresses of `host`, by the resolver of this machine."""
    lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, lookup)
    return [str(entry[4][0]) for entry in found]


async def checked_address(host: str, port: int, allowed: Sequence[Network], resolve: Resolver = system_resolver) -> str:
    """Return the address to call for `host`, resolved once.

    Raises:
        AddressRefusedError: one of its addresses is neither public nor in `allowed`.
        OSError: the name has no address.
    """
    texts = await resolve(host, port)
    if not texts:
        raise OSError("the name has no address")
    for text in texts:
        # An address with a zone ("fe80::1%eth0") is link-local.
        address = ipaddress.ip_address(text.partition("%")[0])
        if "%" in text or not (is_public(address) or any(address in network for network in allowed)):
            raise AddressRefusedError
    return texts[0]
