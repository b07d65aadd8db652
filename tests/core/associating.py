"""The desk where devices are given to their owners, and the use cases by which these announce themselves."""

from typing import Any

import msgspec

from core import lifecycle
from core.announce import Announce
from core.associate import ClaimingTerms, announced_lookup, code_lookup
from core.audit import Audit
from core.firmware import NoteFirmware, TellFirmware
from core.limits import Rate
from core.lockout import Lockout
from core.messages import AccessToken, AnnounceClaims, ClaimNotice, ClaimsAnnounced, Context, TokenLogin
from core.model import DEFAULT_TENANT, Device, DeviceState, DirectoryEntry, PendingClaim, Role, Secret
from core.operate import Operate, bearer_lookup
from core.operate.associating import ClaimDevice, OfferDevice, Offered
from core.ports import Changes
from core.queries import DeviceClaimQuery, DeviceNamesQuery
from tests.core.directing import Reception
from tests.operating import ADMIN, Desk

CLOSED = "claiming-closed"
TERMS = ClaimingTerms(
    closed=CLOSED,
    allowed="allowed",
    announced="announced",
    secret="word",
    expires_at="until",
    gateway="gateway",
    gateway_id="behind",
)
CONTEXT = Context("01938a4e-0000-7000-8000-000000000000", "mqtt", "somebody", "192.0.2.7")
WORD = Secret("open sesame")


class Counter(Reception):
    """A desk with a profile of meters, whose devices can announce themselves."""

    def __init__(self, guesses: Rate | None = None, repository: Any = None, terms: ClaimingTerms | None = TERMS) -> None:
        super().__init__(repository=repository)
        self.operate = Operate(
            self.repository,
            self.issuer,
            self.audit,
            bearer_lookup(self.vault, ADMIN),
            Lockout(guesses or Rate(0, 0)),
            frozenset({CLOSED}),
            claiming=terms,
        )
        self.audit = Audit(self.repository, self.clock, self.issuer.entropy, Rate(0, 0))
        self.announce_claims = Announce(self.repository, self.issuer, self.audit, self.authenticate, TERMS)
        self.tell = TellFirmware(self.repository, self.issuer, self.authenticate)
        self.note = NoteFirmware(self.repository, self.issuer, self.audit, self.authenticate)

    async def woken(self, name: str = "meter-1", **fields: Any) -> Device:
        """Define a device that came once; its token is its name."""
        device = await self.device(name, **fields)
        return await self.alter(lifecycle.advance(device, DeviceState.CONNECTED, self.clock.now()))

    async def alter(self, device: Device, **changes: Any) -> Device:
        """Write a device in its next version; one that `lifecycle` made is that already."""
        (before,) = await self.repository.read(DeviceNamesQuery(device.tenant, (device.name,)))
        assert before is not None
        changed = msgspec.structs.replace(device, version=before.device.version + 1, **changes)
        await self.repository.commit(Changes(replace=(changed,)))
        return changed

    async def known(self, name: str = "meter-1") -> Device:
        """Return a device by its name."""
        (found,) = await self.repository.read(DeviceNamesQuery(DEFAULT_TENANT, (name,)))
        assert found is not None
        return found.device

    async def waiting(self, name: str = "meter-1") -> PendingClaim | None:
        """Return what a device waits for."""
        device = await self.known(name)
        return await self.repository.read(DeviceClaimQuery(device.tenant, device.id))

    async def offered(self, name: str = "meter-1", **fields: Any) -> Offered:
        """Draw a code."""
        offer: Offered = await self(OfferDevice(ref=name, **fields))
        return offer

    async def announce(
        self, *notices: ClaimNotice, token: str = "meter-1", secret: Secret = WORD, context: Context = CONTEXT
    ) -> ClaimsAnnounced:
        """Announce as the device of a token: by default itself, for a day."""
        said = notices or (ClaimNotice(secret=secret),)
        self.clock.advance(0.001)
        return await self.announce_claims(AnnounceClaims(TokenLogin(Secret(token)), said), context)

    async def claim(self, name: str = "meter-1", secret: Secret = WORD, bearer: Secret = ADMIN) -> Device:
        """Claim a device."""
        associated = await self(ClaimDevice(name=name, secret=secret), bearer)
        device: Device = associated.device
        return device

    async def customer(self, login: str = "ann@example.com", parent: str = "") -> tuple[DirectoryEntry, Secret]:
        """Make an end user, and return the entry and a bearer token of a session."""
        user = await self.user(login, Role.CUSTOMER, parent=parent)
        return user, (await self.open(login)).token


async def counter(**fields: Any) -> Counter:
    """Return a desk with a profile of meters."""
    desk = Counter(**fields)
    await desk.profile()
    return desk


def token(name: str) -> AccessToken:
    """Return the token of the device of a name."""
    return AccessToken(Secret(name))


CODE = Secret("BBBBBBBBBBBB")


async def stock_owned(desk: Desk) -> None:
    """Put three meters into a registry: `offered` has a code, `announced` announced itself, `owned` has its owner."""
    for name in ("offered", "announced", "owned"):
        state = DeviceState.ASSOCIATED if name == "owned" else DeviceState.CONNECTED
        device = msgspec.structs.replace(await desk.device(name), state=state, version=2)
        await desk.repository.commit(Changes(replace=(device,)))
        if name != "owned":
            announced = name == "announced"
            by_secret, by_code = announced_lookup(device.id, WORD, desk.vault), code_lookup(CODE, desk.vault)
            claim = PendingClaim(
                id=device.id,
                tenant=device.tenant,
                lookup=by_secret if announced else by_code,
                announced=announced,
                expires_at=desk.clock.now() + 3_600_000,
                created_at=desk.clock.now(),
            )
            await desk.repository.commit(Changes(insert=(claim,)))
