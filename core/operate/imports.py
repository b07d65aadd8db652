"""How operators define many devices at once: good rows are kept whatever the bad ones are."""

from collections.abc import Iterable, Sequence

import msgspec

from core.errors import Conflict, Reason, Refusal
from core.model import Credential, Device, EventKind, Profile
from core.operate import values
from core.operate.definition import make
from core.operate.messages import ImportDevices, ImportRow
from core.operate.registry import ATTEMPTS, HEALED, SENTENCES, Registry, Scope
from core.operate.results import Imported, RowError
from core.operate.sieve import Candidate, Sieve
from core.ports import Changes
from core.queries import DeviceNamesQuery, DeviceSnapshot, LoginQuery, LoginSnapshot

ROWS = 1_000
CHUNK = 100
"""Rows of one commit: enough that syncing the disk costs little, few enough that one conflict costs little."""

SECONDS = 5.0
"""After so long no further chunk is begun: a hundred passwords take some seconds, and a request has a time limit."""


class Plan(msgspec.Struct, frozen=True):
    """What becomes of some rows: those to make devices of, and the account of them all."""

    fresh: tuple[Candidate, ...]
    tally: Imported


class Imports(msgspec.Struct, frozen=True):
    """Imports devices. Repeating an import changes nothing: a device that is there keeps its credentials and state."""

    registry: Registry

    async def import_devices(self, command: ImportDevices, scope: Scope) -> Imported:
        """Make the devices of all good rows and tell what is wrong with the others.

        Raises `Refusal` MALFORMED for more than 1,000 rows, and UNAVAILABLE where the registry fails half-way or passwords
        take too long: what was written till then is kept, and the same import sent again goes on from there.
        """
        if len(command.rows) > ROWS:
            raise values.malformed(f"devices: at most {ROWS} rows at once, not {len(command.rows)}", "import.rows")
        sieve = Sieve(self.registry.issuer, await self._profiles(command, scope), command.profile)
        candidates = [candidate for row in command.rows if (candidate := sieve.pass_row(row))]
        tallies = [Imported(errors=tuple(sieve.errors))]
        deadline = self.registry.issuer.clock.monotonic() + SECONDS
        for start in range(0, len(candidates), CHUNK):
            if self.registry.issuer.clock.monotonic() > deadline:
                raise _unfinished()
            tallies.append(await self._settle(candidates[start : start + CHUNK], scope))
        return _sum(tallies)

    async def _profiles(self, command: ImportDevices, scope: Scope) -> dict[str, Profile]:
        named = {row.profile or command.profile for row in command.rows if isinstance(row, ImportRow)}
        found = {ref: await self.registry.find_profile(ref, scope) for ref in named if ref}
        return {ref: profile for ref, profile in found.items() if profile is not None}

    async def _settle(self, rows: Sequence[Candidate], scope: Scope) -> Imported:
        """Write some rows in one commit; when another request is in the way, each by itself, to tell which one it was."""
        left = ATTEMPTS
        while True:
            left -= 1
            plan = await self._plan(rows, scope)
            try:
                await self._write(plan.fresh, scope)
                return plan.tally
            except Conflict as conflict:
                if len(rows) > 1:
                    return _sum([await self._settle((row,), scope) for row in rows])
                if not left or conflict.guard not in HEALED:
                    return Imported(errors=(rows[0].error(SENTENCES[conflict.guard]),))

    async def _plan(self, rows: Sequence[Candidate], scope: Scope) -> Plan:
        read = self.registry.repository.read
        known = await read(DeviceNamesQuery(scope.tenant, tuple(row.definition.name for row in rows)))
        owners = await read(LoginQuery(tuple(row.definition.lookup for row in rows)))
        verdicts = [_judge(*each) for each in zip(rows, known, owners, strict=True)]
        fresh = tuple(verdict for verdict in verdicts if isinstance(verdict, Candidate))
        errors = tuple(verdict for verdict in verdicts if isinstance(verdict, RowError))
        return Plan(fresh, Imported(len(fresh), verdicts.count(None), errors))

    async def _write(self, rows: Sequence[Candidate], scope: Scope) -> None:
        if not rows:
            return
        # One after the other: each password takes a moment of a processor that also serves devices.
        made = [await make(row.definition, row.profile, self.registry.issuer) for row in rows]
        insert: list[Device | Credential] = [entity for pair in made for entity in pair]
        events = tuple(self.registry.device_event(EventKind.DEVICE_DEFINED, device, scope, "import") for device, _ in made)
        await self.registry.repository.commit(Changes(insert=tuple(insert), events=events))


def _judge(row: Candidate, known: DeviceSnapshot | None, owner: LoginSnapshot | None) -> Candidate | RowError | None:
    """Return the row where it makes a device, an error where it cannot, None where the device is there already."""
    if known is None:
        return row if owner is None else row.error("the credential is in use already")
    return None if known.profile.id == row.profile.id else row.error("a device of this name belongs to another profile")


def _unfinished() -> Refusal:
    return Refusal(
        Reason.UNAVAILABLE,
        "the import takes longer than one request may; what is done is kept: send the same again, and it goes on from there",
        check="import.seconds",
        retry_after=1.0,
    )


def _sum(tallies: Iterable[Imported]) -> Imported:
    tallies = tuple(tallies)
    errors = [error for tally in tallies for error in tally.errors]
    return Imported(
        sum(tally.created for tally in tallies),
        sum(tally.unchanged for tally in tallies),
        tuple(sorted(errors, key=lambda error: error.line)),
    )
