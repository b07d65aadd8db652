"""What an operator decides for the whole dialect."""

from collections.abc import Callable

import msgspec


def _nowhere(_protected: bool) -> str:
    return ""


class DialectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where devices go with their triple, and how errors are sent.

    What `mqtt_url` (`tcp://host:port` or `ssl://host:port`) and `http_url` (`http://host[:port]`, no slash at the end) return
    is given to devices whose group has none of its own; they are told whether the device came over a protected wire.
    `always_200`: an error has the status of success, for firmware that does not read the body of any other.
    """

    mqtt_url: Callable[[bool], str] = _nowhere
    http_url: Callable[[bool], str] = _nowhere
    always_200: bool = False
