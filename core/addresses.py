"""Where devices are sent with their credentials, in the forms that their clients can read."""

import re

_HOST = r"(?=[^:/]{1,253}(?::|$))[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_PORT = r":(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_MQTT = re.compile(f"(?:tcp|ssl)://{_HOST}{_PORT}")
_HTTP = re.compile(f"https?://{_HOST}(?:{_PORT})?")


def is_mqtt_address(text: str) -> bool:
    """Tell whether a text is `tcp://HOST:PORT` or `ssl://HOST:PORT`; EnOS's SDKs take it apart at every colon."""
    return _MQTT.fullmatch(text) is not None


def is_http_address(text: str) -> bool:
    """Tell whether a text is `http://HOST` or `https://HOST`, with `:PORT` where it has one and no path."""
    return _HTTP.fullmatch(text) is not None
