"""A device reads and sets its own fields: its label and its metadata."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.authenticate import Authenticate
from core.configuration import ETAG_BYTES, is_let_in
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.messages import AskFields, Context, FieldsAnswer, Identity, SetFields
from core.model import Device, EntryKind, EventKind
from core.operate.values import LABEL_CHARACTERS, require_metadata, require_size
from core.ports import Changes, Repository
from core.queries import DeviceQuery, EntryPage
from core.report import prove_device

ATTEMPTS = 3
_MOST_FIELDS = 1_000
RESERVED = frozenset({"gateway", "gateway_id", "claimingAllowed"})
"""Metadata that says what a device may do: for operators to set."""


class ReadFields(msgspec.Struct, frozen=True):
    """The use case of a device that asks."""

    repository: Repository
    authenticate: Authenticate

    async def __call__(self, request: AskFields, context: Context) -> FieldsAnswer:
        """Return the device as it is. Raises `Refusal` as `prove_device` does, and UNAUTHENTICATED for one that is gone."""
        identity = await prove_device(request.who, self.authenticate, context)
        return _answer(identity, await _own(identity, self.repository), self.authenticate)


class WriteFields(msgspec.Struct, frozen=True):
    """The use case of a device that sets its fields."""

    repository: Repository
    authenticate: Authenticate
    audit: Audit

    async def __call__(self, request: SetFields, context: Context) -> FieldsAnswer:
        """Return the device as it is after the change.

        Raises `Refusal` as `ReadFields` does, FORBIDDEN for fields that are not its own to set, MALFORMED for values that no
        operator could set either, and UNAVAILABLE.
        """
        identity = await prove_device(request.who, self.authenticate, context)
        for _ in range(ATTEMPTS):
            before = await _own(identity, self.repository)
            await self._require_fields(request, before)
            device = _changed(before, request, self.authenticate.issuer.clock.now())
            try:
                await self._write(before, device, context)
            except Conflict:
                continue
            return _answer(identity, device, self.authenticate)
        raise registry_busy()

    async def _require_fields(self, request: SetFields, device: Device) -> None:
        """Keep a device from writing what others read to decide what it may do, such as that it is a gateway."""
        page = EntryPage(tenant=device.tenant, kind=EntryKind.DEVICE_FIELD, parents=(device.profile, ""), limit=_MOST_FIELDS)
        known = {entry.name for entry in (await self.repository.read(page)).items} - RESERVED
        if not request.fields.keys() <= known | request.always:
            raise Refusal(Reason.FORBIDDEN, "the device has no field of this name that it may set", check="device.field")

    async def _write(self, before: Device, device: Device, context: Context) -> None:
        if device is not before:
            event = self.audit.device_event(EventKind.DEVICE_CHANGED, context, device, "by the device itself")
            await self.repository.commit(Changes(replace=(device,), events=(event,)))


async def _own(identity: Identity, repository: Repository) -> Device:
    found = await repository.read(DeviceQuery(identity.tenant, identity.device))
    if found is None or not is_let_in(found.device):
        raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="device.unknown")
    return found.device


def _changed(before: Device, request: SetFields, now: int) -> Device:
    """Return the device's next version; the same object where nothing changes. Raises `Refusal` MALFORMED."""
    label = before.label if request.label is None else request.label
    merged = {**before.metadata, **request.fields}
    metadata = {name: value for name, value in merged.items() if value is not None}
    require_size(label, "name", LABEL_CHARACTERS, of="device")
    require_metadata(metadata)
    if (label, metadata) == (before.label, before.metadata):
        return before
    return msgspec.structs.replace(lifecycle.renew(before, now), label=label, metadata=metadata)


def _answer(identity: Identity, device: Device, authenticate: Authenticate) -> FieldsAnswer:
    content = msgspec.json.encode((device.label, device.metadata), order="sorted")
    etag = authenticate.issuer.vault.digest("fields", content)[:ETAG_BYTES].hex()
    return FieldsAnswer(identity, device, etag)
