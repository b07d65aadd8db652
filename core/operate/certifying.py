"""What operators may ask for about certificates of devices: the command and its result."""

import msgspec

from core.model import Device


class CertifyDevice(msgspec.Struct, frozen=True, kw_only=True):
    """Have a certificate made for a device (id or name), for a request that its key signed: PKCS#10 as PEM. `DeviceCertified`.

    FORBIDDEN where its profile issues none (`issuing.off`), nobody signs, or a factory asks for a device that has connected;
    MALFORMED for what is no request, CONFLICT where the device has too many credentials (`issuing.room`).
    """

    ref: str
    request: str


class DeviceCertified(msgspec.Struct, frozen=True, kw_only=True):
    """A device's new certificate as `core.messages.CertificateSigned` has it."""

    device: Device
    chain: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    not_after: int


CertifyingCommand = CertifyDevice
