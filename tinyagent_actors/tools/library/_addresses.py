"""Which addresses may be fetched from: those of the public internet, and networks that were allowed by name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import attrs

from tinyagent_actors._errors import SpecError

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""What a gateway translates to the IPv4 address in the last four bytes (RFC 6052, RFC 8215)."""
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


def _to_networks(allow: Iterable[str]) -> tuple[Network, ...]:
    if isinstance(allow, str):
        raise SpecError("allow", "must be a list of networks")
    try:
        return tuple(ipaddress.ip_network(one) for one in allow)
    except ValueError as error:
        raise SpecError("allow", f"must be networks such as 127.0.0.1/32: {error}") from error


@attrs.frozen
class Addresses:
    """The rule. An address is public only if every IPv4 address that is hidden in it is public, too."""

    allow: tuple[Network, ...] = attrs.field(default=(), converter=_to_networks)

    def may_reach(self, text: str) -> bool:
        """Whether an address, in figures, may be fetched from."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        inner = tuple(_inner(address))
        if any(one in network for network in self.allow for one in (address, *inner)):
            return True
        return all(one.is_global and not one.is_multicast and not one.is_reserved for one in inner or (address,))


def _inner(address: Address) -> Iterator[Address]:
    """Give the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _TRANSLATED):
        yield last
    if address in _COMPATIBLE:
        yield last
