"""Where this gateway can be reached itself, for devices that are told where to go next."""

import ipaddress
import socket

from adapters.settings import Address


class OwnAddresses:
    """The first address of HTTP and MQTT: none before the gateway listens, and where a protocol is off."""

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
    """Return what devices can use: in place of every address, and of IPv6, which not all can read, this machine's name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return socket.gethostname() if address.is_unspecified or address.version == 6 else host
