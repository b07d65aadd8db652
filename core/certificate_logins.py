"""Whose certificate is this: the device that is known by it, or the one that a chain behind it lets in."""

import re

import msgspec

from core.chain_paths import Path, letting_in, paths_by_name, willing
from core.credentials import credential_id
from core.crypto import chains
from core.crypto.chains import BrokenChain, Chain
from core.errors import Reason, Refusal
from core.logins import Logins, unknown
from core.messages import Certificate, CertificateLogin, Context, ProvenChain, ProvisionRequest
from core.model import ChainPolicy, Profile, TenantId
from core.provision import Provision
from core.queries import AnchorsQuery, DeviceNamesQuery, DeviceSnapshot, IssuedPage, LoginSnapshot

NAME_CHARACTERS = 255
_PASSED_ON = frozenset({Reason.TOO_MANY, Reason.UNAVAILABLE})


class Candidate(msgspec.Struct, frozen=True):
    """A profile that a chain comes to, and what the device is called there."""

    profile: Profile
    policy: ChainPolicy
    name: str


class CertificateLogins(msgspec.Struct, frozen=True):
    """Finds, and provisions devices that come with a chain.

    Source: ThingsBoard, "Device provisioning", strategy X.509 certificate chain. A `lax` policy looks at what that looks at:
    signatures, and the time of the device's own certificate. Beyond that, a device may leave out the certificate that its
    profile has, as most TLS clients send their own alone: the profile is found by the name of the last one's issuer then.
    """

    logins: Logins
    provision: Provision

    async def find(self, login: CertificateLogin, context: Context) -> LoginSnapshot:
        """Return the device whose certificate leads the chain, once it is provisioned where a profile's chain says so.

        From the device's own certificate upwards, the first one counts that a device is known by, or that a profile's chains
        have to come to; without any, a profile's certificate that was not sent and signed the last one. A device signs no
        others, but an authority's certificate is one whoever made it a credential: it is no secret.
        Raises `Refusal` UNAUTHENTICATED, the same whatever was wrong, and TOO_MANY.
        """
        try:
            chain = chains.read_chain(login.chain)
            chains.require_signed_in_order(chain)
            return await self._find(chain, context)
        except BrokenChain as error:
            raise unknown(error.check) from error

    async def _find(self, chain: Chain, context: Context) -> LoginSnapshot:
        known = await self.logins.of_certificates(chain.texts)
        ids = tuple(credential_id(Certificate(text)) for text in chain.texts)
        anchored = await self.logins.repository.read(AnchorsQuery(ids))
        for place, (found, profiles) in enumerate(zip(known, map(letting_in, anchored), strict=True)):
            if found is not None and place == 0:
                return self._pinned(found, chain)
            if profiles:
                return await self._let_in(chain, [Path(chain, place, profiles)], context)
            if found is not None and not chains.is_authority(chain.certificates[place]):
                raise BrokenChain(check="chain.device")
        (named,) = await self.logins.repository.read(AnchorsQuery(names=(chains.issuer_name(chain),)))
        if profiles := letting_in(named):
            return await self._let_in(chain, paths_by_name(chain, profiles), context)
        raise unknown("certificate.unknown" if len(chain.texts) == 1 else "chain.anchor")

    def _pinned(self, found: LoginSnapshot, chain: Chain) -> LoginSnapshot:
        self._require_dates(chain)
        return found

    def _require_dates(self, chain: Chain) -> None:
        now = self.logins.issuer.clock.now()
        if chain.is_over(now):
            raise BrokenChain(check="certificate.expired")
        if chain.is_early(now):
            raise BrokenChain(check="certificate.early")

    async def _let_in(self, chain: Chain, paths: list[Path], context: Context) -> LoginSnapshot:
        self._require_dates(chain)
        await self._require_not_revoked(chain)
        chosen = await self._choose(_candidates(chain, willing(paths, self.logins.issuer.clock.now())))
        strict = not chosen.policy.lax
        request = ProvisionRequest(
            evidence=ProvenChain(
                chosen.profile.provision_key,
                until=chain.not_after if strict else None,
                since=chain.not_before if strict else None,
            ),
            device_name=chosen.name,
            credential=Certificate(chain.texts[0]),
        )
        try:
            await self.provision(request, context)
        except Refusal as refusal:
            raise refusal if refusal.reason in _PASSED_ON else unknown(refusal.check) from refusal
        (found,) = await self.logins.of_certificates(chain.texts[:1])
        if found is None:
            raise unknown("certificate.unknown")  # taken away again at this moment
        return found

    async def _require_not_revoked(self, chain: Chain) -> None:
        """Refuse a certificate that was made here and is no credential any more: it was revoked, or gave way to others."""
        serial, now = chain.serial, self.logins.issuer.clock.now()
        made = await self.logins.repository.read(IssuedPage(until=now, after=_just_before(serial), limit=1))
        lookup = self.logins.issuer.lookup(Certificate(chain.texts[0]))
        if any(each.certificate.lookup == lookup for each in made):
            raise BrokenChain(check="certificate.revoked")

    async def _choose(self, candidates: list[Candidate]) -> Candidate:
        """Return the one profile that is meant: of several the one that has the device, or alone could make it."""
        if not candidates:
            raise BrokenChain(check="chain.name")
        if len(candidates) > 1:
            found = await self._devices(candidates)
            candidates = [each for each in candidates if _could_take(each, found[each.profile.tenant, each.name])]
        if len(candidates) != 1:
            raise BrokenChain(check="chain.ambiguous")
        return candidates[0]

    async def _devices(self, candidates: list[Candidate]) -> dict[tuple[TenantId, str], DeviceSnapshot | None]:
        """Return the devices that the candidates' tenants have by their names."""
        known: dict[tuple[TenantId, str], DeviceSnapshot | None] = {}
        for tenant in dict.fromkeys(each.profile.tenant for each in candidates):
            names = tuple(dict.fromkeys(each.name for each in candidates if each.profile.tenant == tenant))
            found = await self.logins.repository.read(DeviceNamesQuery(tenant, names))
            known.update(zip(((tenant, name) for name in names), found, strict=True))
        return known


def device_name(pattern: str, common_name: str) -> str:
    """Return what the first group of a pattern finds in a common name, without white space around it; empty: nothing."""
    if len(common_name) > NAME_CHARACTERS:
        return ""
    try:
        found = re.search(pattern, common_name)
    except re.error:
        return ""
    return (found[1] or "").strip() if found is not None and found.re.groups else ""


def _just_before(serial: str) -> str:
    """Return a text that nothing in hex stands between and this."""
    return serial[:-1] + chr(ord(serial[-1]) - 1) + "~"


def _candidates(chain: Chain, profiles: list[Profile]) -> list[Candidate]:
    name = chains.common_name(chain)
    named = (Candidate(each, each.chain, device_name(each.chain.pattern, name)) for each in profiles if each.chain is not None)
    return [each for each in named if each.name]


def _could_take(candidate: Candidate, known: DeviceSnapshot | None) -> bool:
    """Tell whether a profile has the device, or could make it as its tenant has none of that name."""
    return candidate.policy.create if known is None else known.device.profile == candidate.profile.id
