"""Where this gateway can be reached itself, for devices that are told where to go next."""

import ipaddress
import socket
from collections.abc import Iterable

from adapters.settings import Address

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
        self.http: Address | None = None
        self.mqtt: Address | None = None

    def http_url(self) -> str:
        """Return `http://HOST:PORT`, empty where there is none."""
        return f"http://{_host(self.http.host)}:{self.http.port}" if self.http else ""

    def mqtt_url(self) -> str:
        """Return `tcp://HOST:PORT`, empty where there is none."""
        return f"tcp://{_host(self.mqtt.host)}:{self.mqtt.port}" if self.mqtt else ""


def _host(host: str) -> str:
    return socket.gethostname() if is_told_by_name(host) else host
