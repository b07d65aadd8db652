"""What is wrong, or perhaps not meant, among the settings about brokers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.brokers.address import BrokerAddress, client_context
from adapters.settings import Address

_LINKS: Final = ("MQTT_UPSTREAM", "BROKER")
_OF_NO_USE: Final = (
    ("MQTT_UPSTREAM", ("MQTT_UPSTREAM_PASSWORD", "MQTT_UPSTREAM_CA", "MQTT_UPSTREAM_CLIENT_ID")),
    ("BROKER", ("BROKER_PASSWORD", "BROKER_CA", "BROKER_FOR", "BROKER_PREFIX", "BROKER_DEVICES")),
    ("RABBITMQ_API", ("RABBITMQ_PASSWORD",)),
    ("BROKER_SECRET", ("RABBITMQ_API",)),
)


def fault(upstream: BrokerAddress | None, mqtt: Iterable[Address]) -> str:
    """Return what is wrong with the broker behind the front, empty where nothing is: it cannot be this gateway itself."""
    own = next(
        (each for each in mqtt if upstream and each.port and (each.host, each.port) == (upstream.host, upstream.port)), None
    )
    if own is None:
        return ""
    return f"{upstream} is where this gateway listens itself; give the broker another port, or FIRSTLIGHT_MQTT"


def fault_of_authorities(values: Mapping[str, Any]) -> str:
    """Return what is wrong with the authorities by which brokers are checked, with the variable in front; empty: nothing."""
    for name in _LINKS:
        try:
            client_context(values.get(name.lower()), values.get(f"{name.lower()}_ca"))
        except ValueError as error:
            return f"FIRSTLIGHT_{name}_CA: {error}"
    return ""


def cautions(given: Mapping[str, str], values: Mapping[str, Any]) -> list[str]:
    """Return warnings: links in the clear, and settings that do nothing without another one."""
    found = [
        f"FIRSTLIGHT_{name}: {address} carries passwords and messages in the clear beyond this machine; use mqtts://"
        for name in _LINKS
        if (address := values.get(name.lower())) is not None and not (address.secure or _is_loopback(address.host))
    ]
    found += [
        f"FIRSTLIGHT_{name}_CA does nothing for {address}; write mqtts:// in FIRSTLIGHT_{name}"
        for name in _LINKS
        if values.get(f"{name.lower()}_ca") and (address := values.get(name.lower())) is not None and not address.secure
    ]
    for needed, names in _OF_NO_USE:
        if not given.get(needed):
            found += [f"FIRSTLIGHT_{name} does nothing without FIRSTLIGHT_{needed}" for name in names if given.get(name)]
    return found


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
