"""Puts devices that can log in over MQTT into a new registry: each has a ThingsBoard token and a Xively secret."""

import asyncio
from pathlib import Path

import msgspec

from adapters.app import build
from adapters.config import from_environment
from adapters.demo import ensure_profile
from core.crypto.tokens import new_id
from core.issuer import Issuer
from core.model import DEFAULT_TENANT, Device, DeviceId, DeviceState, Profile
from core.ports import Changes, Entity
from tests.bench.mqtt_cost import packet, text

BATCH = 256
KEEP_ALIVE_SECONDS = 600
UNLIMITED = {
    "FIRSTLIGHT_HTTP": "",
    "FIRSTLIGHT_COAP": "",
    "FIRSTLIGHT_MQTT": "127.0.0.1:0",
    "FIRSTLIGHT_MQTT_CONNECTS_PER_SECOND": "0",
    "FIRSTLIGHT_MQTT_CONNECTIONS_PER_SOURCE": "0",
}


def upstream(port: int) -> dict[str, str]:
    """Return settings without limits for a gateway in front of a broker."""
    return UNLIMITED | {"FIRSTLIGHT_MQTT_UPSTREAM": f"mqtt://127.0.0.1:{port}"}


class Member(msgspec.Struct, frozen=True):
    """A device and what it logs in with: the token as a user name alone, or the id as a user name with the secret."""

    device: str
    token: str
    secret: str

    @property
    def space(self) -> str:
        """The topic that all of its Xively channels are below, with a broker as without."""
        return f"xi/blue/v1/{DEFAULT_TENANT}/d/{self.device}"

    def thingsboard_connect(self) -> bytes:
        """Return CONNECT as the vendor's library sends it: the token is client id and user name, and there is no password."""
        return connect(self.token, username=self.token)

    def xively_connect(self) -> bytes:
        """Return CONNECT as the vendor's library sends it."""
        return connect(self.device, username=self.device, password=self.secret)


def connect(client_id: str, *, username: str = "", password: str = "") -> bytes:
    """Return a CONNECT of MQTT 3.1.1 for a clean session."""
    flags = 0x02 | (0x80 if username else 0) | (0x40 if password else 0)
    head = text("MQTT") + bytes((4, flags)) + KEEP_ALIVE_SECONDS.to_bytes(2, "big")
    return packet(0x10, head + b"".join(text(part) for part in (client_id, username, password) if part))


def make(folder: Path, devices: int) -> tuple[Member, ...]:
    """Make a registry with this many devices in a folder."""
    return asyncio.run(_make(folder, devices))


async def _make(folder: Path, devices: int) -> tuple[Member, ...]:
    members: list[Member] = []
    async with build(from_environment(UNLIMITED | {"FIRSTLIGHT_DATA": str(folder)})).running() as running:
        claim = await ensure_profile(running.repository, running.issuer)
        assert claim is not None
        while len(members) < devices:
            made = [await _device(running.issuer, claim[0], len(members) + number) for number in range(BATCH)]
            await running.repository.commit(Changes(insert=tuple(entity for _, entities in made for entity in entities)))
            members += [member for member, _ in made]
    return tuple(members[:devices])


async def _device(issuer: Issuer, profile: Profile, number: int) -> tuple[Member, tuple[Entity, ...]]:
    now, token, secret = issuer.clock.now(), issuer.new_token(), issuer.new_shown_secret()
    device = Device(
        id=DeviceId(new_id(now, issuer.entropy)),
        tenant=profile.tenant,
        profile=profile.id,
        name=f"meter-{number}",
        state=DeviceState.PROVISIONED,
        created_at=now,
        updated_at=now,
    )
    credentials = [await issuer.issue(value, device.id, keep=False) for value in (token, secret)]
    return Member(device.id, token.token.reveal(), secret.secret.reveal()), (device, *credentials)
