"""Keeps the broker in step: all of it at the start and from time to time, each device as soon as it changes."""

import time
from collections import Counter
from typing import Final

import aiomqtt
import msgspec
from structlog.typing import FilteringBoundLogger

from adapters.brokers.dynamic_security.changes import Plan, plan
from adapters.brokers.dynamic_security.conversation import ANSWER_SECONDS, LISTED, Conversation
from adapters.brokers.dynamic_security.inventory import Inventory
from adapters.brokers.dynamic_security.queue import Queue, Turn
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.dynamic_security.wanted import Unkept, Wanted, ownership
from adapters.brokers.link import Link, first_of
from adapters.watching import Watches
from core.model import DeviceId

_INSTEAD: Final = (
    "let devices connect through the gateway (FIRSTLIGHT_MQTT_UPSTREAM) or let the broker ask it (FIRSTLIGHT_BROKER_SECRET)"
)
_COST: Final = "every command rewrites the broker's whole file: 22 ms with 1,000 devices, 176 ms with 10,000"


class Terms(msgspec.Struct, frozen=True):
    """How it is kept.

    Nothing is added while the registry has more than `devices`. All is compared every `look_seconds`, and after a command that
    was refused already after `retry_seconds`, longer each time. The plug-in has `answer_seconds` for an answer; lists come in
    pages of `listed`. More than `queued` changes at once lead to a look at everything instead.
    """

    devices: int = 1_000
    look_seconds: float = 300.0
    retry_seconds: float = 30.0
    answer_seconds: float = ANSWER_SECONDS
    listed: int = LISTED
    queued: int = 10_000


class DynamicSecurity:
    """The clients and roles of one registry at one broker. Those of others are never touched."""

    def __init__(self, link: Link, reader: Reader, watches: Watches, log: FilteringBoundLogger, terms: Terms) -> None:
        self._link = link
        self._reader = reader
        self._watches = watches
        self._log = log
        self._terms = terms
        self._queue = Queue(terms.queued)
        self._inventory = Inventory(ownership(reader.issuer.vault))
        self._unkept: dict[DeviceId, tuple[Unkept, ...]] = {}
        self._until: dict[DeviceId, int] = {}
        self._told_unkept: Counter[Unkept] = Counter()
        self._is_full = False
        self._mended = 0
        self._looks = 0
        self._look_at = 0.0
        self._calm_at = 0.0
        self._looking = False
        self._refused = False
        self._retry_seconds = terms.retry_seconds

    async def run(self) -> None:
        """Keep the broker in step until cancelled."""
        unfollow = self._watches.follow(self._queue.told)
        try:
            await self._link.keep(self._work)
        finally:
            unfollow()

    async def _work(self, client: aiomqtt.Client) -> None:
        conversation = Conversation(client, self._terms.answer_seconds, self._terms.listed)
        await first_of(conversation.listen(), self._keep(conversation))

    async def _keep(self, conversation: Conversation) -> None:
        await conversation.open()
        await self._look(conversation, after_absence=True)
        while True:
            if self._queue.overflowed or time.monotonic() >= self._look_at:
                await self._look(conversation)
            if self._looking and not self._queue.is_looking():
                self._looked()
            self._expire()
            is_calm = time.monotonic() >= self._calm_at
            found = self._queue.pop(Turn if is_calm else (Turn.CHANGED,))
            if found is None:
                await self._queue.wait(self._rest())
            elif found[1] is Turn.CHANGED and not self._inventory.has(found[0]):
                # There is nothing to take away from it, and where there is no room nothing to give either.
                if not self._is_full:
                    self._queue.put_off(found[0])
            else:
                await self._settle(conversation, *found)

    def _rest(self) -> float:
        """Return the seconds until there is something to do if nobody changes anything."""
        ends = self._look_at
        if self._queue.is_waiting():
            ends = min(ends, self._calm_at)
        rest = ends - time.monotonic()
        if self._until:
            rest = min(rest, (min(self._until.values()) - self._reader.issuer.clock.now()) / 1000)
        return rest

    def _expire(self) -> None:
        now = self._reader.issuer.clock.now()
        for device in [device for device, until in self._until.items() if until <= now]:
            del self._until[device]
            self._queue.put(device)

    async def _look(self, conversation: Conversation, *, after_absence: bool = False) -> None:
        """Compare everything: ask what is there, and have every device looked at; those that are gone first."""
        self._queue.clear()
        inventory = Inventory(self._inventory.mark, await conversation.clients(), await conversation.roles())
        forgotten = self._inventory.missing_from(inventory)
        if after_absence and forgotten:
            self._log.warning(
                "the broker came back without what it was told; can its user write the file of plugin_opt_config_file?",
                missing=forgotten,
            )
        self._inventory = inventory
        there = inventory.devices()
        devices: dict[DeviceId, None] = {}
        if await self._has_room():
            devices = {device: None async for device in self._reader.devices()}
        self._queue.begin([*sorted(there - devices.keys()), *devices])
        self._forget_all_but(there | devices.keys())
        self._retry_seconds = self._retry_seconds * 2 if self._refused else self._terms.retry_seconds
        self._refused = False
        self._look_at = time.monotonic() + self._terms.look_seconds
        self._looking, self._mended = True, 0

    def _forget_all_but(self, devices: set[DeviceId]) -> None:
        self._unkept = {device: unkept for device, unkept in self._unkept.items() if device in devices}
        self._until = {device: until for device, until in self._until.items() if device in devices}

    def _looked(self) -> None:
        """Tell what came of a look at everything."""
        self._looking = False
        self._looks += 1
        if self._looks == 1:
            self._log.info("the broker is in step with the registry", **self._figures())
        elif self._mended:
            self._log.warning("the broker differed from the registry and was mended", **self._figures())
        unkept = Counter(reason for reasons in self._unkept.values() for reason in reasons)
        if unkept and unkept != self._told_unkept:
            counts = {reason.name.lower(): f"{number} ({reason.value})" for reason, number in unkept.items()}
            self._log.warning("credentials that the broker cannot check are left out", **counts, instead=_INSTEAD)
        self._told_unkept = unkept

    def _figures(self) -> dict[str, int]:
        return {"mended": self._mended, "clients": len(self._inventory.clients), "roles": len(self._inventory.roles)}

    async def _has_room(self) -> bool:
        """Tell whether devices may be added, and say so when that changes."""
        count = await self._reader.count()
        is_full = count > self._terms.devices
        if is_full and not self._is_full:
            self._log.error(
                "more devices than FIRSTLIGHT_BROKER_DEVICES: none are added to the broker, those there are still kept",
                devices=count,
                limit=self._terms.devices,
                cost=_COST,
                instead=_INSTEAD,
            )
        elif self._is_full and not is_full:
            self._log.info("the broker is given devices again", devices=count, limit=self._terms.devices)
            self._look_at = 0.0
        self._is_full = is_full
        return not is_full

    async def _settle(self, conversation: Conversation, device: DeviceId, turn: Turn) -> None:
        """Give one device what it should have."""
        planned = await self._planned(device)
        if not planned.changes:
            return
        began = time.monotonic()
        answers = await conversation.ask(*planned.changes)
        for change, answer in zip(planned.changes, answers, strict=True):
            if answer.error:
                self._log.warning("the broker refused a command", command=answer.command, device=device, error=answer.error)
                self._refused = True
            else:
                self._inventory.apply(change)
        if self._refused:
            self._look_at = min(self._look_at, time.monotonic() + self._retry_seconds)
        self._mended += turn is Turn.LOOK
        # The broker stood still for its other clients meanwhile: as long again is theirs, unless something is taken away.
        self._calm_at = 2 * time.monotonic() - began

    async def _planned(self, device: DeviceId) -> Plan:
        with self._queue.reading():
            return await self._read(device)

    async def _read(self, device: DeviceId) -> Plan:
        found = await self._reader.find(device)
        if found is None:
            return self._noted(Wanted(device), ())
        if not self._inventory.has(device) and not await self._has_room():
            return Plan()
        return self._noted(*await self._reader.wanted(found))

    def _noted(self, wanted: Wanted, parts: tuple[str, ...]) -> Plan:
        """Plan, and remember what the plan depends on."""
        device = wanted.device
        planned = plan(wanted, self._inventory)
        self._queue.depends(device, parts if wanted.accounts else ())
        self._unkept.pop(device, None)
        self._until.pop(device, None)
        unkept = (*wanted.unkept, *(Unkept.TAKEN,) * planned.taken)
        if unkept:
            self._unkept[device] = unkept
        if wanted.until is not None:
            self._until[device] = wanted.until
        return planned
