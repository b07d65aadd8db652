"""What a group of queries will ask in several steps, asked at once: one statement, so one round trip and one moment.

The queries themselves are told nothing of it: they take their steps, and each is answered by what is there already.
"""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from core.queries import (
    AnchorsQuery,
    AnyDeviceQuery,
    BootstrapQuery,
    ClaimQuery,
    ConfigQuery,
    DeviceQuery,
    EnrolQuery,
    LoginQuery,
    Query,
    SignedDevicesQuery,
)
from storage import answers, configurations, enrolment, tombstones, trust
from storage.postgres.spelling import over
from storage.rows import Row
from storage.statements import Asked, Grouped, Statement
from storage.steps import Steps

Found = dict[Grouped, Sequence[Row]]
"""The rows of each statement that was asked."""


class Part(NamedTuple):
    """A statement, and a SELECT of its parameter rows: of the parameters, or of what an earlier part has found.

    `first` is what its first column is called where another one has the same name.
    """

    statement: Grouped
    source: str
    first: str = ""


class Foreseen:
    """All that queries of a kind ask, as one statement, each part of it under its name.

    `parameters` gives what the sources call `$1` and so on. The rows of a part come as an array of records, which cost several
    times what plain rows do, so the rows of one part may come plain, and the others as a part of the first of these: where
    there is none, there is none of the others either.
    """

    def __init__(
        self, parts: Mapping[str, Part], parameters: Callable[[Sequence[Any]], Sequence[list[Any]]], plain: str = ""
    ) -> None:
        self._parameters = parameters
        self._plain = parts[plain].statement if plain else None
        self._others = [part.statement for name, part in parts.items() if name != plain]
        found = ", ".join(
            f"{name}{f' ({part.first})' if part.first else ''} AS MATERIALIZED ({over(part.statement, part.source)})"
            for name, part in parts.items()
        )
        arrays = [f"ARRAY(SELECT {name} FROM {name})" for name in parts if name != plain]
        if plain:
            first = ", ".join(f"CASE WHEN row_number() OVER () = 1 THEN {array} END" for array in arrays)
            self.text = f"WITH {found} SELECT {plain}.*, {first} FROM {plain}"
        else:
            self.text = f"WITH {found} SELECT {', '.join(arrays)}"

    async def ask(self, connection: "asyncpg.Connection[asyncpg.Record]", queries: Sequence[Any]) -> Found:
        """Ask for all that the queries will ask for."""
        rows: list[Any] = await connection.fetch(self.text, *self._parameters(queries))
        others = rows[0][-len(self._others) :] if rows else [()] * len(self._others)
        found: Found = dict(zip(self._others, others, strict=True))
        if self._plain is not None:
            found[self._plain] = rows
        return found


def answer(found: Found, steps: Steps[Any]) -> Any:
    """Take all steps over what was found before, and return the answer."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(_rows(found, asked))
    except StopIteration as done:
        return done.value


def _rows(found: Found, asked: Statement | Asked) -> list[Row]:
    if not isinstance(asked, Asked):
        raise TypeError("only grouped statements are foreseen")
    return list(found[asked.statement]) if asked.rows else []


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(set(values))


def _columns(pairs: Iterable[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    distinct = _distinct(pairs)
    return [first for first, _ in distinct], [second for _, second in distinct]


_TEXTS = "SELECT * FROM unnest($1::text[])"
_BYTES = "SELECT * FROM unnest($1::bytea[])"


def _of_claims(queries: Sequence[ClaimQuery]) -> Sequence[list[Any]]:
    keys, names = _columns((query.provision_key, query.device_name) for query in queries if query.device_name)
    lookups = _distinct(query.lookup for query in queries if query.lookup is not None)
    return _distinct(query.provision_key for query in queries), keys, names, lookups


_NAMES = """SELECT DISTINCT profile.tenant, asked.name FROM unnest($2::text[], $3::text[]) AS asked (key, name)
    CROSS JOIN profile ON profile.provision_key = asked.key"""
CLAIMS = Foreseen(
    {
        "profiles": Part(answers.PROFILES_BY_KEY, _TEXTS),
        "devices": Part(answers.DEVICES_BY_NAME, _NAMES),
        "credentials": Part(answers.CREDENTIALS_BY_DEVICE, "SELECT devices.id FROM devices"),
        "taken": Part(answers.LOOKUPS_TAKEN, "SELECT * FROM unnest($4::bytea[])"),
        "tombstones": Part(tombstones.TOMBSTONES_BY_NAME, _NAMES),
    },
    _of_claims,
)


def _of_enrolments(queries: Sequence[EnrolQuery]) -> Sequence[list[Any]]:
    serials = _columns((query.provision_key, query.serial) for query in queries)
    names = _columns((query.provision_key, name) for query in queries for name in query.names)
    return _distinct(query.provision_key for query in queries), *serials, *names


_SERIALS = """SELECT DISTINCT profile.id, asked.serial FROM unnest($2::text[], $3::text[]) AS asked (key, serial)
    CROSS JOIN profile ON profile.provision_key = asked.key"""
ENROLMENTS = Foreseen(
    {
        "profiles": Part(answers.PROFILES_BY_KEY, _TEXTS),
        "devices": Part(enrolment.DEVICES_BY_SERIAL, _SERIALS),
        "credentials": Part(answers.CREDENTIALS_BY_DEVICE, "SELECT devices.id FROM devices"),
        "taken": Part(answers.NAMES_TAKEN, _NAMES.replace("$2", "$4").replace("$3", "$5")),
        "tombstones": Part(tombstones.TOMBSTONES_BY_SERIAL, _SERIALS),
    },
    _of_enrolments,
)

LOGINS = Foreseen(
    {
        "logins": Part(answers.LOGINS, _BYTES),
        "profiles": Part(answers.PROFILES_BY_ID, "SELECT DISTINCT logins.profile FROM logins"),
    },
    lambda queries: [_distinct(lookup for query in queries for lookup in query.lookups)],
    plain="logins",
)
DEVICES = Foreseen(
    {
        "devices": Part(answers.DEVICES_BY_ID, _TEXTS),
        "profiles": Part(answers.PROFILES_BY_ID, "SELECT DISTINCT devices.profile FROM devices"),
        "credentials": Part(answers.CREDENTIALS_BY_DEVICE, "SELECT devices.id FROM devices"),
    },
    lambda queries: [_distinct(query.id for query in queries)],
    plain="devices",
)
SIGNED = Foreseen(
    {
        "named": Part(enrolment.SIGNED_BY_NAME, _TEXTS),
        "numbered": Part(enrolment.SIGNED_BY_SERIAL, _TEXTS),
        "profiles": Part(answers.PROFILES_BY_ID, "SELECT named.profile FROM named UNION SELECT numbered.profile FROM numbered"),
        "credentials": Part(answers.CREDENTIALS_BY_DEVICE, "SELECT named.id FROM named UNION SELECT numbered.id FROM numbered"),
    },
    lambda queries: [_distinct(query.serial for query in queries)],
)
ANCHORED = Foreseen(
    {
        "anchored": Part(trust.PROFILES_BY_ANCHOR, _TEXTS),
        "named": Part(trust.PROFILES_BY_NAME, _TEXTS.replace("$1", "$2")),
    },
    lambda queries: (
        _distinct(anchor for query in queries for anchor in query.anchors),
        _distinct(name for query in queries for name in query.names),
    ),
)


def _configurations(statement: Grouped, asked: Callable[[Any], str]) -> Foreseen:
    """Foresee configurations with all that belongs to them. The first column of theirs is their id, which a device's is too."""
    return Foreseen(
        {
            "configs": Part(statement, _TEXTS, first="config"),
            "listed": Part(configurations.CHANNELS_LISTED, "SELECT configs.config FROM configs"),
            "channels": Part(configurations.CHANNELS_BY_ID, "SELECT DISTINCT listed.channel FROM listed"),
            "credentials": Part(answers.CREDENTIALS_BY_DEVICE, "SELECT configs.config FROM configs"),
        },
        lambda queries: [_distinct(map(asked, queries))],
        plain="configs",
    )


FORESEEN: Mapping[type[Query[Any]], Foreseen] = {
    ClaimQuery: CLAIMS,
    LoginQuery: LOGINS,
    EnrolQuery: ENROLMENTS,
    SignedDevicesQuery: SIGNED,
    AnchorsQuery: ANCHORED,
    DeviceQuery: DEVICES,
    AnyDeviceQuery: DEVICES,
    BootstrapQuery: _configurations(configurations.CONFIGS_BY_EXTERNAL_ID, lambda query: query.external_id),
    ConfigQuery: _configurations(configurations.CONFIGS_BY_ID, lambda query: query.id),
}
"""The kinds that take several steps of which all are known beforehand."""
