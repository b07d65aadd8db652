"""Good requests to the operator API about associations and firmware, and the commands that they mean."""

from collections.abc import Mapping

from adapters.exchange import NOTHING
from core.model import Firmware, Secret
from core.operate import associating, updating
from core.operate.updating import Holder

IMAGE = {"version": "1.3.0", "url": "https://images.example/1.3.0.bin", "size": 81_920, "sha256": "0F" * 32}
FIRMWARE = Firmware(version="1.3.0", url="https://images.example/1.3.0.bin", size=81_920, sha256="0f" * 32)
_CODE = "/v1/devices/m/association-code"


def _set(holder: Holder, firmware: Firmware | None) -> updating.SetFirmware:
    return updating.SetFirmware(holder=holder, ref="m", firmware=firmware)


ASSOCIATING: list[tuple[str, str, object, Mapping[str, str], object]] = [
    ("POST", _CODE, b"", NOTHING, associating.OfferDevice(ref="m")),
    ("POST", _CODE, {}, NOTHING, associating.OfferDevice(ref="m")),
    ("POST", _CODE, {"seconds": None}, NOTHING, associating.OfferDevice(ref="m")),
    ("POST", _CODE, {"seconds": 60}, NOTHING, associating.OfferDevice(ref="m", seconds=60)),
    ("DELETE", _CODE, b"", NOTHING, associating.WithdrawOffer("m")),
    ("POST", "/v1/associations", {"code": "C"}, NOTHING, associating.AssociateByCode(code=Secret("C"))),
    (
        "POST",
        "/v1/associations",
        {"code": "C", "organization": "o", "user": "u"},
        NOTHING,
        associating.AssociateByCode(code=Secret("C"), organization="o", user="u"),
    ),
    ("DELETE", "/v1/devices/m/association", b"", NOTHING, associating.GiveUpDevice("m")),
    ("PUT", "/v1/devices/m/firmware", IMAGE, NOTHING, _set(Holder.DEVICE, FIRMWARE)),
    ("DELETE", "/v1/devices/m/firmware", b"", NOTHING, _set(Holder.DEVICE, None)),
    ("PUT", "/v1/configs/m/firmware", IMAGE, NOTHING, _set(Holder.CONFIG, FIRMWARE)),
    ("DELETE", "/v1/configs/m/firmware", b"", NOTHING, _set(Holder.CONFIG, None)),
    ("PUT", "/v1/profiles/m/firmware", IMAGE, NOTHING, _set(Holder.PROFILE, FIRMWARE)),
    ("DELETE", "/v1/profiles/m/firmware", b"", NOTHING, _set(Holder.PROFILE, None)),
    ("GET", "/v1/firmware", b"", NOTHING, updating.ListFirmware()),
    ("GET", "/v1/firmware", b"", {"profile": "meters"}, updating.ListFirmware(profile="meters")),
]
