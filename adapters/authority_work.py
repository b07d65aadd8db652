"""Certificates that are issued here: opens the authority that the settings name, and binds what asks it."""

from typing import Any

import msgspec

from adapters.authorities.config import AuthoritySettings
from adapters.authorities.key_pairs import ThreadedKeyPairs
from adapters.authorities.opening import Opened, opened
from adapters.config import Config, SettingError
from adapters.exchange import Meter
from core.audit import Audit
from core.authenticate import Authenticate
from core.certifying import Certifier
from core.issuer import Issuer
from core.limits import Buckets
from core.messages import AskAuthorities, AskRevocations, SignRequest
from core.ports import Repository
from core.revocations import RevocationList, TellAuthorities
from core.sign_certificates import SignCertificates


class AuthorityWork(msgspec.Struct, frozen=True):
    """An authority that is open, and who has certificates made by it; None: there is no authority."""

    opened: Opened
    certifier: Certifier | None = None

    def use_cases(
        self,
        repository: Repository,
        issuer: Issuer,
        audit: Audit,
        authenticate: Authenticate,
        config: Config,
        limits: tuple[Buckets, Buckets],
    ) -> dict[type, Any]:
        """Return the use cases of devices that ask for a certificate, and of anybody who checks one.

        `limits` are those of sources and of devices.
        """
        bounds = config.ca_bounds
        return {
            SignRequest: SignCertificates(repository, issuer, audit, authenticate, self.certifier, *limits),
            AskAuthorities: TellAuthorities(self.opened.authority),
            AskRevocations: RevocationList(
                repository,
                issuer.clock,
                self.opened.signer,
                life_seconds=bounds.crl_seconds,
                most=bounds.crl_entries,
            ),
        }


def authority_of(config: Config, issuer: Issuer, meter: Meter) -> AuthorityWork:
    """Open the authority of the settings. Raises `SettingError`."""
    try:
        found = opened(_settings(config), meter)
    except ValueError as error:
        raise SettingError(str(error)) from error
    if found.authority is None:
        return AuthorityWork(found)
    return AuthorityWork(found, Certifier(issuer, found.authority, ThreadedKeyPairs(config.ca_bounds.key_pairs, meter)))


def require_authority(config: Config, meter: Meter) -> None:
    """Check the settings of the authority, as a start would. Raises `SettingError`."""
    try:
        opened(_settings(config), meter)
    except ValueError as error:
        raise SettingError(str(error)) from error


def _settings(config: Config) -> AuthoritySettings:
    return AuthoritySettings(
        certificate=config.ca_cert,
        key=config.ca_key,
        passphrase=config.ca_key_passphrase,
        command=config.ca_command,
        url=config.ca_url,
        password=config.ca_password,
        trust=config.ca_url_trust,
        crl_url=config.ca_crl_url,
        bounds=config.ca_bounds,
    )
