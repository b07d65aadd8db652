"""Which rows of a batch are right by themselves and beside their neighbours. Pure."""

import msgspec

from core.errors import Refusal
from core.messages import CredentialValue
from core.model import Device, Profile
from core.operate import groups, values
from core.operate.issuing import Fate, IssuedLine, SerialRow, UnreadRow

_SHOWN_CHARACTERS = 255  # of a bad row's serial, which may be anything


class Candidate(msgspec.Struct, frozen=True):
    """A row that is right by itself, and the names that its device may have, the best first."""

    row: SerialRow
    serial: str
    names: tuple[str, ...]

    def refused(self, reason: str) -> IssuedLine:
        """Tell why there is no credential."""
        return IssuedLine(line=self.row.line, serial=self.row.serial, fate=Fate.REFUSED, reason=reason)

    def answered(self, fate: Fate, device: Device, value: CredentialValue) -> IssuedLine:
        """Tell the device's credential."""
        row = self.row
        return IssuedLine(line=row.line, serial=row.serial, fate=fate, device=device.id, name=device.name, value=value)


class SerialSieve:
    """Takes rows one after the other; a bad row takes no serial."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._lines_of: dict[str, int] = {}

    def pass_row(self, row: SerialRow | UnreadRow) -> Candidate | IssuedLine:
        """Return the row as a candidate, or the line that tells why it is none."""
        try:
            candidate = self._candidate(row) if isinstance(row, SerialRow) else None
            reason = row.reason if isinstance(row, UnreadRow) else ""
        except Refusal as refusal:
            candidate, reason = None, refusal.detail
        if candidate is None:
            return IssuedLine(line=row.line, serial=row.serial[:_SHOWN_CHARACTERS], fate=Fate.REFUSED, reason=reason)
        self._lines_of[candidate.serial] = row.line
        return candidate

    def _candidate(self, row: SerialRow) -> Candidate:
        serial = row.serial.strip()
        names: tuple[str, ...] = (serial,)
        if self._profile.signed is None:
            values.require_device_name(serial)
        else:
            groups.require_serial(serial)
            names = groups.serial_names(self._profile.provision_key, serial) or (values.require_device_name(serial),)
        values.require_size(row.label, "label", values.LABEL_CHARACTERS, of="device")
        values.require_metadata(row.metadata)
        line = self._lines_of.get(serial)
        if line is not None:
            raise values.malformed(f"the serial is that of line {line}", "batch.serial")
        return Candidate(row, serial, names)
