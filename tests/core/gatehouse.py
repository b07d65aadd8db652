"""A registry whose claim keys have limits, the devices that come to it, and the operator beside them."""

from typing import Any

import msgspec
import pytest

from core.errors import Refusal
from core.limits import Buckets, Rate
from core.lockout import Lockout
from core.messages import Context, Enrolled, EnrolRequest, Provisioned, ProvisionRequest
from core.model import DEFAULT_TENANT, ClaimPolicy, Profile, Secret
from core.operate import Operate, Operation, bearer_lookup
from core.operate.claim_rules import GiveLeave
from core.operate.messages import Command
from core.ports import Changes, Repository
from core.provision import Provision
from core.queries import ProfileQuery, TombstonePage, TombstoneQuery
from tests.core.registry import CONTEXT, UNLIMITED
from tests.core.signing_fleet import Fleet

ADMIN = Secret("the admin token of these tests")
NAME = "meter-0042"


class Gatehouse(Fleet):
    """The core with the use cases of devices and of operators over one registry."""

    def __init__(self, repository: Repository | None = None, **limits: Rate) -> None:
        super().__init__(repository, **limits)
        sources, claim_keys = limits.get("sources", UNLIMITED), limits.get("claim_keys", UNLIMITED)
        self.provision = Provision(self.repository, self.issuer, self.audit, Buckets(sources), Buckets(claim_keys))
        admin = bearer_lookup(self.vault, ADMIN)
        self.operate = Operate(self.repository, self.issuer, self.audit, admin, Lockout(UNLIMITED), frozenset())

    async def command(self, command: Command) -> Any:
        """Give a command as an operator, a millisecond after the last one."""
        self.clock.advance(0.001)
        return await self.operate(Operation(ADMIN, None, command), CONTEXT)

    async def commanded_in_vain(self, command: Command) -> Refusal:
        """Give a command that is refused."""
        with pytest.raises(Refusal) as refusal:
            await self.command(command)
        return refusal.value

    async def limit(self, profile: Profile, **policy: Any) -> Profile:
        """Limit what a claim key is good for."""
        known = await self.repository.read(ProfileQuery(profile.tenant, profile.id))
        assert known is not None
        changed = msgspec.structs.replace(known, claims=ClaimPolicy(**policy), version=known.version + 1)
        await self.repository.commit(Changes(replace=(changed,)))
        return changed

    async def made(self, profile: Profile) -> int | None:
        """Return how many devices a claim key has made."""
        known = await self.repository.read(ProfileQuery(profile.tenant, profile.id))
        assert known is not None
        return known.made

    async def come(self, request: ProvisionRequest | EnrolRequest, context: Context = CONTEXT) -> Provisioned | Enrolled:
        """Ask for an identity as a device, a millisecond after what was before."""
        self.clock.advance(0.001)
        if isinstance(request, EnrolRequest):
            return await self.enrol(request, context)
        return await self.provision(request, context)

    async def refused(self, request: ProvisionRequest | EnrolRequest, context: Context = CONTEXT) -> Refusal:
        """Ask in vain."""
        with pytest.raises(Refusal) as refusal:
            await self.come(request, context)
        return refusal.value

    async def leave(self, name: str = NAME, **fields: Any) -> None:
        """Let a device come back."""
        await self.command(GiveLeave(name, **fields))

    async def is_marked(self, name: str = NAME) -> bool:
        """Tell whether there is a tombstone of a name."""
        return await self.repository.read(TombstoneQuery(DEFAULT_TENANT, name)) is not None

    async def gone(self) -> list[str]:
        """Return the names of those that do not come back."""
        return [each.name for each in await self.repository.read(TombstonePage(DEFAULT_TENANT))]


def from_host(number: int) -> Context:
    """Return a request's context from one of 60,000 hosts."""
    return msgspec.structs.replace(CONTEXT, source=f"198.18.{number // 250}.{number % 250}")
