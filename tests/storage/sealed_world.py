"""A registry in which something is sealed wherever anything can be, under a master key that is then rotated."""

import asyncio
from collections.abc import Awaitable, Callable

from core.admission import hook_row
from core.attestation import secret_row
from core.configuration import config_row
from core.crypto.key_ring import MasterKeys, Opened, open_ring
from core.crypto.vault import Vault
from core.issuer import credential_row
from core.model import CredentialId, DeviceId, Hook, ProfileId, Secret
from core.ports import Changes, Entity, Repository
from core.resealing import KeyRing, Rotated, Rotation
from tests.fakes import FrozenClock, SeededEntropy
from tests.storage.entities import a_config, a_credential, a_device, a_profile

OLD_KEY, NEW_KEY = bytes(range(32)), bytes(range(50, 82))
OLD, BOTH, NEW = MasterKeys(OLD_KEY), MasterKeys(NEW_KEY, OLD_KEY), MasterKeys(NEW_KEY)
CLOCK = FrozenClock()


async def opened(ring: KeyRing, masters: MasterKeys) -> Vault:
    """Open a ring as a gateway does when it starts."""
    found: Opened = open_ring(await ring.keys(), masters, SeededEntropy(), CLOCK.now())
    if found.addition is not None:
        await ring.add(found.addition)
    return found.vault


def a_world(vault: Vault, devices: int) -> Changes:
    """Return two profiles, one of them with everything, and devices with a credential and a configuration each."""
    ours, theirs = ProfileId("profile-0001"), ProfileId("profile-0002")
    secret = vault.seal(Secret("secret"), secret_row(ours))
    whole = a_profile(
        1,
        provision_secret=secret,
        previous_secret=vault.seal(Secret("before"), secret_row(ours)),
        previous_until=7,
        hook=Hook(url='https://hooks.example/?"secret":"x"', secret=vault.seal(Secret("hook"), hook_row(ours))),
    )
    plain = a_profile(2, provision_secret=vault.seal(Secret("plain"), secret_row(theirs)))
    return Changes(insert=(whole, plain, *(entity for number in range(1, devices + 1) for entity in a_sealed(vault, number))))


def a_sealed(vault: Vault, number: int) -> tuple[Entity, ...]:
    """Return a device with what is sealed of it; every third has nothing but an external key."""
    device, credential = DeviceId(f"device-{number:04}"), CredentialId(f"credential-{number:04}")
    whole = bool(number % 3)
    return (
        a_device(number),
        a_credential(number, sealed=vault.seal(Secret(f"token-{number}"), credential_row(credential)) if whole else None),
        a_config(
            number,
            external_key=vault.seal(Secret(f"key-{number}"), config_row(device, "external key")),
            content=vault.seal(Secret("content"), config_row(device, "content")) if whole else None,
            certificates=vault.seal(Secret("certificates"), config_row(device, "certificates")) if number % 2 else None,
        ),
    )


async def rotate(ring: KeyRing, vault: Vault, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> Rotated:
    """Seal everything again under the new key."""
    return await Rotation(ring, vault, BOTH.id, CLOCK, SeededEntropy(), pause, lambda rows: None)(0.0)


async def filled(repository: Repository, ring: KeyRing, devices: int) -> None:
    """Put a world into a registry under the old key, and start a gateway with both."""
    await repository.commit(a_world(await opened(ring, OLD), devices))
    await opened(ring, BOTH)
