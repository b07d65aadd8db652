"""Which addresses may be written down: those that devices are sent to, in forms their clients can read, and those of hooks."""

import re

_HOST = r"(?=[^:/]{1,253}(?::|$))[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_PORT = r":(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_MQTT = re.compile(f"(?:tcp|ssl)://{_HOST}{_PORT}")
_HTTP = re.compile(f"https?://{_HOST}(?:{_PORT})?")
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"
_PATH = r"(?:[/?][!-\"$-~]*)?"  # printable ASCII without "#"
_HOOK = re.compile(rf"https://(?:{_NAME}|\[[0-9A-Fa-f:.]{{2,45}}\])(?:{_PORT})?{_PATH}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_LOCAL_HOOK = re.compile(rf"http://(?:localhost|127(?:\.{_OCTET}){{3}}|\[::1\])(?:{_PORT})?{_PATH}")


def is_mqtt_address(text: str) -> bool:
    """Tell whether a text is `tcp://HOST:PORT` or `ssl://HOST:PORT`; EnOS's SDKs take it apart at every colon."""
    return _MQTT.fullmatch(text) is not None


def is_http_address(text: str) -> bool:
    """Tell whether a text is `http://HOST` or `https://HOST`, with `:PORT` where it has one and no path."""
    return _HTTP.fullmatch(text) is not None


def is_hook_address(text: str) -> bool:
    """Tell whether a text is the address of a service behind TLS, or on this machine, and holds no user and no fragment."""
    return _HOOK.fullmatch(text) is not None or _LOCAL_HOOK.fullmatch(text) is not None


def host_of(address: str) -> str:
    """Return the host of an address, with its port where it has one."""
    return re.split("[/?]", address.partition("://")[2])[0]
