"""How far OSCORE contexts have come, and certificates that were made here, as rows of a database and back."""

from core.model import IssuedCertificate, OscoreState
from storage.rows import Row

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
OSCORE = "oscore_state.id, oscore_state.sequence, oscore_state.received, oscore_state.version"
ISSUED = (
    "issued.id, issued.tenant, issued.device, issued.name, issued.lookup, issued.not_after, issued.revoked_at, "
    "issued.created_at, issued.version"
)


def oscore_row(state: OscoreState) -> Row:
    """Return the row of an OSCORE state."""
    received = None if state.window is None else f"{state.window[0]} {state.window[1]:x}"
    return state.id, state.sequence, received, state.version


def oscore(row: Row) -> OscoreState:
    """Return the OSCORE state of a row."""
    return OscoreState(id=row[0], sequence=row[1], window=None if row[2] is None else _window(row[2]), version=row[3])


def _window(received: str) -> tuple[int, int]:
    lowest, bits = received.split()
    return int(lowest), int(bits, 16)


def issued_row(certificate: IssuedCertificate) -> Row:
    """Return a certificate's row."""
    return (
        certificate.id,
        certificate.tenant,
        certificate.device,
        certificate.name,
        certificate.lookup,
        certificate.not_after,
        certificate.revoked_at,
        certificate.created_at,
        certificate.version,
    )


def issued(row: Row) -> IssuedCertificate:
    """Return the certificate of a row."""
    return IssuedCertificate(
        id=row[0],
        tenant=row[1],
        device=row[2],
        name=row[3],
        lookup=row[4],
        not_after=row[5],
        revoked_at=row[6],
        created_at=row[7],
        version=row[8],
    )
