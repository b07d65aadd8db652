"""What crosses the operator API, as far as the command line reads or writes it. Times are RFC 3339 texts."""

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from adapters.commands.access import URL_VARIABLE
from adapters.commands.claim_api import ClaimRules, Claims
from adapters.commands.failure import Failure
from adapters.commands.hook_api import Hook, HookRules
from adapters.commands.issuing_api import Signed, SignedRules
from adapters.commands.trust_api import Chain, ChainRules, Issuing, IssuingRules

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of many, and the `after` that continues them."""

    items: tuple[T, ...]
    next: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457)."""

    title: str = ""
    detail: str = ""
    check: str = ""
    request_id: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that lets devices in; the secret comes with its making and its rotation alone."""

    id: str
    name: str
    strategy: str
    reprovision: str
    provision_key: str
    provision_secret: str | None = None
    previous_secret_until: str | None = None
    options: tuple[str, ...] = ()
    signed: Signed | None = None
    chain: Chain | None = None
    issuing: Issuing | None = None
    plain: str | None = None
    claims: Claims | None = None
    hook: Hook | None = None
    credential_kind: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: str
    updated_at: str


class NewProfile(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A profile to make; what is left out the gateway chooses."""

    name: str
    strategy: str | None = None
    reprovision: str | None = None
    provision_key: str | None = None
    provision_secret: str | None = None
    options: tuple[str, ...] = ()
    signed: SignedRules | None = None
    chain: ChainRules | None = None
    issuing: IssuingRules | None = None
    plain: str | None = None
    claims: ClaimRules | None = None
    hook: HookRules | None = None
    credential_kind: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class ProfileChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What becomes of a profile; None leaves a field as it is, but takes `issuing`, `plain`, `claims` and `hook` away."""

    name: str | None = None
    strategy: str | None = None
    reprovision: str | None = None
    options: tuple[str, ...] | None = None
    signed: SignedRules | None = None
    chain: ChainRules | None = None
    issuing: IssuingRules | UnsetType | None = UNSET
    plain: str | UnsetType | None = UNSET
    claims: ClaimRules | UnsetType | None = UNSET
    hook: HookRules | UnsetType | None = UNSET


class NewSecret(msgspec.Struct, frozen=True, omit_defaults=True):
    """The secret that takes the place of a profile's; None: the gateway makes one."""

    provision_secret: str | None = None
    overlap_seconds: int = 0


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device proves itself with: the fields of its type, where its value is known; `id` and what follows it are told."""

    type: str
    token: str | None = None
    client_id: str | None = None
    username: str | None = None
    password: str | None = None
    certificate: str | None = None
    endpoint: str | None = None
    secret: str | None = None
    product_key: str | None = None
    device_key: str | None = None
    device_id: str | None = None
    server_id: str | None = None
    salt: str | None = None
    id_context: str | None = None
    id: str | None = None
    expires_at: str | None = None
    expired: bool = False
    trial: bool = False


class Firmware(msgspec.Struct, frozen=True, kw_only=True):
    """The firmware that devices should run."""

    version: str
    url: str
    size: int
    sha256: str


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device; its credentials come with its definition alone."""

    id: str
    name: str
    label: str = ""
    profile: str
    state: str
    enabled: bool
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    serial: str = ""
    owner: str = ""
    firmware: Firmware | None = None
    runs: str = ""
    created_at: str
    updated_at: str
    credentials: tuple[Credential, ...] = ()


class NewDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device to define. `line` is its place in an imported file."""

    name: str
    line: int | None = None
    profile: str | None = None
    credential: Credential | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


class DeviceChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a device; None leaves a field as it is."""

    enabled: bool | None = None
    state: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """Devices to import, each encoded already."""

    devices: tuple[msgspec.Raw, ...]


class BadLine(msgspec.Struct, frozen=True):
    """A line that was not imported, and why."""

    line: int
    name: str = ""
    reason: str = ""


class Imported(msgspec.Struct, frozen=True):
    """What became of a batch."""

    created: int = 0
    unchanged: int = 0
    errors: tuple[BadLine, ...] = ()


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An operator token; `token` itself comes with its making alone."""

    id: str
    name: str
    role: str
    created_at: str
    token: str | None = None


class NewToken(msgspec.Struct, frozen=True):
    """An operator token to make."""

    name: str
    role: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt or change."""

    id: str
    at: str
    kind: str
    correlation: str = ""
    protocol: str | None = None
    dialect: str | None = None
    source: str | None = None
    actor: str | None = None
    device: str | None = None
    device_name: str | None = None
    check: str | None = None
    detail: str | None = None


def decode(body: bytes | msgspec.Raw, of: type[T]) -> T:
    """Read an answer. Raises `Failure` where it is not what the operator API answers."""
    try:
        return msgspec.json.decode(body, type=of)
    except (ValueError, RecursionError) as fault:  # msgspec lets the decoder of UTF-8 and the stack speak for themselves
        raise Failure(f"the answer is not understood ({fault}): does {URL_VARIABLE} name a Firstlight gateway?") from fault
