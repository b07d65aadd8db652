"""The one error that crosses every boundary, and the reasons it may carry.

Any layer may raise a `Refusal`; `adapters.exchange` catches it, once; each protocol turns its reason into a number, once.
"""

import enum


class Reason(enum.Enum):
    """Why a request was refused, in words no protocol owns."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"  # the path is known, the method is not
    CONFLICT = "conflict"
    STALE = "stale"  # it is not what the sender has seen any more
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNPROCESSABLE = "unprocessable"  # read and understood, and still it cannot be done
    MOVED = "moved"  # there is another path for this, which the answer names
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"

    __hash__ = object.__hash__  # members are unique: Enum's own hash, in Python, costs every look-up of a table


class Refusal(Exception):
    """A request that is not granted.

    `detail` is one sentence that is safe to send to whoever asked. `check` names the check that refused, for the operator
    alone (`firstlight explain`): a device must not be able to tell a wrong key from a wrong secret. `retry_after` is in
    seconds. `aside` is what operators are told in place of the detail, where a device must not be told as much. The cause,
    where there is one, goes to the log through `raise ... from`.
    """

    def __init__(self, reason: Reason, detail: str, *, check: str, retry_after: float | None = None, aside: str = "") -> None:
        super().__init__(detail)
        self.aside = aside
        self.reason = reason
        self.detail = detail
        self.check = check
        self.retry_after = retry_after


class WrongSecret(Refusal):
    """A login is refused for its secret alone: who it is for may be told so, where the protocol has a word for it."""

    def __init__(self, detail: str, *, check: str) -> None:
        super().__init__(Reason.UNAUTHENTICATED, detail, check=check)


def registry_busy() -> Refusal:
    """Make the refusal of a request whose decision others overtook again and again."""
    return Refusal(Reason.UNAVAILABLE, "the registry is busy, try again", check="registry.conflict", retry_after=1.0)


class Guard(enum.Enum):
    """What a commit promises to keep true; the one that failed is named by `Conflict`."""

    DEVICE_NAME = "device_name"  # unique per tenant
    DEVICE_SERIAL = "device_serial"  # unique per profile among the devices that want it so
    CREDENTIAL_LOOKUP = "credential_lookup"  # unique over the whole system
    CLAIM_LOOKUP = "claim_lookup"  # unique over the whole system
    CLAIM_DEVICE = "claim_device"  # a device has one pending claim at most
    ENTRY_LOGIN = "entry_login"  # unique per tenant where it is not empty
    ENTRY_NAME = "entry_name"  # unique per profile and kind among fields and channel templates
    PROFILE_NAME = "profile_name"  # unique per tenant
    PROVISION_KEY = "provision_key"  # unique over the whole system
    OSCORE_CONTEXT = "oscore_context"  # a credential has one state at most
    APPROVAL_NAME = "approval_name"  # unique per profile
    APPROVAL_ROOM = "approval_room"  # how many may wait for operators, of one source and of all
    CERTIFICATE_SERIAL = "certificate_serial"  # unique over the whole system
    TOKEN_NAME = "token_name"  # unique per tenant  # noqa: S105 - the name of a guard, no secret
    EXTERNAL_ID = "external_id"  # unique over the whole system
    CONFIG_DEVICE = "config_device"  # a device has one configuration at most
    CONFIG_NAME = "config_name"  # unique per tenant among the configurations that want it so
    TENANT_ID = "tenant_id"  # unique over the whole system
    DEVICE_LIMIT = "device_limit"  # the tenant's number of devices
    DEVICE_BUDGET = "device_budget"  # how many devices a claim key makes; none once it is burned
    REFERENCE = "reference"  # what an entity points at exists
    VERSION = "version"  # an entity is replaced or deleted only as it was read


class Conflict(Exception):
    """A commit wrote nothing because one of its guards failed: read again, decide again."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(guard.value)
        self.guard = guard
