"""Bootstrap: a device fetches its configuration by its external id and external key, plain or encrypted."""

import msgspec

from core.audit import Audit
from core.configuration import Seals
from core.crypto import cfb
from core.crypto.cfb import IV_BYTES, Envelope
from core.errors import Reason, Refusal, registry_busy
from core.fetching import ATTEMPTS, Fetching, forbidden
from core.issuer import Issuer
from core.lockout import Lockout
from core.messages import ANY_ETAG, Bootstrapped, BootstrapRequest, Context, EncryptedKey, Identity, PlainKey
from core.model import DEFAULT_TENANT, Secret
from core.ports import Repository
from core.queries import BootstrapSnapshot, KeySnapshot, TenantQuery


class _Presented(msgspec.Struct, frozen=True):
    """What a device says its external key is; `fault` is the check that an unreadable one fails."""

    key: Secret
    fault: str = ""


class Bootstrap(msgspec.Struct, frozen=True):
    """The use case.

    A wrong key counts against its source and external id together. An unknown external id counts against its source, and that
    limits unknown ones alone: a device that is refused for ever does not keep others behind the same address out.
    `shared_key` is the AES key of secure bootstrap, 16, 24 or 32 bytes; None: secure bootstrap is switched off. It is also for
    the devices of tenants that do not have it.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    failures: Lockout
    shared_key: bytes | None = None

    async def __call__(self, request: BootstrapRequest, context: Context) -> Bootstrapped:
        """Return the device's configuration, after recording that it was given away.

        Raises `Refusal`, recorded too: NOT_FOUND for an external id that no configuration has, FORBIDDEN for whatever else is
        wrong with the proof or the device, TOO_MANY after too many of these from one source.
        """
        fetching = Fetching(self.repository, self.issuer, self.audit, self.failures)
        known: KeySnapshot | None = None
        try:
            fetching.require_patience(request.external_id, context)
            if isinstance(request.proof, EncryptedKey) and self.shared_key is None:
                raise Refusal(Reason.NOT_FOUND, "secure bootstrap is switched off", check="bootstrap.secure_off")
            for _ in range(ATTEMPTS):
                known = await fetching.know(request.external_id)
                proved = self._prove(request, known, shut=await self._is_shut(request, known))
                await fetching.require_wire(proved.device, context, sealed=False)
                found = await fetching.find(request.external_id, proved)
                if found is None:
                    continue
                result = self._open(fetching, request, found)
                by_key = not isinstance(request.proof, Identity) or request.proof.credential is None
                if result.unchanged or request.version_only or await fetching.record(result, context, by_key=by_key):
                    return result
            raise registry_busy()
        except Refusal as refusal:
            told = await fetching.refuse(refusal, request.external_id, known, context)
            raise told from refusal.__cause__

    async def _is_shut(self, request: BootstrapRequest, known: KeySnapshot | None) -> bool:
        """Tell whether a device's tenant has no secure bootstrap; of a device that is not known another tenant is read."""
        if not isinstance(request.proof, EncryptedKey):
            return False
        tenant = await self.repository.read(TenantQuery(known.device.tenant if known else DEFAULT_TENANT))
        return tenant is None or not tenant.secure_bootstrap

    def _prove(self, request: BootstrapRequest, known: KeySnapshot | None, *, shut: bool) -> KeySnapshot:
        """Return the device that proved itself. Every external key that is wrong, and every unknown id, costs the same work.

        Nothing of the configuration is read before. Where secure bootstrap is `shut` a device is as one that is not known.
        """
        vault = self.issuer.vault
        presented = self._presented(request.proof)
        expected = Seals(vault).external_key(known.device.id, known.external_key) if known else vault.open_decoy()
        right = expected == presented.key
        if known is None or shut:
            check = "bootstrap.unknown" if known is None else "bootstrap.secure_tenant"
            raise Refusal(Reason.NOT_FOUND, "there is no configuration for this external id", check=check)
        if isinstance(request.proof, Identity):
            if request.proof.device != known.device.id:
                raise Refusal(Reason.FORBIDDEN, "the connection is another device's", check="identity.other")
        elif presented.fault or not right:
            raise forbidden(presented.fault or "bootstrap.key")
        return known

    def _open(self, fetching: Fetching, request: BootstrapRequest, found: BootstrapSnapshot) -> Bootstrapped:
        """Return what the device gets: told only that it has it already where it has, encrypted where it asked so."""
        result = fetching.open(found)
        unchanged = result.etag in request.held or ANY_ETAG in request.held
        return msgspec.structs.replace(result, unchanged=unchanged, envelope=self._envelope(request.proof))

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


def _from_hex(text: str) -> bytes | None:
    """Read hex digits of either case; None where there is anything else, white space included, or nothing."""
    try:
        return bytes.fromhex(text) if text.isalnum() else None
    except ValueError:
        return None
