"""Which hosts a stranger may name, and which addresses are everybody's: the public Internet and nothing nearer."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The registries of special-purpose addresses (iana.org, RFC 6890), written out because Python's is_global differs from
# one release to the next.
_NOT_PUBLIC = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public; Azure answers there with what its machines may know
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
# All that is given out for use; loopback, link-local, unique local and multicast lie outside.
_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, with Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
    )
)
# A network without IPv4 shows the world's IPv4 servers under this prefix (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
LONGEST_NAME = 253


def is_public(address: IPAddress) -> bool:
    """Return whether an address is one of the public Internet; an address that carries another is judged by that."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def plain(address: IPAddress) -> IPAddress:
    """Return the IPv4 address where it is written as one of IPv6 (::ffff:192.0.2.1), else the address itself."""
    return getattr(address, "ipv4_mapped", None) or address


def is_plainly_written(host: str) -> bool:
    """Return whether a host is a name, four decimal numbers or an IPv6 address, in the one usual spelling.

    2130706433, 0x7f.1 and 127.1 are numbers that programs read differently (WHATWG URL, 3.5 "ends in a number");
    percent signs, zones and a dot at the end are refused with them. `host` is in lower case, without brackets.
    """
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            ip_address(host)
        except ValueError:
            return False
        return "%" not in host
    return len(host) <= LONGEST_NAME and all(_LABEL.fullmatch(label) for label in host.split("."))
