"""Where this gateway can be reached itself, for devices that are told where to go next."""

import ipaddress
import socket
from collections.abc import Iterable

from adapters.settings import Address

Addresses = Iterable[Address]

SENT_ON = "enos"
"""The dialect whose devices are told where to go."""


def of(addresses: Iterable[Address]) -> Address | None:
    """Return the first address that serves such devices, None where none does."""
    return next((each for each in addresses if not each.dialects or SENT_ON in each.dialects), None)


def is_told_by_name(host: str) -> bool:
    """Tell whether devices are told this machine's name in place of a host: of every address, and of IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.version == 6


class OwnAddresses:
    """Where HTTP and MQTT serve such devices: nowhere before the gateway listens, and where a protocol is off."""

    def __init__(self) -> None:
        self._http = ""
        self._mqtt = ""

    def are(self, http: Addresses, mqtt: Addresses, https: Addresses = (), mqtts: Addresses = ()) -> None:
        """Take note of them. Where a protocol is spoken in the clear and over TLS, devices are told of the former."""
        self._http = _url("http", of(http)) or _url("https", of(https))
        self._mqtt = _url("tcp", of(mqtt)) or _url("ssl", of(mqtts))

    def http_url(self) -> str:
        """Return `http://HOST:PORT` or with https, empty where there is none."""
        return self._http

    def mqtt_url(self) -> str:
        """Return `tcp://HOST:PORT` or with ssl, empty where there is none."""
        return self._mqtt


def _url(scheme: str, address: Address | None) -> str:
    return f"{scheme}://{_host(address.host)}:{address.port}" if address else ""


def _host(host: str) -> str:
    return socket.gethostname() if is_told_by_name(host) else host
