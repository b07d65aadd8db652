"""A device that speaks EnOS's provisioning API (https://support.enos-iot.com/docs/dps-api/, "Bootstrap Device")."""

import re

import msgspec

from adapters.commands import carriers
from adapters.commands.carriers import Login, Reply, Server
from adapters.commands.failure import Failure
from core.crypto import signatures
from core.model import Secret

SERVICE = "dev"
_OVER_MQTT = (SERVICE, "preview", "latest", "stable")
_BOOTSTRAP = "bootstrap"
_GUEST = Login(username=_BOOTSTRAP)
_MQTT_URL = re.compile(r"tcp://([^:/]+):([0-9]{1,5})", re.ASCII)


class StringI18n(msgspec.Struct, frozen=True, rename="camel"):
    """A text, and what it is in some locales."""

    default_value: str
    i18n_value: dict[str, str] = msgspec.field(default_factory=dict)


class Device(msgspec.Struct, frozen=True):
    """What a device knows of itself before it is let in; `timezone` is an offset such as `+08:00`, or the name of a zone."""

    group: str
    serial: str
    name: str
    timezone: str


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """The signed bootstrap, `dps_sign_timestamp` in milliseconds since 1970."""

    dps_sign_method: str
    dps_sign_timestamp: int
    dps_sign: str
    group_id: str
    device_sn: str
    device_name: StringI18n
    timezone: str


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The triple and where it is used, or the code and the words of a refusal; what is missing is empty."""

    murl: str = ""
    hurl: str = ""
    pk: str = ""
    dk: str = ""
    ds: str = ""
    code: int = 0
    msg: str = ""
    request_id: str = ""

    @property
    def granted(self) -> bool:
        """Tell whether the whole triple is there, which is how the vendor's clients tell too."""
        return bool(self.pk and self.dk and self.ds)


def sign(device: Device, secret: Secret, timestamp: int) -> Request:
    """Return a request signed with the group's secret at a time, in milliseconds since 1970."""
    return Request(
        dps_sign_method="sha256",
        dps_sign_timestamp=timestamp,
        dps_sign=signatures.enrolment(device.serial, str(timestamp), secret),
        group_id=device.group,
        device_sn=device.serial,
        device_name=StringI18n(device.name),
        timezone=device.timezone,
    )


def is_served(service: str, carrier: str) -> bool:
    """Tell whether the service can have this name over this protocol: over MQTT it has no versions."""
    return carrier != "mqtt" or service in _OVER_MQTT


async def bootstrap(server: Server, service: str, request: Request) -> Reply:
    """Send the request over the server's protocol. Raises `Failure` when there is no answer, and `UsageError`."""
    body = carriers.json_body(request)
    if server.carrier == "mqtt":
        topic = f"{service}/{_BOOTSTRAP}"
        return await carriers.ask(server, _GUEST, f"{topic}/request", f"{topic}/response", body)
    return await carriers.post(server, (service, _BOOTSTRAP), body)


def read(reply: Reply) -> Answer:
    """Return what an answer says; one that is no answer of this API says nothing."""
    try:
        return msgspec.json.decode(reply.body, type=Answer)
    except (ValueError, RecursionError):  # the bytes are no UTF-8, no JSON, not this JSON, or nested without end
        return Answer()


async def log_in(answer: Answer, timestamp: int, timeout_seconds: float) -> None:
    """Log in over MQTT where the answer says, with its triple. Raises `Failure`.

    See EnOS Device Connection, "Non-SDK Login".
    """
    await carriers.connect(_broker(answer.murl, timeout_seconds), login(answer, str(timestamp)))


def login(answer: Answer, timestamp: str) -> Login:
    """Return what the triple logs in with; the device key is the client id, `timestamp` is signed as it is."""
    password = signatures.mqtt_password(answer.dk, answer.dk, answer.pk, timestamp, Secret(answer.ds), "sha256")
    return Login(
        client_id=f"{answer.dk}|securemode=2,signmethod=sha256,timestamp={timestamp}|",
        username=f"{answer.dk}&{answer.pk}",
        password=password,
    )


def _broker(murl: str, timeout_seconds: float) -> Server:
    if not murl:
        raise Failure("the answer has no murl: the gateway serves no MQTT, and FIRSTLIGHT_ENOS_MQTT_URL names none")
    found = _MQTT_URL.fullmatch(murl)
    if found is None or not 0 < int(found[2]) < 65536:
        raise Failure(f"cannot log in at {murl}: only tcp://HOST:PORT is spoken here, without TLS")
    return Server("mqtt", found[1], int(found[2]), timeout_seconds)
