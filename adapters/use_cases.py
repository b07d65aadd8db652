"""Binds the core's use cases to their ports and to the settings: who answers which message."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters import bootstrap_key, spoken
from adapters.answering import UseCase
from adapters.authority_work import AuthorityWork
from adapters.config import Config
from adapters.dialects import brokers, operator, thingsboard
from adapters.watching import Watches
from core.acquaintance import Acquaintances
from core.announce import Announce
from core.associate import ClaimingTerms
from core.audit import Audit
from core.authenticate import Authenticate
from core.bootstrap import Bootstrap
from core.broker_questions import AskDelivery, AskLogin, AskTopics, BrokerQuestions
from core.challenge import BootstrapByChallenge, OfferChallenge
from core.enrol import Enrol
from core.fetch_triple import FetchTriple
from core.fields import ReadFields, WriteFields
from core.firmware import NoteFirmware, TellFirmware
from core.handshakes import Handshakes
from core.issuer import Issuer
from core.limits import Buckets
from core.lockout import Lockout
from core.login import OperatorLogin
from core.logins import Logins
from core.messages import (
    AnnounceClaims,
    AskChallenge,
    AskFields,
    AskFirmware,
    BootstrapRequest,
    ConnectRequest,
    EnrolRequest,
    OpenSession,
    ProvenBootstrap,
    ProvisionRequest,
    Report,
    ReportFirmware,
    SetFields,
)
from core.model import DeviceId, Lookup
from core.notices import session_key
from core.open_session import OpenSessions
from core.operate import Operate
from core.operate.directing import LogIn
from core.operate.messages import Operation, Operations
from core.permit import Permit
from core.ports import BrokerAccess, Hooks, Repository, SingleUse
from core.provision import Provision
from core.report import TakeReport
from core.strategy import APPROVE_NEW
from core.triples import WEAK_SIGN_METHODS

OPTIONS = thingsboard.OPTIONS | {WEAK_SIGN_METHODS, APPROVE_NEW}
"""The names that a profile may switch on."""


class Ports(msgspec.Struct, frozen=True):
    """What use cases stand on."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    watches: Watches
    authority: AuthorityWork
    challenges: SingleUse
    hooks: Hooks
    access: BrokerAccess | None = None


class Bound(msgspec.Struct, frozen=True):
    """Use cases by the message they answer, and the one that connections ask."""

    use_cases: Mapping[type, UseCase]
    authenticate: Authenticate
    permit: Permit
    acquaintances: Acquaintances
    handshakes: Handshakes


class _Presence(msgspec.Struct, frozen=True):
    """Knows who is connected by who is watched over. Satisfies `core.ports.Presence`."""

    watches: Watches

    def is_connected(self, device: DeviceId) -> bool:
        """Tell whether a device has an open connection here on which it proved itself."""
        return self.watches.is_watched(session_key(device))


def bind(ports: Ports, config: Config, admin: Lookup, reserved: frozenset[str]) -> Bound:
    """Bind them. `admin` is the admin token's, `reserved` are the ids that no tenant may have."""
    base = (ports.repository, ports.issuer, ports.audit)
    provision = Provision(*base, Buckets(config.limit_source), Buckets(config.limit_claim_key), ports.hooks)
    failures = _lockout(config)
    authenticate = Authenticate(*base, failures, provision, config.plain.default)
    permit = Permit(ports.repository, ports.issuer)
    acquaintances = Acquaintances(Logins(ports.repository, ports.issuer), authenticate.holds)
    questions = BrokerQuestions(authenticate, acquaintances, permit, spoken.topic_spaces(config), ports.access)
    claiming = thingsboard.CLAIMING
    operate = Operate(
        *base,
        admin,
        _lockout(config),
        OPTIONS,
        reserved,
        claiming,
        _Presence(ports.watches),
        certifier=ports.authority.certifier,
    )

    return Bound(
        {
            ProvisionRequest: provision,
            **_of_strangers(base, ports, config),
            **_of_devices(base, authenticate, claiming),
            **ports.authority.use_cases(*base, authenticate, config),
            LogIn: OperatorLogin(*base, _lockout(config), config.session_seconds),
            Operation: operate,
            Operations: operate.each,
            operator.DescribeApi: operator.describe,
            AskLogin: questions.login,
            AskTopics: questions.topics,
            AskDelivery: questions.delivery,
            brokers.Declined: brokers.decline,
        },
        authenticate,
        permit,
        acquaintances,
        Handshakes(*base, failures),
    )


def _lockout(config: Config) -> Lockout:
    """Return a rule with tables of its own; without a limit for sources there is none at all."""
    source = config.limit_failures
    return Lockout(source, config.limit_failures_pair if source.per_second else source)


_Base = tuple[Repository, Issuer, Audit]


def _of_strangers(base: _Base, ports: Ports, config: Config) -> dict[type, Any]:
    """Return those for devices that have no identity yet."""
    signing = Buckets(config.limit_source), Buckets(config.limit_claim_key)  # these count what is wrong alone
    failures = _lockout(config)  # of both forms together: a wrong proof is a wrong key
    shared_key = bootstrap_key.parse(config.bootstrap_encrypt_key, config.bootstrap_key_format)
    return {
        EnrolRequest: Enrol(*base, *signing, ports.hooks),
        ConnectRequest: FetchTriple(*base, *signing, ports.hooks),
        BootstrapRequest: Bootstrap(*base, failures, shared_key),
        AskChallenge: OfferChallenge(ports.issuer, ports.challenges),
        ProvenBootstrap: BootstrapByChallenge(*base, failures, ports.challenges),
    }


def _of_devices(base: _Base, authenticate: Authenticate, claiming: ClaimingTerms) -> dict[type, Any]:
    """Return those for devices that have their identity."""
    repository, issuer, audit = base
    return {
        Report: TakeReport(authenticate),
        OpenSession: OpenSessions(authenticate),
        AskFields: ReadFields(repository, authenticate),
        SetFields: WriteFields(repository, authenticate, audit),
        AskFirmware: TellFirmware(repository, issuer, authenticate),
        ReportFirmware: NoteFirmware(repository, issuer, audit, authenticate),
        AnnounceClaims: Announce(repository, issuer, audit, authenticate, claiming),
    }
