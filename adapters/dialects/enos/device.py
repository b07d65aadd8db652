"""What devices ask for, over every protocol: their triple, and a session that stands for it over HTTP."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from adapters.dialects.enos.members import Members, read_members
from adapters.dialects.enos.options import DialectOptions
from adapters.dialects.enos.representation import ANSWERED, ASKED, answer
from adapters.dialects.enos.values import UTC, StringI18n, read_string_i18n, read_timezone
from adapters.exchange import Carrier, Inbound, Outbound, Route, Success
from core.errors import Reason, Refusal
from core.messages import (
    BranchRequest,
    ConnectRequest,
    Enrolled,
    EnrolRequest,
    OpenSession,
    SessionOpened,
    SignedSerial,
    TripleLogin,
)
from core.topic_spaces import Action, TopicSpace

GUEST: Final = "bootstrap"
BOOTSTRAP: Final = "bootstrap"
GET_CONN: Final = "get_conn"
OPEN_SESSION: Final = "open_session"
OPERATIONS: Final = frozenset({BOOTSTRAP, GET_CONN, OPEN_SESSION})

SERVICES: Final = ("dev", "preview", "latest", "stable")
"""The names that the service has beside its versions."""

TOPICS: Final = (
    TopicSpace(prefix="/sys/{product_key}/{device_key}"),
    TopicSpace(prefix="/ext/session/{product_key}/{device_key}"),  # a gateway's, about the devices behind it
    TopicSpace(prefix="/ext/error/{product_key}/{device_key}", actions=frozenset({Action.SUBSCRIBE})),
)
"""EnOS Device Connection, "Device Integration Protocol": measure points, services, events, tags, over-the-air and topology."""

SERIAL_CHARACTERS: Final = 128
_GROUP_CHARACTERS = 255
_MAX_BRANCH = 2**31 - 1
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+(\.[0-9]+)?", re.ASCII)
_PATHS = (("/{svc}/bootstrap", BOOTSTRAP), ("/{svc}/get/conn", GET_CONN), ("/auth/{pk}/{dk}", OPEN_SESSION))
_SERVED_BY_NAME = frozenset({BOOTSTRAP, GET_CONN})


class _Triple(msgspec.Struct, frozen=True):
    """What a device gets: where it goes, and with what."""

    murl: str
    hurl: str
    pk: str
    dk: str
    ds: str


class _SessionId(msgspec.Struct, frozen=True):
    sessionId: str  # noqa: N815 - the member's name on the wire


class _Session(msgspec.Struct, frozen=True):
    """The session service's own envelope (EnOS Device Connection, "HTTP Connection")."""

    code: int
    data: _SessionId
    message: str


def routes() -> tuple[Route, ...]:
    """Return the routes of devices; over MQTT they are a guest's, and the service has its names alone."""
    posted = (
        Route(carrier=carrier, method="POST", path=path, operation=operation)
        for carrier in (Carrier.HTTP, Carrier.COAP)
        for path, operation in _PATHS
    )
    published = (
        Route(carrier=Carrier.MQTT, method="PUBLISH", path=topic + ASKED, operation=operation, guest=GUEST)
        for topic, operation in _topics()
    )
    return (*posted, *published)


def subscriptions() -> tuple[str, ...]:
    """Return the filters of everything that a guest is answered over MQTT."""
    return tuple(topic.replace("{pk}", "+").replace("{dk}", "+") + ANSWERED for topic, _ in _topics())


def read(operation: str, inbound: Inbound) -> EnrolRequest | ConnectRequest | OpenSession:
    """Read what a device asks. Raises `Refusal`."""
    if not names_service(operation, inbound.params.get("svc", SERVICES[0])):
        raise Refusal(Reason.NOT_FOUND, "there is nothing at this path", check="request.path")
    asked = _READ[operation](read_members(inbound), inbound.params)
    if inbound.identity is None or isinstance(asked, OpenSession):
        return asked
    return msgspec.structs.replace(asked, connection=inbound.identity)


def write(result: Enrolled | SessionOpened, options: DialectOptions, inbound: Inbound) -> Outbound:
    """Write what a device gets."""
    if isinstance(result, SessionOpened):
        session = _Session(200, _SessionId(result.token.reveal()), "OK")
        return answer(Success.OK, session, inbound)
    policy, triple, protected = result.profile.signed, result.triple, inbound.peer.secure
    given = _Triple(
        murl=(policy.mqtt_url if policy else "") or options.mqtt_url(protected),
        hurl=(policy.http_url if policy else "") or options.http_url(protected),
        pk=triple.product_key,
        dk=triple.device_key,
        ds=triple.secret.reveal(),
    )
    return answer(Success.OK, given, inbound)


def names_service(operation: str, name: str) -> bool:
    """Tell whether the first segment of a path names the service, where that is what it is there for."""
    return operation not in _SERVED_BY_NAME or name in SERVICES or _VERSION.fullmatch(name) is not None


def _topics() -> tuple[tuple[str, str], ...]:
    return tuple(
        (path[1:].replace("{svc}", service), operation)
        for path, operation in _PATHS
        for service in (SERVICES if operation in _SERVED_BY_NAME else SERVICES[:1])
    )


def _read_bootstrap(members: Members, _params: Mapping[str, str]) -> EnrolRequest:
    serial = _serial(members)
    group = members.text("groupId", _GROUP_CHARACTERS)
    members.require_sha256("dpsSignMethod")
    proof = SignedSerial(serial, members.number("dpsSignTimestamp"), members.digest("dpsSign"))
    sent_name, sent_zone = members.get("deviceName"), members.get("timezone")
    name = StringI18n(serial, {}) if sent_name is None else read_string_i18n(sent_name, "deviceName")
    zone = UTC if sent_zone is None else read_timezone(sent_zone, "timezone")
    return EnrolRequest(
        group=group,
        proof=proof,
        label=name.default_value,
        metadata={"deviceName": name.plain(), "timezone": zone},
    )


def _serial(members: Members) -> str:
    """Return the serial under its new name or its old one, which are the same where both are there."""
    names = [name for name in ("deviceSn", "deviceId") if members.get(name) is not None] or ["deviceSn"]
    serials = [members.text(name, SERIAL_CHARACTERS) for name in names]
    if len(set(serials)) > 1:
        raise members.invalid("deviceId", "it differs from deviceSn")
    return serials[0]


def _read_get_conn(members: Members, _params: Mapping[str, str]) -> ConnectRequest:
    own = members.object("self")
    if own is None:
        raise members.missing("self")
    members.require_sha256("signMethod")
    sub = members.object("sub")
    return ConnectRequest(proof=_signed(own), sub=None if sub is None else _branch(sub))


def _signed(members: Members) -> SignedSerial:
    return SignedSerial(members.text("sn"), members.number("timestamp"), members.digest("sign"))


def _branch(sub: Members) -> BranchRequest:
    """Read what a gateway asks for; where it names the branch itself, nothing else is needed."""
    branch: Any = sub.get("branch")
    named = sub.flag("createSubSnFromGw", default=True)
    if branch is not None and (not isinstance(branch, int) or isinstance(branch, bool) or not 0 <= branch <= _MAX_BRANCH):
        raise sub.invalid("branch", f"a whole number from 0 to {_MAX_BRANCH} is needed")
    if branch is not None and named:
        return BranchRequest(branch=branch)
    return BranchRequest(branch=branch, proof=_signed(sub), named_by_gateway=named)


def _read_session(members: Members, params: Mapping[str, str]) -> OpenSession:
    members.require_sha256("signMethod")
    lifetime, digest = members.number("lifetime"), members.digest("sign")
    return OpenSession(TripleLogin(params["pk"], params["dk"], lifetime, digest))


_READ: Mapping[str, Callable[[Members, Mapping[str, str]], EnrolRequest | ConnectRequest | OpenSession]] = MappingProxyType(
    {BOOTSTRAP: _read_bootstrap, GET_CONN: _read_get_conn, OPEN_SESSION: _read_session}
)
