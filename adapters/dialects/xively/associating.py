"""The endpoints that give a device its owner: draw a code, and use it."""

from typing import Final

from adapters.dialects.xively.endpoint import Asked, Endpoint, Shown
from adapters.dialects.xively.faults import malformed, unfit
from adapters.dialects.xively.reading import optional_text, text
from core.associate import CODE_CHARACTERS, is_code
from core.model import Secret
from core.operate.associating import AssociateByCode, Associated, OfferDevice, Offered

OFFER: Final = "create_association_code"
ASSOCIATE: Final = "start_association"

_CODE, _USER, _ORGANIZATION = "associationCode", "endUserId", "organizationId"


def endpoints() -> tuple[Endpoint, ...]:
    """Return the rows."""
    return (
        Endpoint(
            operation=OFFER,
            method="POST",
            path="/api/v1/association/create-association-code",
            command=_offer,
            write=_offered,
        ),
        Endpoint(
            operation=ASSOCIATE,
            method="POST",
            path="/api/v1/association/start-association-with-code",
            command=_associate,
            write=_associated,
        ),
    )


def _offer(asked: Asked) -> OfferDevice:
    return OfferDevice(ref=text(asked.members, "deviceId"))


def _offered(result: Offered, _asked: Asked) -> Shown:
    return Shown({_CODE: result.code.reveal()})


def _associate(asked: Asked) -> AssociateByCode:
    code = Secret(text(asked.members, _CODE))
    user, organization = (optional_text(asked.members, name) or "" for name in (_USER, _ORGANIZATION))
    if bool(user) == bool(organization):
        raise malformed(f"either {_USER} or {_ORGANIZATION} is required", "body.field", _USER)
    if not is_code(code):
        raise unfit(_CODE, f"{CODE_CHARACTERS} letters and digits")
    return AssociateByCode(code=code, organization=organization, user=user)


def _associated(result: Associated, _asked: Asked) -> Shown:
    return Shown({"deviceId": result.device.id})
