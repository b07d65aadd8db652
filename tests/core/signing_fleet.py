"""A registry with groups whose devices sign, and the requests that such devices make."""

from typing import Any

import msgspec

from core.attestation import secret_row
from core.crypto import signatures
from core.crypto.tokens import new_id
from core.enrol import Enrol
from core.fetch_triple import FetchTriple
from core.limits import Buckets, Rate
from core.messages import BranchRequest, ConnectRequest, Enrolled, EnrolRequest, SignedSerial
from core.model import (
    DEFAULT_TENANT,
    Device,
    DeviceId,
    DeviceState,
    Profile,
    ProfileId,
    Secret,
    SignedPolicy,
    Strategy,
    TenantId,
)
from core.ports import Changes, Repository
from core.queries import EnrolQuery, EnrolSnapshot
from tests.core.registry import CONTEXT, UNLIMITED, Registry
from tests.fakes import START

GROUP = "QK7M2A"
PASSWORD = "Pa55word"
SERIAL = "SN-0001"
PRODUCT_KEY = "a1B2c3D4"


class Fleet(Registry):
    """The core with the use cases of devices that sign."""

    def __init__(
        self, repository: Repository | None = None, *, sources: Rate = UNLIMITED, groups: Rate = UNLIMITED, **limits: Rate
    ) -> None:
        super().__init__(repository, **limits)
        buckets = Buckets(sources), Buckets(groups)
        self.enrol = Enrol(self.repository, self.issuer, self.audit, *buckets)
        self.fetch = FetchTriple(self.repository, self.issuer, self.audit, *buckets)

    async def group(
        self,
        key: str = GROUP,
        password: str = PASSWORD,
        *,
        tenant: TenantId = DEFAULT_TENANT,
        strategy: Strategy = Strategy.SIGNED,
        metadata: dict[str, Any] | None = None,
        **policy: Any,
    ) -> Profile:
        """Add a group."""
        identity = ProfileId(new_id(self.clock.now(), self.entropy))
        profile = Profile(
            id=identity,
            tenant=tenant,
            name=f"group {key}",
            strategy=strategy,
            provision_key=key,
            provision_secret=self.vault.seal(Secret(password), secret_row(identity)),
            signed=SignedPolicy(**({"product_key": PRODUCT_KEY} | policy)),
            metadata=metadata or {},
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        await self.repository.commit(Changes(insert=(profile,)))
        return profile

    async def expect(self, group: Profile, serial: str = SERIAL, name: str = "", **fields: Any) -> Device:
        """Define a device of a group, as an operator does."""
        now = self.clock.now()
        device = Device(
            id=DeviceId(new_id(now, self.entropy)),
            tenant=group.tenant,
            profile=group.id,
            name=name or serial,
            serial=serial,
            unique_serial=True,
            created_at=now,
            updated_at=now,
            **fields,
        )
        await self.repository.commit(Changes(insert=(device,)))
        return device

    async def allocated(self, group: Profile, serial: str = SERIAL, *, password: str = PASSWORD, **fields: Any) -> Enrolled:
        """Let a device in that an operator expects."""
        await self.expect(group, serial, **fields)
        return await self.enrol(enrolment(serial, group=group.provision_key, password=password), CONTEXT)

    async def change_group(self, group: Profile, **fields: Any) -> Profile:
        """Replace fields of a group, as an operator would."""
        changed = msgspec.structs.replace(group, version=group.version + 1, **fields)
        await self.repository.commit(Changes(replace=(changed,)))
        return changed

    async def found(self, serial: str = SERIAL, group: str = GROUP) -> EnrolSnapshot:
        """Return what is known about a serial."""
        return await self.repository.read(EnrolQuery(group, serial, ()))

    async def move(self, serial: str, *states: DeviceState) -> Device:
        """Bring a device to a state, through others."""
        device = (await self.found(serial)).device
        assert device is not None
        for state in states:
            device = await self.alter(device, state=state)
        return device


def signed(serial: str = SERIAL, *, at: int | str = START, password: str = PASSWORD) -> SignedSerial:
    """Sign as a device does."""
    return SignedSerial(serial, str(at), signatures.enrolment(serial, str(at), Secret(password)))


def enrolment(serial: str = SERIAL, *, group: str = GROUP, **fields: Any) -> EnrolRequest:
    """Ask for an identity."""
    proof = {name: fields.pop(name) for name in ("at", "password") if name in fields}
    return EnrolRequest(group=group, proof=signed(serial, **proof), **fields)


def connection(serial: str = SERIAL, sub: BranchRequest | None = None, **proof: Any) -> ConnectRequest:
    """Ask for the triple again."""
    return ConnectRequest(proof=signed(serial, **proof), sub=sub)
