"""Where the gateway is, with which token an operator comes and for which tenant, read from the environment."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from adapters.commands.failure import UsageError
from core.model import Secret

URL_VARIABLE = "FIRSTLIGHT_URL"
TOKEN_VARIABLE = "FIRSTLIGHT_TOKEN"  # noqa: S105 - the name of a variable, no secret
TOKEN_FILE_VARIABLE = "FIRSTLIGHT_TOKEN_FILE"  # noqa: S105 - likewise
TENANT_VARIABLE = "FIRSTLIGHT_TENANT"
DEFAULT_URL = "http://127.0.0.1:8080"
ADMIN_TOKEN_FILE = Path("data/admin-token")

_NO_TOKEN = (
    f"no token: set {TOKEN_VARIABLE} or {TOKEN_FILE_VARIABLE}. A gateway leaves its first one in data/admin-token, beside its"
    " database; `firstlight token create NAME --role operator` makes more"
)


class Access(msgspec.Struct, frozen=True):
    """The address of a gateway's operator API, without a slash at its end, and a bearer token for it.

    `tenant` is the tenant that commands are for; empty: the token's own.
    """

    url: str
    token: Secret
    tenant: str = ""


def access_from(environ: Mapping[str, str]) -> Access:
    """Read FIRSTLIGHT_URL, the token and FIRSTLIGHT_TENANT. Raises `UsageError` naming the variable at fault."""
    tenant = environ.get(TENANT_VARIABLE, "")
    return Access(_url(environ.get(URL_VARIABLE) or DEFAULT_URL), Secret(_token(environ)), tenant)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.query or parts.fragment:
        raise UsageError(f"{URL_VARIABLE} is not the address of a gateway: write it like {DEFAULT_URL}")
    return text.rstrip("/")


def _token(environ: Mapping[str, str]) -> str:
    if environ.get(TOKEN_VARIABLE) and environ.get(TOKEN_FILE_VARIABLE):
        raise UsageError(f"{TOKEN_VARIABLE}: set it or {TOKEN_FILE_VARIABLE}, not both")
    if token := environ.get(TOKEN_VARIABLE):
        return _require_header_text(token.strip(), TOKEN_VARIABLE)
    if path := environ.get(TOKEN_FILE_VARIABLE):
        return _require_header_text(_read(Path(path)), TOKEN_FILE_VARIABLE)
    try:
        return _require_header_text(_read(ADMIN_TOKEN_FILE), str(ADMIN_TOKEN_FILE))
    except UsageError:
        if ADMIN_TOKEN_FILE.exists():
            raise
        raise UsageError(_NO_TOKEN) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not text"
        raise UsageError(f"{TOKEN_FILE_VARIABLE}: cannot read {path}: {reason}") from None


def _require_header_text(token: str, source: str) -> str:
    """A token goes into a header, where RFC 6750, section 2.1, has room for printable ASCII alone."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{source} holds no token: one word of printable ASCII")
    return token
