"""The one endpoint without a bearer token: a user proves a password and is given one.

A wrong password is told in a form of its own, with `error` as a string. https://id.xively.com had no other endpoint.
"""

from typing import Final

import msgspec

from adapters.dialects.xively.endpoint import ACCOUNT
from adapters.dialects.xively.reading import read_object, text
from adapters.exchange import Inbound
from core.model import Secret, TenantId
from core.operate.directing import LoggedIn, LogIn

OPERATION: Final = "login_user"
METHOD: Final = "POST"
PATH: Final = "/api/v1/auth/login-user"


def read(inbound: Inbound) -> LogIn:
    """Read a login. Raises `Refusal` MALFORMED, or TOO_LARGE."""
    members = read_object(inbound.body)
    return LogIn(
        tenant=TenantId(text(members, ACCOUNT)),
        login=text(members, "emailAddress"),
        password=Secret(text(members, "password")),
    )


def write(result: LoggedIn) -> bytes:
    """Write the token."""
    return msgspec.json.encode({"jwt": result.token.reveal()})


def refuse(detail: str) -> bytes:
    """Write that the password, or whose it is, is wrong."""
    return msgspec.json.encode({"message": detail, "error": "Unauthorized"})
