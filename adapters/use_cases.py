"""Binds the core's use cases to their ports and to the settings: who answers which message."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters import bootstrap_key, spoken
from adapters.answering import UseCase
from adapters.authority_work import AuthorityWork
from adapters.config import Config
from adapters.dialects import brokers, operator, thingsboard
from adapters.watching import Watches, session_key
from core.acquaintance import Acquaintances
from core.announce import Announce
from core.associate import ClaimingTerms
from core.audit import Audit
from core.authenticate import Authenticate
from core.bootstrap import Bootstrap
from core.broker_questions import AskDelivery, AskLogin, AskTopics, BrokerQuestions
from core.enrol import Enrol
from core.fetch_triple import FetchTriple
from core.fields import ReadFields, WriteFields
from core.firmware import NoteFirmware, TellFirmware
from core.handshakes import Handshakes
from core.issuer import Issuer
from core.limits import Buckets
from core.login import OperatorLogin
from core.logins import Logins
from core.messages import (
    AnnounceClaims,
    AskFields,
    AskFirmware,
    BootstrapRequest,
    ConnectRequest,
    EnrolRequest,
    OpenSession,
    ProvisionRequest,
    Report,
    ReportFirmware,
    SetFields,
)
from core.model import DeviceId, Lookup
from core.open_session import OpenSessions
from core.operate import Operate
from core.operate.directing import LogIn
from core.operate.messages import Operation, Operations
from core.permit import Permit
from core.ports import BrokerAccess, Repository
from core.provision import Provision
from core.report import TakeReport
from core.triples import WEAK_SIGN_METHODS

OPTIONS = thingsboard.OPTIONS | {WEAK_SIGN_METHODS}
"""The names that a profile may switch on."""


class Ports(msgspec.Struct, frozen=True):
    """What use cases stand on."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    watches: Watches
    authority: AuthorityWork
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
    provision = Provision(*base, Buckets(config.limit_source), Buckets(config.limit_claim_key))
    failures = Buckets(config.limit_failures)
    authenticate = Authenticate(*base, failures, provision, config.plain.default)
    permit = Permit(ports.repository, ports.issuer)
    acquaintances = Acquaintances(Logins(ports.repository, ports.issuer), authenticate.holds)
    questions = BrokerQuestions(authenticate, acquaintances, permit, spoken.topic_spaces(config), ports.access)
    claiming = thingsboard.CLAIMING
    operate = Operate(
        *base,
        admin,
        Buckets(config.limit_failures),
        OPTIONS,
        reserved,
        claiming,
        _Presence(ports.watches),
        certifier=ports.authority.certifier,
    )

    return Bound(
        {
            ProvisionRequest: provision,
            **_of_strangers(base, config),
            **_of_devices(base, authenticate, claiming),
            **ports.authority.use_cases(*base, authenticate, config),
            LogIn: OperatorLogin(*base, Buckets(config.limit_failures), Buckets(config.limit_failures), config.session_seconds),
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


_Base = tuple[Repository, Issuer, Audit]


def _of_strangers(base: _Base, config: Config) -> dict[type, Any]:
    """Return those for devices that have no identity yet."""
    signing = Buckets(config.limit_source), Buckets(config.limit_claim_key)  # these count what is wrong alone
    shared_key = bootstrap_key.parse(config.bootstrap_encrypt_key, config.bootstrap_key_format)
    return {
        EnrolRequest: Enrol(*base, *signing),
        ConnectRequest: FetchTriple(*base, *signing),
        BootstrapRequest: Bootstrap(*base, Buckets(config.limit_failures), shared_key),
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
