"""Binds the core's use cases to their ports and to the settings: who answers which message."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters import bootstrap_key, spoken
from adapters.answering import UseCase
from adapters.authority_work import AuthorityWork
from adapters.config import Config
from adapters.dialects import brokers, operator, thingsboard
from adapters.replicas.tallies import Tallies
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
from core.limits import Buckets, Rate
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
from core.model import Lookup
from core.open_session import OpenSessions
from core.operate import Operate
from core.operate.directing import LogIn
from core.operate.messages import Operation, Operations
from core.permit import Permit
from core.ports import BrokerAccess, Hooks, Presence, Repository, SingleUse
from core.provision import Provision
from core.report import TakeReport
from core.strategy import APPROVE_NEW
from core.triples import WEAK_SIGN_METHODS

OPTIONS = thingsboard.OPTIONS | {WEAK_SIGN_METHODS, APPROVE_NEW}
"""The names that a profile may switch on."""


class Ports(msgspec.Struct, frozen=True):
    """What use cases stand on. With `tallies` limits are counted together with other replicas."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    watches: Watches
    authority: AuthorityWork
    challenges: SingleUse
    hooks: Hooks
    presence: Presence
    tallies: Tallies | None = None
    access: BrokerAccess | None = None


class Bound(msgspec.Struct, frozen=True):
    """Use cases by the message they answer, and the one that connections ask."""

    use_cases: Mapping[type, UseCase]
    authenticate: Authenticate
    permit: Permit
    acquaintances: Acquaintances
    handshakes: Handshakes


def bind(ports: Ports, config: Config, admin: Lookup, reserved: frozenset[str]) -> Bound:
    """Bind them. `admin` is the admin token's, `reserved` are the ids that no tenant may have."""
    base = (ports.repository, ports.issuer, ports.audit)
    limits = _Limits(config, ports.tallies)
    provision = Provision(*base, *limits.claiming("provision"), ports.hooks)
    failures = limits.lockout("devices")
    authenticate = Authenticate(*base, failures, provision, config.plain.default)
    permit = Permit(ports.repository, ports.issuer)
    acquaintances = Acquaintances(Logins(ports.repository, ports.issuer), authenticate.holds)
    questions = BrokerQuestions(authenticate, acquaintances, permit, spoken.topic_spaces(config), ports.access)
    claiming = thingsboard.CLAIMING
    operate = Operate(
        *base,
        admin,
        limits.lockout("operators"),
        OPTIONS,
        reserved,
        claiming,
        ports.presence,
        certifier=ports.authority.certifier,
    )

    return Bound(
        {
            ProvisionRequest: provision,
            **_of_strangers(base, ports, config, limits),
            **_of_devices(base, authenticate, claiming),
            **ports.authority.use_cases(*base, authenticate, config, limits.signing()),
            LogIn: OperatorLogin(*base, limits.lockout("logins"), config.session_seconds),
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


class _Limits(msgspec.Struct, frozen=True):
    """Makes limits with tables of their own, each of which is known to other replicas by a word."""

    config: Config
    tallies: Tallies | None

    def lockout(self, word: str) -> Lockout:
        """Return a rule for wrong secrets; without a limit for sources there is none at all."""
        source = self.config.limit_failures
        pair = self.config.limit_failures_pair if source.per_second else source
        return Lockout(source, pair) if self.tallies is None else self.tallies.lockout(word, source, pair)

    def claiming(self, word: str) -> tuple[Buckets, Buckets]:
        """Return the limits of sources and of claim keys."""
        config = self.config
        return self._buckets(f"{word}.sources", config.limit_source), self._buckets(f"{word}.keys", config.limit_claim_key)

    def signing(self) -> tuple[Buckets, Buckets]:
        """Return the limits of sources and of devices that ask for certificates."""
        config = self.config
        return self._buckets("signing.sources", config.limit_source), self._buckets("signing.devices", config.limit_signing)

    def _buckets(self, word: str, rate: Rate) -> Buckets:
        return Buckets(rate) if self.tallies is None else self.tallies.buckets(word, rate)


_Base = tuple[Repository, Issuer, Audit]


def _of_strangers(base: _Base, ports: Ports, config: Config, limits: _Limits) -> dict[type, Any]:
    """Return those for devices that have no identity yet."""
    signing = limits.claiming("enrolment")  # these count what is wrong alone
    failures = limits.lockout("configurations")  # of both forms together: a wrong proof is a wrong key
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
