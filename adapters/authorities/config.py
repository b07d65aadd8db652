"""Where the certificate authority is and what its work is bounded by, and the readers of these settings."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from core.crypto.bundles import BUNDLE_BYTES
from core.model import Secret


class AuthorityConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds, all above 0. Every field is a setting: `seconds` is `FIRSTLIGHT_CA_SECONDS`.

    An authority elsewhere answers within `seconds`, with at most `answer_bytes`. At most `at_once` certificates are being
    signed, the key pairs of at most `key_pairs` devices are being made or wait for it. A list of revoked certificates is good
    for `crl_seconds` and has at most `crl_entries`.
    """

    seconds: float = 30.0
    answer_bytes: int = BUNDLE_BYTES
    at_once: int = 8
    key_pairs: int = 16
    crl_seconds: int = 3_600
    crl_entries: int = 50_000

    def __post_init__(self) -> None:
        """Raise `ValueError` for a bound that would keep everything out."""
        for name in self.__struct_fields__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be more than 0")


class AuthoritySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What says who signs: a key beside the certificate, a command, or an address; none of them: nobody does.

    `certificate` holds the authority's certificates in any case, the one that signs first. `crl_url` is what is written into
    certificates signed here. `password` goes with the user in `url`, or alone as a bearer token; `trust` are the roots that
    vouch for the server behind `url`, None: those of the machine.
    """

    certificate: Path | None = None
    key: Path | None = None
    passphrase: Secret | None = None
    command: tuple[str, ...] = ()
    url: str = ""
    password: Secret | None = None
    trust: Path | None = None
    crl_url: str = ""
    bounds: AuthorityConfig = AuthorityConfig()


def command(text: str) -> tuple[str, ...]:
    """Read a command with its arguments, split as a shell would and run by none; empty: there is none."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError("is no command: a quotation mark is not closed") from error


def endpoint(text: str) -> str:
    """Read where certificates are signed, `https://HOST/PATH` or `https://USER@HOST/PATH`; empty: nowhere."""
    url = _url(text, "https://HOST/.well-known/est/simpleenroll")
    if url and urlsplit(url).password is not None:
        raise ValueError("holds a password; give it in FIRSTLIGHT_CA_PASSWORD")
    return url


def crl_url(text: str) -> str:
    """Read where the list of revoked certificates can be had, as certificates tell it; empty: they do not."""
    return _url(text, "http://HOST/v1/ca/crl")


def _url(text: str, example: str) -> str:
    try:
        url = urlsplit(text)
        complete = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        complete = False
    if text and not (complete and text.isascii() and text.isprintable()):
        raise ValueError(f"is no address; write {example}")
    return text
