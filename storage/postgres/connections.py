"""Connections to PostgreSQL: whom to call, how long to wait, and what both sides hold each other to."""

import asyncio
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from storage.postgres import texts
from storage.rows import Row

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for type checkers alone


AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What is raised where a database cannot be asked. The last is what a session that is ended at a bad moment gets."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a connection waits, in seconds.

    `connect` is for one host, `command` for one answer, on this side. The database gives up a statement after `statement`,
    the wait for a lock after `lock`, and a transaction in which nothing is asked after `idle`: a gateway that was cut off while
    it held locks must not stop the others. `silence` is after how long without a sign each side gives up the other.
    """

    connect: float = 5.0
    command: float = 7.0
    statement: float = 6.0
    lock: float = 3.0
    idle: float = 5.0
    silence: float = 15.0


UNHURRIED = Patience(command=24 * 3600.0, statement=0.0, lock=3.0, idle=0.0)
"""For work that takes as long as it takes: schema steps and copies. Locks are not waited for long: others wait behind."""


class _Watched(Connection):
    """A connection whose socket notices that nobody is there any more, and that takes any text in arrays."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *others: Any) -> None:
        super().__init__(protocol, transport, *others)
        _watch(transport.get_extra_info("socket"), Patience().silence)

    async def execute(self, query: str, *args: Any, **others: Any) -> str:
        return await super().execute(query, *texts.parameters(args), **others)

    async def fetch(self, query: str, *args: Any, **others: Any) -> Any:
        return await super().fetch(query, *texts.parameters(args), **others)

    async def fetchrow(self, query: str, *args: Any, **others: Any) -> Any:
        return await super().fetchrow(query, *texts.parameters(args), **others)

    async def fetchval(self, query: str, *args: Any, **others: Any) -> Any:
        return await super().fetchval(query, *texts.parameters(args), **others)


async def connect(
    url: str, *, name: str, patience: Patience | None = None, settings: Mapping[str, str] | None = None
) -> Connection:
    """Open a connection to the first of the URL's hosts that takes writes, and teach it our texts.

    `name` tells operators whose it is (`pg_stat_activity.application_name`), `settings` are of the session. Raises what asyncpg
    raises, `OSError` and `TimeoutError`: the last host's.
    """
    try:
        return await _connect_to_first(url, name, patience if patience is not None else Patience(), settings or {})
    except (asyncpg.ClientConfigurationError, OSError):  # a certificate that does not hold is an OSError and a ValueError
        raise
    except (ValueError, OverflowError):  # what they say may be a part of a password
        raise asyncpg.ClientConfigurationError(
            "its URL is not well-formed: what is special in it has to be %-encoded"
        ) from None


async def _connect_to_first(url: str, name: str, patience: Patience, settings: Mapping[str, str]) -> Connection:
    *others, last = hosts(url)
    for one in others:
        try:
            return await _connect(one, name, patience, settings)
        except (OSError, TimeoutError, asyncpg.TargetServerAttributeNotMatched, asyncpg.CannotConnectNowError):
            continue
    return await _connect(last, name, patience, settings)


async def fetched(connection: Connection, text: str, *parameters: Any) -> list[Row]:
    """Return what a statement answers. Raises what asyncpg raises."""
    found: list[Any] = await connection.fetch(text, *parameters)  # records, which are read as tuples are
    return found


def hosts(url: str) -> list[str]:
    """Return a URL for each host of one: a host that is silent must not use up the time of those behind it."""
    scheme, _, rest = url.partition("://")
    authority = rest[: min(rest.find(mark) if mark in rest else len(rest) for mark in "/?#")]
    user, at, named = authority.rpartition("@")
    behind = rest[len(authority) :]
    return [f"{scheme}://{user}{at}{host}{behind}" for host in named.split(",")]


def shown(url: str) -> str:
    """Return of a URL what may be seen: hosts and database."""
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2]


async def _connect(url: str, name: str, patience: Patience, settings: Mapping[str, str]) -> Connection:
    connection: Connection = await asyncpg.connect(
        url,
        timeout=patience.connect,
        command_timeout=patience.command,
        max_cached_statement_lifetime=0,
        statement_cache_size=400,
        connection_class=_Watched,
        server_settings={"application_name": name, **_held_to(patience), **settings},
        target_session_attrs=None if "target_session_attrs" in url else SessionAttribute.read_write,
    )
    try:
        await connection.set_type_codec(
            "text", schema="pg_catalog", format="binary", encoder=texts.encoded, decoder=texts.decoded
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


def _held_to(patience: Patience) -> dict[str, str]:
    """Return what the database is to hold this session to; https://www.postgresql.org/docs/15/runtime-config-client.html."""
    silence = patience.silence
    return {
        "default_transaction_isolation": "read committed",  # what is locked is read as it is after the lock
        "statement_timeout": _ms(patience.statement),
        "lock_timeout": _ms(patience.lock),
        "idle_in_transaction_session_timeout": _ms(patience.idle),
        "tcp_keepalives_idle": str(max(1, int(silence / 3))),
        "tcp_keepalives_interval": str(max(1, int(silence / 6))),
        "tcp_keepalives_count": "4",
        "tcp_user_timeout": _ms(silence),
    }


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))


def _watch(sock: socket.socket | None, silence: float) -> None:
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(silence / 3)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(silence / 6)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000))
