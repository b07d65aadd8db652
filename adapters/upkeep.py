"""What a gateway does in its registry from time to time, whoever asks."""

import asyncio

import structlog

from adapters import keys
from adapters.config import Config
from core.errors import Refusal
from core.issuer import Issuer
from core.ports import Repository
from storage.key_rings import open_key_ring

PRUNE_SECONDS = 60.0


class Upkeep:
    """Forgets the oldest events, and looks whether the master key is the right one still."""

    def __init__(self, config: Config, repository: Repository, secrets: keys.Keys, issuer: Issuer) -> None:
        self._config = config
        self._repository = repository
        self._secrets = secrets
        self._issuer = issuer
        self._log = structlog.get_logger("firstlight")

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            try:
                await self._stay_on_ring()
                await self._forget_old_events()
            except Refusal as refusal:
                self._log.warning("events could not be pruned", detail=refusal.detail)
            except Exception:
                self._log.exception("the registry could not be looked after, it is tried again")
            await asyncio.sleep(PRUNE_SECONDS)

    async def _stay_on_ring(self) -> None:
        try:
            async with open_key_ring(self._config.database_url) as ring:
                caution = await keys.stay(ring, self._secrets.masters(), self._issuer.clock, self._issuer.entropy)
        except Refusal as refusal:
            caution = f"the key ring could not be looked at: {refusal.detail}"
        if caution:
            self._log.warning(caution)

    async def _forget_old_events(self) -> None:
        while await self._repository.prune_events(self._config.events_keep):
            pass  # a few thousand went; others had their turn meanwhile
