"""How a factory gets credentials for thousands of serials in one call: chunk by chunk, each durable before it is told."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial

import msgspec

from core.crypto.tokens import new_id
from core.errors import Conflict, Guard, Refusal
from core.model import Credential, CredentialKind, Device, DeviceId, DeviceState, Event, EventKind, Profile, Role
from core.operate import kinds, values
from core.operate.access import has_connected
from core.operate.issuing import Batch, Fate, IssueBatch, IssuedLine, SerialRow, UnreadRow
from core.operate.messages import ProposedCredential
from core.operate.registry import ATTEMPTS, SENTENCES, Registry, Scope
from core.operate.serial_sieve import Candidate, SerialSieve
from core.ports import Changes
from core.queries import DeviceNamesQuery, DeviceSnapshot, SerialsQuery

ROWS = 100_000
PASSWORDS = 1_000
"""Rows at most where each of them is a password to stretch, which takes a moment of a processor."""

CHUNK = 250
"""Rows of one commit: enough that syncing the disk costs little, few enough that one conflict costs little."""

PASSWORD_CHUNK = 20

_HEALED = frozenset({Guard.DEVICE_NAME, Guard.DEVICE_SERIAL, Guard.CREDENTIAL_LOOKUP, Guard.VERSION})
"""The guards that hold at the next attempt, which sees the device that was in the way."""


class Batches(msgspec.Struct, frozen=True):
    """Issues batches. Everything that concerns a batch as a whole is refused before its first line."""

    registry: Registry

    async def issue(self, command: IssueBatch, scope: Scope) -> Batch:
        """Begin a batch; every row is answered with the device's credential or with the reason why there is none.

        Raises `Refusal` MALFORMED for too many rows, NOT_FOUND for the profile, UNPROCESSABLE for the kind.
        """
        profile = await self.registry.profile(command.profile, scope)
        kind = command.kind or kinds.usual(profile)
        kinds.require_kind(profile, kind)
        issuance = _Issuance(self.registry, scope, profile, kinds.drawn(kind))
        _require_size(command.rows, kind)
        chunk = PASSWORD_CHUNK if kind is CredentialKind.MQTT_BASIC else CHUNK
        return Batch(_lines(issuance, command.rows, chunk))


class _Made(msgspec.Struct, frozen=True):
    """A device that is not written yet, with its credential."""

    device: Device
    credential: Credential
    line: IssuedLine


class _Issuance:
    """One batch under way."""

    def __init__(self, registry: Registry, scope: Scope, profile: Profile, proposal: ProposedCredential) -> None:
        self._registry = registry
        self._scope = scope
        self._profile = profile
        self._proposal = proposal
        self._sieve = SerialSieve(profile)

    async def answer(self, rows: Sequence[SerialRow | UnreadRow]) -> tuple[IssuedLine, ...]:
        """Issue the credentials of some rows, durably, and return what became of each."""
        checked = [self._sieve.pass_row(row) for row in rows]
        settled = iter(await self._settle([each for each in checked if isinstance(each, Candidate)]))
        return tuple(next(settled) if isinstance(each, Candidate) else each for each in checked)

    async def _settle(self, rows: Sequence[Candidate], attempts: int = ATTEMPTS) -> list[IssuedLine]:
        """Write rows in one commit; when that is impossible, half of them at a time, to tell which ones are in the way."""
        if not rows:
            return []
        try:
            return await self._write(rows)
        except Refusal as refusal:
            return [row.refused(refusal.detail) for row in rows]
        except Conflict as conflict:
            if conflict.guard in _HEALED and attempts > 1:
                return await self._settle(rows, attempts - 1)
            if len(rows) == 1:
                return [rows[0].refused(SENTENCES[conflict.guard])]
            half = len(rows) // 2
            return await self._settle(rows[:half]) + await self._settle(rows[half:])

    async def _write(self, rows: Sequence[Candidate]) -> list[IssuedLine]:
        verdicts = await self._judge(rows)
        made = [each for each in verdicts if isinstance(each, _Made)]
        insert: list[Device | Credential] = [entity for each in made for entity in (each.device, each.credential)]
        events = tuple(event for each in verdicts if (event := self._event(each)) is not None)
        if events:
            await self._registry.repository.commit(Changes(insert=tuple(insert), events=events))
        return [each.line if isinstance(each, _Made) else self._shown(each) for each in verdicts]

    async def _judge(self, rows: Sequence[Candidate]) -> list["_Made | _Known | IssuedLine"]:
        read, profile = self._registry.repository.read, self._profile
        by_serial = await read(SerialsQuery(profile.id, tuple(row.serial for row in rows)))
        names = tuple(dict.fromkeys(name for row in rows for name in row.names))
        known = await read(DeviceNamesQuery(profile.tenant, names))
        named = dict(zip(names, known, strict=True))
        return [await self._verdict(row, found, named) for row, found in zip(rows, by_serial, strict=True)]

    async def _verdict(
        self, row: Candidate, known: DeviceSnapshot | None, named: dict[str, DeviceSnapshot | None]
    ) -> "_Made | _Known | IssuedLine":
        """Return what becomes of a row: its device is made, or known, or there is a reason against both."""
        known = known or self._by_name(row, named)
        if known is not None:
            return self._known(row, known)
        free = [name for name in row.names if named[name] is None]
        if free:
            return await self._make(row, free[0])
        other = named[row.names[0]]
        if other is not None and other.profile.id != self._profile.id:
            return row.refused("a device of this name belongs to another profile")
        return row.refused(SENTENCES[Guard.DEVICE_NAME])

    def _by_name(self, row: Candidate, named: dict[str, DeviceSnapshot | None]) -> DeviceSnapshot | None:
        """Return the profile's device of this name, unless it has another serial. Devices that sign are known by that alone."""
        found = named[row.serial] if self._profile.signed is None else None
        ours = found is not None and found.profile.id == self._profile.id and found.device.serial in ("", row.serial)
        return found if ours else None

    def _known(self, row: Candidate, known: DeviceSnapshot) -> "_Known | IssuedLine":
        device, issuer = known.device, self._registry.issuer
        if self._scope.actor.role is Role.FACTORY and has_connected(device):
            return row.refused("the device has connected already: its credential is no longer a factory's")
        if not device.enabled:
            return row.refused("the device is disabled")
        if device.state is DeviceState.DISCARDED:
            return row.refused("the device is discarded")
        valid = [each for each in known.credentials if not each.is_over(issuer.clock.now())]
        if not valid:
            return row.refused("the device is there and has no credential: it was revoked, has ended or was never issued")
        kept = [each for each in valid if each.sealed is not None]
        if not kept:
            return row.refused("the device is there, and its credential was given once and not kept")
        return _Known(row, device, kept[-1])

    async def _make(self, row: Candidate, name: str) -> _Made:
        issuer, profile = self._registry.issuer, self._profile
        now = issuer.clock.now()
        device = Device(
            id=DeviceId(new_id(now, issuer.entropy)),
            tenant=profile.tenant,
            profile=profile.id,
            name=name,
            label=row.row.label,
            serial=row.serial,
            unique_serial=True,
            state=DeviceState.PROVISIONED,
            metadata=row.row.metadata,
            provisioned_at=now,
            created_at=now,
            updated_at=now,
        )
        value = values.complete(self._proposal, profile, issuer)
        credential = await issuer.issue(value, device.id, keep=True)
        return _Made(device, credential, row.answered(Fate.ISSUED, device, value))

    def _event(self, verdict: "_Made | _Known | IssuedLine") -> Event | None:
        event = partial(self._registry.device_event, scope=self._scope)
        match verdict:
            case _Made(device=device, credential=credential):
                return event(EventKind.CREDENTIAL_ISSUED, device, detail=credential.kind.value)
            case _Known(device=device):
                return event(EventKind.CREDENTIAL_READ, device, detail="batch")
            case _:
                return None

    def _shown(self, verdict: "_Known | IssuedLine") -> IssuedLine:
        if isinstance(verdict, IssuedLine):
            return verdict
        value = self._registry.issuer.reveal(verdict.credential)
        assert value is not None  # noqa: S101 - only credentials that were kept get here
        return verdict.row.answered(Fate.EXISTS, verdict.device, value)


class _Known(msgspec.Struct, frozen=True):
    """A device that is there, and its newest credential that is good and was kept."""

    row: Candidate
    device: Device
    credential: Credential


async def _lines(
    issuance: _Issuance, rows: Sequence[SerialRow | UnreadRow], chunk: int
) -> AsyncGenerator[tuple[IssuedLine, ...], None]:
    for start in range(0, len(rows), chunk):
        yield await issuance.answer(rows[start : start + chunk])


def _require_size(rows: Sequence[SerialRow | UnreadRow], kind: CredentialKind) -> None:
    most = PASSWORDS if kind is CredentialKind.MQTT_BASIC else ROWS
    if not 1 <= len(rows) <= most:
        raise values.malformed(f"1 to {most} serials are possible at once, not {len(rows)}", "batch.rows")
