"""Events as rows of a database and back."""

from core.model import Event, EventKind
from storage.rows import Row

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
EVENT = (
    "event.id, event.tenant, event.at, event.kind, event.correlation, event.protocol, event.dialect, event.source, "
    'event.actor, event.profile, event.device, event.device_name, event."check", event.detail'
)


def event_row(event: Event) -> Row:
    """Return an event's row, without the number that the store gives it."""
    return (
        event.id,
        event.tenant,
        event.at,
        event.kind.value,
        event.correlation,
        event.protocol,
        event.dialect,
        event.source,
        event.actor,
        event.profile,
        event.device,
        event.device_name,
        event.check,
        event.detail,
    )


def event(row: Row) -> Event:
    """Return the event of a row."""
    return Event(
        id=row[0],
        tenant=row[1],
        at=row[2],
        kind=EventKind(row[3]),
        correlation=row[4],
        protocol=row[5],
        dialect=row[6],
        source=row[7],
        actor=row[8],
        profile=row[9],
        device=row[10],
        device_name=row[11],
        check=row[12],
        detail=row[13],
    )
