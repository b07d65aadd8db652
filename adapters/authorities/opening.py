"""Opens the authority that the settings name."""

import shutil
import ssl
from pathlib import Path

import msgspec

from adapters.authorities.command import CommandAuthority
from adapters.authorities.config import AuthoritySettings
from adapters.authorities.embedded import EmbeddedAuthority
from adapters.authorities.endpoint import EndpointAuthority
from adapters.exchange import Meter
from core.crypto.bundles import BUNDLE_BYTES, read_bundle
from core.crypto.issuance import open_authority
from core.ports import CertificateAuthority, RevocationSigner


class Opened(msgspec.Struct, frozen=True):
    """Who signs certificates, and who the list of those that are revoked: None, nobody here does."""

    authority: CertificateAuthority | None = None
    signer: RevocationSigner | None = None


def opened(settings: AuthoritySettings, meter: Meter) -> Opened:
    """Return the authority. Raises `ValueError` with one line that names the variable, the fault and the mend."""
    given = {"KEY": settings.key, "COMMAND": settings.command, "URL": settings.url}
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise ValueError(f"FIRSTLIGHT_CA_{named[0]}: FIRSTLIGHT_CA_{named[1]} is set too; keep one of them")
    if not named:
        return Opened()
    if settings.certificate is None:
        raise ValueError(f"FIRSTLIGHT_CA_CERT: not set; FIRSTLIGHT_CA_{named[0]} needs the certificate of the authority")
    try:
        certificates = read_bundle(_content("FIRSTLIGHT_CA_CERT", settings.certificate))
    except ValueError as error:
        raise ValueError(f"FIRSTLIGHT_CA_CERT: {settings.certificate}: {error}; give the authority's, in PEM") from error
    return _opened(settings, certificates, meter)


def _opened(settings: AuthoritySettings, certificates: tuple[bytes, ...], meter: Meter) -> Opened:
    if settings.command:
        _require_program(settings.command[0])
        return Opened(CommandAuthority(settings.command, certificates, settings.bounds, meter))
    if settings.url:
        return Opened(_endpoint(settings, certificates, meter))
    return _embedded(settings, certificates, meter)


def _require_program(name: str) -> None:
    if shutil.which(name) is None:
        raise ValueError(f"FIRSTLIGHT_CA_COMMAND: {name} is no program that this user may run; name one by its path")


def _endpoint(settings: AuthoritySettings, certificates: tuple[bytes, ...], meter: Meter) -> EndpointAuthority:
    try:
        return EndpointAuthority(settings.url, settings.password, settings.trust, certificates, settings.bounds, meter)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"FIRSTLIGHT_CA_URL_TRUST: {settings.trust}: no certificates in PEM to read there") from error


def _embedded(settings: AuthoritySettings, certificates: tuple[bytes, ...], meter: Meter) -> Opened:
    path = settings.key or Path()
    content = _content("FIRSTLIGHT_CA_KEY", path)
    try:
        authority = open_authority(certificates, content, settings.passphrase)
    except ValueError as error:
        raise ValueError(f"FIRSTLIGHT_CA_KEY: {path}: {error}") from error
    signer = EmbeddedAuthority(authority, meter, settings.crl_url, at_once=settings.bounds.at_once)
    return Opened(signer, signer if authority.signs_lists else None)


def _content(variable: str, path: Path) -> bytes:
    """Return what is in a file, no more than certificates take."""
    try:
        with path.open("rb") as file:
            return file.read(BUNDLE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{variable}: {path}: {error.strerror}; name a file that can be read") from error
