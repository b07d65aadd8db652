"""Opens what a registry is sealed under, and brings into it what the settings say of it."""

import contextlib

import msgspec

from adapters import keys
from adapters.config import Config, SettingError
from core.attestation import secret_row
from core.crypto.vault import SealBroken, Vault
from core.errors import Conflict
from core.model import DEFAULT_TENANT
from core.ports import Changes, Clock, Entropy, Repository
from core.queries import ProfilePage, TenantQuery
from storage import migration
from storage.key_rings import open_key_ring
from storage.postgres import migration as postgres_migration


async def open_vault(config: Config, repository: Repository, secrets: keys.Keys, clock: Clock, entropy: Entropy) -> Vault:
    """Return what seals and opens the secrets of a registry. Raises `SettingError` where a key does not fit it."""
    async with open_key_ring(config.database_url) as ring:
        masters = secrets.masters()
        if masters.previous is None and not await ring.keys():  # one that was made before there were rings
            await _require_key(repository, Vault(masters.sealing, entropy))
        return await keys.open_vault(ring, masters, clock, entropy)


async def _require_key(repository: Repository, vault: Vault) -> None:
    """Refuse to start with a master key that cannot open what the registry holds."""
    for profile in await repository.read(ProfilePage(DEFAULT_TENANT, limit=1)):
        try:
            vault.open(profile.provision_secret, secret_row(profile.id))
        except SealBroken as error:
            raise SettingError(keys.WRONG_KEY) from error


async def set_device_limit(repository: Repository, limit: int | None) -> None:
    """Let the default tenant have so many devices; None: any number."""
    while True:
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        if tenant is None or tenant.device_limit == limit:
            return
        changed = msgspec.structs.replace(tenant, device_limit=limit, version=tenant.version + 1)
        with contextlib.suppress(Conflict):  # another gateway changed it at this moment, perhaps to the same
            await repository.commit(Changes(replace=(changed,)))


def known_schema(database: str) -> int:
    """Return how many schema steps this version has for this kind of database, 0 for one without a schema."""
    kind = database.partition(":")[0]
    return {"memory": 0, "sqlite": len(migration.steps())}.get(kind, len(postgres_migration.steps()))
