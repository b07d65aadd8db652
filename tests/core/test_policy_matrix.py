"""What each policy of a profile makes of a device in each state of its life: one table, held against both stores.

A row is a way in and a policy; a column is where the device is. `give` is a first credential, `same` the one that it has,
`rotate` a new one on trial; anything else is the check that refused, after which nothing is stored but what waits for approval.
"""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from core.approvals import WAITING_MS
from core.crypto import signatures
from core.enrol import Enrol
from core.errors import Refusal
from core.limits import Buckets
from core.messages import AccessToken, EnrolRequest, Identity, SignedSerial, TokenLogin, Triple
from core.model import (
    DEFAULT_TENANT,
    Device,
    DeviceState,
    Profile,
    Reprovision,
    Secret,
    SignedPolicy,
    Strategy,
    Verdict,
)
from core.ports import Changes, Delete, Repository
from core.queries import ApprovalPage, DeviceSnapshot
from core.strategy import APPROVE_NEW
from storage import open_repository
from storage.memory import MemoryRepository
from tests.core.approving import an_approval
from tests.core.registry import CONTEXT, KEY, SECRET, UNLIMITED, Registry, claim

NAME = "meter-0042"
TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
TRIPLE = Triple("PKey", "DKey", Secret("DSecret"))

COLUMNS: Final = ("unknown", "defined", "provisioned", "connected", "associated", "discarded", "disabled", "revoked")
"""The states; a disabled device is a provisioned one that was switched off, a revoked one has lost its credentials."""

EXISTS, ALREADY, UNPROVED = "device.exists", "device.already_provisioned", "reprovision.unproved"
WAITS, REVOKED, UNKNOWN = "approval.waiting", "credential.revoked", "device.unknown"
_OUT = ("device.discarded", "device.disabled")
New, Expected, Signs = Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED, Strategy.SIGNED


def _row(unknown: str, defined: str, again: str, revoked: str = REVOKED) -> tuple[str, ...]:
    return (unknown, defined, again, again, again, *_OUT, revoked)


MATRIX: Final = {
    # way in, what is said of those who come again, and how they come: what unknown, defined and later devices get
    (New, "deny", ""): _row("give", EXISTS, EXISTS, EXISTS),
    (New, "same", ""): _row("give", "same", "same"),
    (New, "rotate", ""): _row("give", "rotate", "rotate"),
    (New, "approve", ""): _row("give", WAITS, WAITS),
    (New, "approve", "granted"): _row("give", "rotate", "rotate"),
    (New, "approve", "refused"): _row("give", "approval.refused", "approval.refused"),
    (New, "prove", ""): _row("give", UNPROVED, UNPROVED),
    (New, "prove", "proved"): _row("give", "rotate", "rotate"),
    (New, "deny approve-new", ""): _row(WAITS, EXISTS, EXISTS, EXISTS),
    (New, "deny approve-new", "granted"): _row("give", EXISTS, EXISTS, EXISTS),
    (Expected, "deny", ""): _row(UNKNOWN, "same", ALREADY, ALREADY),
    (Expected, "same", ""): _row(UNKNOWN, "same", "same"),
    (Expected, "rotate", ""): _row(UNKNOWN, "same", "rotate"),
    (Expected, "approve", ""): _row(UNKNOWN, "same", WAITS),
    (Expected, "approve", "granted"): _row(UNKNOWN, "same", "rotate"),
    (Expected, "prove", ""): _row(UNKNOWN, "same", UNPROVED),
    (Expected, "prove", "proved"): _row(UNKNOWN, "same", "rotate"),
    # A triple is allocated once, and given as often as a device signs for it, whatever is said of those who come again, but for
    # approval and proof; who lost it is allocated anew by an operator.
    (Signs, "deny", ""): _row("give", "same", "same"),
    (Signs, "same", ""): _row("give", "same", "same"),
    (Signs, "rotate", ""): _row("give", "same", "same"),
    (Signs, "approve", ""): _row("give", "same", WAITS),
    (Signs, "approve", "granted"): _row("give", "same", "same"),
    (Signs, "prove", ""): _row("give", "same", UNPROVED),
    (Signs, "prove", "proved"): _row("give", "same", "same"),
    (Signs, "deny approve-new", ""): _row(WAITS, "same", "same"),
    (Signs, "deny approve-new", "granted"): _row("give", "same", "same"),
}
Row = tuple[str, str, str, str, str]
CASES: Final[list[Row]] = [
    (strategy.value, policy, how, column, told)
    for (strategy, policy, how), cells in MATRIX.items()
    for column, told in zip(COLUMNS, cells, strict=True)
]
STATES = {"disabled": DeviceState.PROVISIONED, "revoked": DeviceState.PROVISIONED}


class Case:
    """A profile with its policy, a device in its state, and the device's way to come."""

    def __init__(self, registry: Registry, profile: Profile, device: Device | None, how: str) -> None:
        self.registry = registry
        self.profile = profile
        self.device = device
        self.how = how

    async def answer_beforehand(self) -> None:
        """Have an operator answer the device before it comes."""
        if self.how not in ("granted", "refused"):
            return
        verdict = Verdict.GRANTED if self.how == "granted" else Verdict.REFUSED
        known = self.device.id if self.device is not None else None
        entry = an_approval(
            self.profile, NAME, device=known, verdict=verdict, expires_at=self.registry.clock.now() + WAITING_MS
        )
        await self.registry.repository.commit(Changes(insert=(entry,)))

    async def come(self) -> AccessToken | Triple | str:
        """Ask for an identity; returns the credential, or the check that refused."""
        self.registry.clock.advance(1)
        try:
            return await self._enrol() if self.profile.strategy is Signs else await self._provision()
        except Refusal as refusal:
            return refusal.check

    async def _provision(self) -> AccessToken:
        proof = TokenLogin(TOKEN.token) if self.how == "proved" else None
        given = await self.registry.provision(msgspec.structs.replace(claim(NAME), proof=proof), CONTEXT)
        assert isinstance(given.credential, AccessToken)
        return given.credential

    async def _enrol(self) -> Triple:
        registry = self.registry
        enrol = Enrol(registry.repository, registry.issuer, registry.audit, Buckets(UNLIMITED), Buckets(UNLIMITED))
        found = await registry.snapshot(NAME)
        proved = None
        if self.how == "proved" and found is not None and found.credentials:
            proved = Identity(DEFAULT_TENANT, found.device.id, NAME, found.credentials[0].id)
        digest = signatures.enrolment(NAME, "1", Secret(SECRET))
        request = EnrolRequest(group=KEY, proof=SignedSerial(NAME, "1", digest), connection=proved)
        return (await enrol(request, CONTEXT)).triple

    async def stored(self) -> DeviceSnapshot | None:
        return await self.registry.snapshot(NAME)


async def arrange(repository: Repository, strategy: Strategy, policy: str, how: str, column: str) -> Case:
    registry = Registry(repository)
    reprovision, _, option = policy.partition(" ")
    profile = await registry.profile(strategy, Reprovision(reprovision), options=(APPROVE_NEW,) if option else ())
    if strategy is Signs:
        signed = SignedPolicy(product_key="PKey", timestamp_tolerance_s=None)
        profile = msgspec.structs.replace(profile, signed=signed, version=profile.version + 1)
        await repository.commit(Changes(replace=(profile,)))
    device = None
    if column != "unknown":
        value = TRIPLE if strategy is Signs else TOKEN
        device = await registry.device(profile, NAME, value, state=STATES.get(column) or DeviceState(column))
        changes = {"serial": NAME, "unique_serial": True} if strategy is Signs else {}
        device = await registry.alter(device, enabled=column != "disabled", **changes)
    if column == "revoked":
        held = (await registry.known(NAME)).credentials
        await repository.commit(Changes(delete=tuple(map(Delete, held))))
    case = Case(registry, profile, device, how)
    await case.answer_beforehand()
    return case


@pytest.mark.parametrize("row", CASES, ids=" ".join)
async def test_the_matrix(row: Row) -> None:
    await hold(MemoryRepository(), row)


@pytest.mark.parametrize("row", [row for row in CASES if row[3] == "connected"], ids=" ".join)
async def test_the_matrix_on_disk(row: Row, tmp_path: Path) -> None:
    async with open_repository(f"sqlite:{tmp_path / 'registry.db'}") as repository:
        await hold(repository, row)


async def hold(repository: Repository, row: Row) -> None:
    """Have a device come, and hold what it is told and what is stored against the table."""
    strategy, policy, how, column, told = row
    case = await arrange(repository, Strategy(strategy), policy, how, column)
    before = await case.stored()
    given = await case.come()
    after = await case.stored()
    if told not in ("give", "same", "rotate"):
        assert given == told
        assert after == before
        await _require_queue(case, told)
        return
    assert not isinstance(given, str), given
    assert after is not None
    await _require_stored(case, given, told, before, after)
    if how == "granted" and _was_used(case, before):
        assert await _queue(case) == ()


def _was_used(case: Case, before: DeviceSnapshot | None) -> bool:
    """Tell whether a grant was needed: for those who come for the first time where the profile says so, else for others."""
    if APPROVE_NEW in case.profile.options:
        return before is None
    if case.profile.reprovision is not Reprovision.APPROVE or before is None:
        return False
    first = before.device.state is DeviceState.DEFINED and case.profile.strategy is not New
    return not first


async def _require_stored(
    case: Case, given: AccessToken | Triple, told: str, before: DeviceSnapshot | None, after: DeviceSnapshot
) -> None:
    lookup = case.registry.issuer.lookup(given)
    held = {each.lookup: each.trial for each in after.credentials}
    if told == "give":
        assert before is None
        assert held == {lookup: False}
        assert after.device.state is DeviceState.PROVISIONED
        return
    assert before is not None
    (old,) = before.credentials
    if told == "same":
        assert held == {old.lookup: False} == {lookup: False}
        first = before.device.state is DeviceState.DEFINED and case.profile.strategy is not New
        assert after.device.state is (DeviceState.PROVISIONED if first else before.device.state)
    else:
        assert held == {old.lookup: False, lookup: True}
        assert lookup != old.lookup
        assert after.device.state is before.device.state


async def _require_queue(case: Case, told: str) -> None:
    waiting = await _queue(case)
    if told == WAITS:
        assert waiting == (Verdict.WAITING,)
    elif told == "approval.refused":
        assert waiting == (Verdict.REFUSED,)
    else:
        assert waiting == ((Verdict(case.how),) if case.how in ("granted", "refused") else ())


async def _queue(case: Case) -> tuple[Verdict, ...]:
    page = ApprovalPage(tenant=DEFAULT_TENANT)
    return tuple(each.verdict for each in await case.registry.repository.read(page))


def test_every_policy_is_in_the_table() -> None:
    for strategy in (New, Expected, Signs):
        policies = {policy.partition(" ")[0] for way, policy, _ in MATRIX if way is strategy}
        assert policies == {reprovision.value for reprovision in Reprovision}
    assert set(COLUMNS) == {"unknown", "disabled", "revoked", *(state.value for state in DeviceState)}
