"""Fetch a triple: a registered device asks for its credentials again, or a gateway for those of a device behind it."""

import msgspec

from core.admission import Admission
from core.appraisal import Appraisal
from core.audit import Audit
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import Buckets
from core.messages import ConnectRequest, Context, Enrolled, SignedSerial
from core.model import Profile, SignedPolicy, TenantId
from core.ports import Hooks, Repository
from core.queries import DeviceSnapshot, EnrolSnapshot, SignedDevicesQuery
from core.registration import Newcomer, Registrar, require_allocated

_GATEWAY = "gateway"
_NO_PROOF = SignedSerial("", "0", "")


class _Proved(msgspec.Struct, frozen=True):
    """A device that signed, and its group's policy."""

    found: DeviceSnapshot
    policy: SignedPolicy


class FetchTriple(msgspec.Struct, frozen=True):
    """The use case. Nothing is registered or allocated but a gateway's own branches.

    A device says no group: it is looked for in each tenant by its name, then by its serial where one device alone has it; the
    one whose group's secret it signed with is meant. A gateway is a
    device with the member `gateway` true in its metadata or its profile's. Its branches are devices of its group whose serial
    is its own with their number. `sources` and `claim_keys` as in `Enrol`.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    sources: Buckets
    claim_keys: Buckets
    hooks: Hooks | None = None

    async def __call__(self, request: ConnectRequest, context: Context) -> Enrolled:
        """Return a triple that was allocated before. Raises `Refusal`, after recording it as an event.

        UNAUTHENTICATED alike for an unknown serial and a wrong signature, `Withheld` for a device that has no triple or may not
        have it, MALFORMED where a device that is no gateway asks for another.
        """
        asker = await self._proved(request.proof, context)
        if request.sub is None:
            return await self._registrar.repeat(asker.found, request.connection, context)
        await self._require_gateway(asker.found, context)
        if request.sub.branch is not None and request.sub.named_by_gateway:
            return await self._branch(asker, request.sub.branch, context)
        behind = await self._proved(request.sub.proof or _NO_PROOF, context)
        return await self._registrar.repeat(behind.found, request.connection, context)

    @property
    def _registrar(self) -> Registrar:
        admission = Admission(self.hooks, self.repository, self.issuer, self.audit)
        return Registrar(self.repository, self.issuer, self.audit, admission)

    async def _proved(self, proof: SignedSerial, context: Context) -> _Proved:
        """Return the device that signed, and its group's policy."""
        found = _one_of_each_tenant(proof.serial, await self.repository.read(SignedDevicesQuery(proof.serial)))
        profiles: list[Profile | None] = [each.profile for each in found] or [None]
        groups = [each.profile.provision_key for each in found] or [proof.serial]
        appraisal = Appraisal(self.issuer, self.sources, self.claim_keys)
        try:
            profile, policy = appraisal.verify_any(profiles, groups, proof, context)
        except Refusal as refusal:
            device = found[0].device if len(found) == 1 else None
            await self._registrar.refused(refusal, profiles[0], device, proof.serial, context)
            raise
        return _Proved(next(each for each in found if each.profile.id == profile.id), policy)

    async def _require_gateway(self, asker: DeviceSnapshot, context: Context) -> None:
        try:
            require_allocated(asker.device)
            if not any(metadata.get(_GATEWAY) is True for metadata in (asker.device.metadata, asker.profile.metadata)):
                raise Refusal(Reason.MALFORMED, "the device is not a gateway", check="sub.not_gateway")
        except Refusal as refusal:
            await self._registrar.refused(refusal, asker.profile, asker.device, asker.device.serial, context)
            raise

    async def _branch(self, asker: _Proved, branch: int, context: Context) -> Enrolled:
        """Give a gateway the triple of one of its branches, which is registered where the group permits that."""
        gateway, profile = asker.found.device, asker.found.profile

        def prove(_known: EnrolSnapshot) -> tuple[Profile, SignedPolicy]:
            return profile, asker.policy

        serial = f"{gateway.serial}_{branch}"
        newcomer = Newcomer(serial=serial, label=serial, metadata={"behind": gateway.name, "branch": branch})
        return await self._registrar.enrol(profile.provision_key, newcomer, prove, context)


def _one_of_each_tenant(serial: str, found: tuple[DeviceSnapshot, ...]) -> list[DeviceSnapshot]:
    """Return the device that a serial means in each tenant: the one of this name, or the only one of this serial."""
    meant: dict[TenantId, DeviceSnapshot] = {}
    alike: dict[TenantId, int] = {}
    for each in found:
        tenant = each.device.tenant
        if each.device.name == serial:
            meant[tenant] = each
        elif tenant not in meant or meant[tenant].device.name != serial:
            alike[tenant] = alike.get(tenant, 0) + 1
            meant[tenant] = each
    return [each for tenant, each in meant.items() if each.device.name == serial or alike[tenant] == 1]
