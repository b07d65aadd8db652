"""Bootstrap: a device fetches its configuration by its external id and external key, plain or encrypted."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.configuration import Seals, client_secret
from core.crypto import cfb
from core.crypto.cfb import IV_BYTES, Envelope
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.limits import Buckets, require, too_many
from core.messages import ANY_ETAG, Bootstrapped, BootstrapRequest, Context, EncryptedKey, Identity, PlainKey
from core.model import Device, DeviceState, EventKind, Secret
from core.plain import require_wire
from core.ports import Changes, Repository
from core.queries import BootstrapQuery, BootstrapSnapshot, ExternalKeyQuery, KeySnapshot, ProfileQuery

ATTEMPTS = 3
_ID_CHARACTERS = 255  # no external id is longer, so no two of them share a bucket


class _Presented(msgspec.Struct, frozen=True):
    """What a device says its external key is; `fault` is the check that an unreadable one fails."""

    key: Secret
    fault: str = ""


class Bootstrap(msgspec.Struct, frozen=True):
    """The use case.

    A wrong key counts against its source and external id together. An unknown external id counts against its source, and that
    limits unknown ones alone: a device that is refused for ever does not keep others behind the same address out.
    `shared_key` is the AES key of secure bootstrap, 16, 24 or 32 bytes; None: secure bootstrap is switched off.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Buckets
    shared_key: bytes | None = None

    async def __call__(self, request: BootstrapRequest, context: Context) -> Bootstrapped:
        """Return the device's configuration, after recording that it was given away.

        Raises `Refusal`, recorded too: NOT_FOUND for an external id that no configuration has, FORBIDDEN for whatever else is
        wrong with the proof or the device, TOO_MANY after too many of these from one source.
        """
        known: KeySnapshot | None = None
        try:
            require(self.failures.wait(_device_key(request, context), self.issuer.clock.monotonic()), "limit.bootstrap")
            if isinstance(request.proof, EncryptedKey) and self.shared_key is None:
                raise Refusal(Reason.NOT_FOUND, "secure bootstrap is switched off", check="bootstrap.secure_off")
            for _ in range(ATTEMPTS):
                known = await self.repository.read(ExternalKeyQuery(request.external_id))
                proved = self._prove(request, known)
                await self._require_wire(proved.device, context)
                found = await self.repository.read(BootstrapQuery(request.external_id))
                if found is None or found.config.external_key != proved.external_key:
                    continue  # removed, or made anew, in between
                result = self._open(request, found)
                if result.unchanged or request.version_only or await self._recorded(result, context):
                    return result
            raise registry_busy()
        except Refusal as refusal:
            counted = self._counted(refusal, request, context)
            await self.audit.refused(
                EventKind.BOOTSTRAP_REFUSED,
                context,
                counted,
                device=known.device if known else None,
                device_name="" if known else request.external_id,
            )
            raise counted from refusal.__cause__

    def _prove(self, request: BootstrapRequest, known: KeySnapshot | None) -> KeySnapshot:
        """Return the device that proved itself. Every external key that is wrong, and every unknown id, costs the same work.

        Nothing of the configuration is read before.
        """
        vault = self.issuer.vault
        presented = self._presented(request.proof)
        expected = Seals(vault).external_key(known.device.id, known.external_key) if known else vault.open_decoy()
        right = expected == presented.key
        if known is None:
            raise Refusal(Reason.NOT_FOUND, "there is no configuration for this external id", check="bootstrap.unknown")
        if isinstance(request.proof, Identity):
            if request.proof.device != known.device.id:
                raise Refusal(Reason.FORBIDDEN, "the connection is another device's", check="identity.other")
        elif presented.fault or not right:
            raise _forbidden(presented.fault or "bootstrap.key")
        return known

    async def _require_wire(self, device: Device, context: Context) -> None:
        """Keep what the device's profile keeps off unprotected wires. Raises `Refusal` FORBIDDEN."""
        profile = None if context.secure else await self.repository.read(ProfileQuery(device.tenant, device.profile))
        if profile is not None:
            require_wire(profile, context)

    def _open(self, request: BootstrapRequest, found: BootstrapSnapshot) -> Bootstrapped:
        """Return what a device that proved itself may have."""
        _require_let_in(found.device)
        secret = client_secret(found.credentials, self.issuer)
        if secret is None:
            raise _forbidden("bootstrap.device_revoked")
        seals = Seals(self.issuer.vault)
        content, certificates = seals.content(found.config), seals.certificates(found.config)
        etag = seals.etag(found.config, secret, found.channels, content, certificates)
        return Bootstrapped(
            config=found.config,
            device=found.device,
            secret=secret,
            channels=found.channels,
            content=content,
            certificates=certificates,
            etag=etag,
            unchanged=etag in request.held or ANY_ETAG in request.held,
            envelope=self._envelope(request.proof),
        )

    def _presented(self, proof: PlainKey | EncryptedKey | Identity) -> _Presented:
        if isinstance(proof, PlainKey):
            return _Presented(proof.key)
        if isinstance(proof, EncryptedKey):
            return self._decrypted(proof.text)
        return _Presented(Secret(""))

    def _decrypted(self, text: str) -> _Presented:
        """Decrypt a presented key; in place of one that cannot be read, as many zeros, so that it costs the same."""
        message = _from_hex(text)
        fault = "bootstrap.hex" if message is None else "bootstrap.short" if len(message) < IV_BYTES else ""
        stand_in = bytes(IV_BYTES + len(text) // 2)
        plaintext = cfb.decrypt(self.shared_key or b"", stand_in if fault or message is None else message)
        return _Presented(Secret(plaintext.decode("utf-8", "surrogateescape")), fault)

    def _envelope(self, proof: PlainKey | EncryptedKey | Identity) -> Envelope | None:
        if not isinstance(proof, EncryptedKey):
            return None
        return Envelope(self.shared_key or b"", self.issuer.entropy.draw(IV_BYTES))

    async def _recorded(self, result: Bootstrapped, context: Context) -> bool:
        """Record that a device got its configuration, and its first time; False: something changed meanwhile, read again."""
        device = result.device
        told = f"version {result.config.version}"
        event = self.audit.device_event(EventKind.BOOTSTRAP_SUCCEEDED, context, device, told)
        first: tuple[Device, ...] = ()
        if device.state is DeviceState.DEFINED:
            first = (lifecycle.advance(device, DeviceState.PROVISIONED, self.issuer.clock.now()),)
        try:
            await self.repository.commit(Changes(replace=first, events=(event,)))
        except Conflict:
            return False
        return True

    def _counted(self, refusal: Refusal, request: BootstrapRequest, context: Context) -> Refusal:
        """Count a refusal; one unknown external id too many becomes a refusal to go on so."""
        now = self.issuer.clock.monotonic()
        if refusal.reason is Reason.FORBIDDEN and refusal.check != "plain.refused":  # which has the right key: no guess
            self.failures.take(_device_key(request, context), now)
        wait = self.failures.take(context.stranger, now) if refusal.check == "bootstrap.unknown" else 0.0
        return too_many(wait, "limit.bootstrap") if wait else refusal


def _device_key(request: BootstrapRequest, context: Context) -> str:
    return f"{context.stranger} {request.external_id[:_ID_CHARACTERS]}"


def _require_let_in(device: Device) -> None:
    if not device.enabled:
        raise _forbidden("bootstrap.device_disabled")
    if device.state is DeviceState.DISCARDED:
        raise _forbidden("bootstrap.device_discarded")


def _from_hex(text: str) -> bytes | None:
    """Read hex digits of either case; None where there is anything else, white space included, or nothing."""
    try:
        return bytes.fromhex(text) if text.isalnum() else None
    except ValueError:
        return None


def _forbidden(check: str) -> Refusal:
    return Refusal(Reason.FORBIDDEN, "the external key is not right", check=check)
