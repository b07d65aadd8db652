"""Certifies devices: has a certificate made for a key, checks what came back, and makes the credential that it is."""

import base64
from collections.abc import Sequence
from typing import Final

import msgspec

from core.credentials import certificate
from core.crypto import issuance
from core.crypto.issuance import BadCertificate, Issued
from core.crypto.signing_requests import (
    KEY_ALGORITHMS,
    DeviceRequest,
    NotASigningRequest,
    common_name,
    private_key_pem,
    read_request,
    request_of,
)
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.messages import Certificate
from core.model import Credential, CredentialId, Device, IssuedCertificate, IssuingPolicy, Profile, Secret
from core.ports import CertificateAuthority, KeyPairs, SigningRequest

_EARLIER_MS: Final = issuance.SKEW_MS
_AGAIN_SECONDS: Final = 30.0


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was made and checked, and is not written yet.

    `chain` is DER, the new certificate first, without the root; `not_after` is when it is of no use any more.
    """

    chain: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    issued: Issued
    not_after: int
    private_key: Secret | None = None

    @property
    def value(self) -> Certificate:
        """Return the certificate as a device's credential."""
        return value_of(self.chain[0])


class Certifier(msgspec.Struct, frozen=True):
    """Has certificates made by an authority. Without `key_pairs` devices have to bring keys of their own."""

    issuer: Issuer
    authority: CertificateAuthority
    key_pairs: KeyPairs | None = None

    async def certify(self, content: bytes, device: Device, lifetime_s: int) -> Certified:
        """Have a certificate made for a device's own request.

        It is good for `lifetime_s` seconds, but no longer than the authority's own. Raises `Refusal`: MALFORMED for what is no
        request, FORBIDDEN where the authority does not want to, UNAVAILABLE where it cannot, or answers something else.
        """
        return await self._certify(_read(content), device, lifetime_s)

    async def certify_new_key(self, algorithm: str, device: Device, lifetime_s: int) -> Certified:
        """Have a certificate made with a key pair. Raises `Refusal` as `certify` does, and FORBIDDEN without `key_pairs`."""
        if algorithm not in KEY_ALGORITHMS:
            detail = f"a key pair is one of {', '.join(KEY_ALGORITHMS)}"
            raise Refusal(Reason.MALFORMED, detail, check="issuing.key_algorithm")
        if self.key_pairs is None:
            raise no_key_pairs()
        private_key = await self.key_pairs.make(algorithm)
        request = request_of(private_key, common_name(device.name, device.id))
        certified = await self._certify(request, device, lifetime_s)
        return msgspec.structs.replace(certified, private_key=private_key_pem(private_key))

    async def entities(self, certified: Certified, device: Device) -> tuple[Credential, IssuedCertificate]:
        """Make what is written of a certificate: the credential, which may be shown again, and the record of its making."""
        value = certified.value
        credential = await self.issuer.issue(value, device.id, keep=True, expires_at=certified.not_after)
        record = IssuedCertificate(
            id=certified.issued.serial,
            tenant=device.tenant,
            device=device.id,
            name=device.name,
            lookup=credential.lookup,
            not_after=certified.issued.not_after,
            created_at=credential.created_at,
        )
        return credential, record

    def is_own(self, credential: Credential) -> bool:
        """Tell whether a credential is a certificate that the authority made."""
        value = self.issuer.reveal(credential)
        if not isinstance(value, Certificate):
            return False
        try:
            return issuance.is_issued_by(base64.b64decode(value.text), self.authority.authorities)
        except ValueError:  # no base64: what a device proposed itself was never looked at
            return False

    def making_room(self, held: Sequence[Credential], in_use: CredentialId | None, most: int) -> list[Credential]:
        """Return what goes of a device's credentials, oldest first, for one more of `most`.

        Those that are over and, where that is not enough, the oldest certificates made here but the one `in_use`. Raises
        `Refusal` CONFLICT where that is not enough either.
        """
        now = self.issuer.clock.now()
        over = [each for each in held if each.is_over(now)]
        beyond = len(held) - len(over) - most + 1
        if beyond <= 0:
            return over
        left = (each for each in held if each not in over and each.id != in_use)
        given_up = [each for each in left if self.is_own(each)][:beyond]
        if len(given_up) < beyond:
            detail = f"a device has at most {most} credentials that are good at once"
            raise Refusal(Reason.CONFLICT, detail, check="issuing.room")
        return over + given_up

    async def _certify(self, request: DeviceRequest, device: Device, lifetime_s: int) -> Certified:
        asked = self._asked(request, device, lifetime_s)
        chain = await self.authority.sign(asked)
        authorities = self.authority.authorities
        try:
            issued = issuance.check_issued(chain, authorities, asked, self.issuer.clock.now())
        except BadCertificate as error:
            detail = "the certificate authority answered something else than was asked for"
            raise Refusal(Reason.UNAVAILABLE, detail, check="issuing.answer", retry_after=_AGAIN_SECONDS) from error
        between = tuple(each for each in chain[1:] if not issuance.is_self_issued(each))
        return Certified(
            chain=(chain[0], *between),
            authorities=authorities,
            issued=issued,
            not_after=min(issued.not_after, asked.not_after),
        )

    def _asked(self, request: DeviceRequest, device: Device, lifetime_s: int) -> SigningRequest:
        """Say what the certificate is to say: it begins a little earlier, for devices whose clock is slow."""
        now, first = self.issuer.clock.now(), self.authority.authorities[0]
        ends = min(now + lifetime_s * 1000, issuance.not_after(first))
        if ends <= now:
            detail = "the certificate authority's own certificate is over"
            raise Refusal(Reason.UNAVAILABLE, detail, check="issuing.authority_over")
        return SigningRequest(
            request=request.der,
            public_key=request.public_key,
            name=common_name(device.name, device.id),
            device=device.id,
            serial=issuance.serial_of(self.issuer.entropy.draw(issuance.SERIAL_BYTES)),
            not_before=min(max(now - _EARLIER_MS, issuance.not_before(first)), now),
            not_after=ends,
        )


def value_of(der: bytes) -> Certificate:
    """Return a certificate as the credential that it is."""
    return certificate(base64.b64encode(der).decode("ascii"))


def require_policy(profile: Profile) -> IssuingPolicy:
    """Return what a profile says of certificates; it may allow them beside the kind of credential that its devices have.

    Raises `Refusal` FORBIDDEN where it issues none.
    """
    if profile.issuing is None:
        raise Refusal(Reason.FORBIDDEN, "devices of this profile are issued no certificates", check="issuing.off")
    return profile.issuing


def no_authority() -> Refusal:
    """Make the refusal where there is nobody to sign."""
    return Refusal(Reason.FORBIDDEN, "this gateway issues no certificates", check="issuing.no_authority")


def no_key_pairs() -> Refusal:
    """Make the refusal of a key pair to a device that has to make its own."""
    return Refusal(
        Reason.FORBIDDEN, "a device of this profile makes its own key and sends a request", check="issuing.key_pairs"
    )


def _read(content: bytes) -> DeviceRequest:
    try:
        return read_request(content)
    except NotASigningRequest as error:
        raise Refusal(Reason.MALFORMED, str(error), check="issuing.request") from error
