"""A registry with everything in it that a registry may hold, and ways to look at all of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from core.model import DEFAULT_TENANT, CredentialId, EntryKind, Role
from core.ports import Changes
from core.queries import (
    AnchorsQuery,
    ApprovalPage,
    BootstrapQuery,
    ChannelPage,
    ClaimQuery,
    ConfigPage,
    DevicePage,
    EntryPage,
    EventPage,
    FirmwareCountsQuery,
    IssuedPage,
    LabelledPage,
    LoginQuery,
    OscoreQuery,
    PendingClaimQuery,
    ProfilePage,
    Query,
    TenantPage,
    TokenPage,
    TombstonePage,
)
from storage import open_repository
from tests.storage.entities import (
    a_chain,
    a_channel,
    a_claim,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_signed,
    a_tenant,
    a_token,
    a_tombstone,
    a_user,
    an_approval,
    an_event,
    an_issued,
    an_organization,
    an_oscore_state,
    some_firmware,
)

DEVICES = 40
STRANGE = ("a\x00b", "\x00", "\x01", "\x01\x02", "\x00\x01\x00", "größer ☃ 𝄞", "'\"\\", "\t\n\r", "\U0010ffff", "İß")


async def stock(path: Path) -> None:
    """Put everything into a new file."""
    async with open_repository(f"sqlite:{path}") as repository:
        await repository.commit(Changes(insert=(a_tenant(2), a_profile(chain=a_chain()), an_organization())))
        numbers = range(1, DEVICES + 1)
        await repository.commit(
            Changes(
                insert=(*map(_device, numbers), *map(a_credential, numbers)),
                events=tuple(an_event(number, detail=_strange(number)) for number in numbers),
            )
        )
        await repository.commit(
            Changes(
                insert=(
                    a_signed(DEVICES + 1, owner="organization", firmware=some_firmware(), provisioned_at=1, runs="1.0"),
                    *(a_channel(number, name=_strange(number)) for number in range(1, 6)),
                    *(a_config(number, *range(1, number % 4 + 1)) for number in range(1, 21)),
                    *(a_user(number, name=_strange(number)) for number in range(2, 6)),
                    *map(a_claim, range(1, 4)),
                    *map(an_oscore_state, range(1, 4)),
                    *map(an_issued, range(1, 4)),
                    an_approval(),
                    a_tombstone(100, name="\x00gone"),
                    a_token(role=Role.ADMIN),
                )
            )
        )


def _device(number: int) -> Any:
    return a_device(number, name=f"sensor-{number:04}{_strange(number)}", label=_strange(number + 1))


def _strange(number: int) -> str:
    return STRANGE[number % len(STRANGE)]


QUESTIONS: tuple[Query[Any], ...] = (
    TenantPage(),
    ProfilePage(DEFAULT_TENANT),
    DevicePage(DEFAULT_TENANT),
    LabelledPage(DEFAULT_TENANT, "ß"),
    *(LabelledPage(DEFAULT_TENANT, text.casefold()) for text in STRANGE),
    LoginQuery(tuple(map(a_lookup, range(1, DEVICES + 1)))),
    *(ClaimQuery("key-1", f"sensor-{number:04}{STRANGE[number]}", a_lookup(number)) for number in range(1, 10)),
    ChannelPage(DEFAULT_TENANT),
    ConfigPage(DEFAULT_TENANT),
    *(BootstrapQuery(f"external-{number:04}") for number in range(1, 21)),
    EventPage(DEFAULT_TENANT),
    IssuedPage(until=0),
    AnchorsQuery(("anchor-1",), ("name-1",)),
    *(OscoreQuery(CredentialId(f"credential-{number:04}")) for number in range(1, 4)),
    *(PendingClaimQuery(a_lookup(3000 + number)) for number in range(1, 4)),
    ApprovalPage(tenant=DEFAULT_TENANT),
    TombstonePage(DEFAULT_TENANT),
    TokenPage(DEFAULT_TENANT),
    *(EntryPage(tenant=DEFAULT_TENANT, kind=kind) for kind in EntryKind),
    FirmwareCountsQuery(DEFAULT_TENANT),
)


async def answers(url: str) -> list[Any]:
    """Open a registry and return what it answers to questions of every kind."""
    async with open_repository(url) as repository:
        return [await repository.read(question) for question in QUESTIONS]


@contextmanager
def rows_of(path: Path) -> Iterator[sqlite3.Connection]:
    """Look into a file past its repository, and change it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def dump(path: Path) -> list[str]:
    """Return all rows of a file as SQL."""
    with rows_of(path) as connection:
        return sorted(line for line in connection.iterdump() if line.startswith("INSERT"))
