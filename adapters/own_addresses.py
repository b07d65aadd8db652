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
        self._http = self._https = ""
        self._mqtt = self._mqtts = ""

    def are(self, http: Addresses, mqtt: Addresses, https: Addresses = (), mqtts: Addresses = ()) -> None:
        """Take note of them."""
        self._http, self._https = _url("http", of(http)), _url("https", of(https))
        self._mqtt, self._mqtts = _url("tcp", of(mqtt)), _url("ssl", of(mqtts))

    def http_url(self, protected: bool) -> str:
        """Return `http://HOST:PORT` or with https, empty where there is none.

        A device is told of the kind that it came by, if there is one: a protected wire may be all that it is allowed.
        """
        return (self._https or self._http) if protected else (self._http or self._https)

    def mqtt_url(self, protected: bool) -> str:
        """Return `tcp://HOST:PORT` or with ssl, in the same way."""
        return (self._mqtts or self._mqtt) if protected else (self._mqtt or self._mqtts)


def _url(scheme: str, address: Address | None) -> str:
    return f"{scheme}://{_host(address.host)}:{address.port}" if address else ""


def _host(host: str) -> str:
    return socket.gethostname() if is_told_by_name(host) else host
