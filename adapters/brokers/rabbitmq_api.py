"""Asks RabbitMQ's management interface who is connected, and has connections closed.

The interface is described by the broker itself at `/api/index.html`; https://www.rabbitmq.com/docs/http-api-reference.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import aiohttp
import msgspec

from core.model import Secret

TIMEOUT_SECONDS: Final = 10.0
PAGE: Final = 500  # the most that the broker gives at once
PAGES: Final = 2_000
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
CONNECTIONS_AT_ONCE: Final = 8

_COLUMNS: Final = "name,user,protocol,variable_map"
_REASON: Final = "the gateway let it go"

T = TypeVar("T")


class BrokerAway(Exception):
    """The management interface gives no answer that is of use; the text says why, for the log."""


class BrokerRefuses(BrokerAway):
    """The management interface answers, and will not do as it is asked before somebody changes its settings or ours."""


class BrokerConnection(msgspec.Struct, frozen=True):
    """One MQTT connection at the broker, by the broker's own name for it."""

    name: str
    username: str
    client_id: str


class _Listed(msgspec.Struct, frozen=True):
    name: str = ""
    user: str = ""
    protocol: str = ""
    # An empty one is a list: that is how the broker writes what it knows nothing about.
    variable_map: dict[str, object] | list[object] | None = None

    def client_id(self) -> str:
        return str(self.variable_map.get("client_id", "")) if isinstance(self.variable_map, dict) else ""


class _Page(msgspec.Struct, frozen=True):
    items: tuple[_Listed, ...]
    page_count: int


class _User(msgspec.Struct, frozen=True):
    name: str


_PAGE: Final = msgspec.json.Decoder(_Page)
_USERS: Final = msgspec.json.Decoder(tuple[_User, ...])


class ManagementApi:
    """The management interface at `http://USER@HOST:PORT`. Every method raises `BrokerAway`; used within `async with`.

    The user needs RabbitMQ's tag `administrator`: it closes the connections of others.
    """

    def __init__(self, address: str, password: Secret | None, *, seconds: float = TIMEOUT_SECONDS) -> None:
        url = urlsplit(address)
        self._url = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path.rstrip("/") + "/api", "", ""))
        login = (unquote(url.username or ""), password.reveal() if password else "")
        self._headers = {"Authorization": aiohttp.encode_basic_auth(*login, encoding="utf-8"), "X-Reason": _REASON}
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def close_user(self, username: str) -> None:
        """Close every connection of a user name. The broker keeps count of these itself: what is open is closed, however new.

        Raises `ValueError` for a name that the interface cannot be asked about (`is_addressable`).
        """
        if not is_addressable(username):
            raise ValueError(username)
        await self._close(f"/connections/username/{quote(username, safe='')}")

    async def close(self, name: str) -> None:
        """Close one connection by the broker's name for it; it may be closed already."""
        await self._close(f"/connections/{quote(name, safe='')}")

    async def connections(self) -> AsyncIterator[BrokerConnection]:
        """Yield the MQTT connections. What was opened in the last seconds is missing, what was closed then is there still.

        The list is made of figures that connections report, by default every 5 seconds.
        """
        number, pages = 1, 1
        while number <= min(pages, PAGES):
            query = {"page": str(number), "page_size": str(PAGE), "columns": _COLUMNS}
            page = await self._get("/connections", query, _PAGE)
            for row in page.items:
                if "MQTT" in row.protocol:
                    yield BrokerConnection(row.name, row.user, row.client_id())
            number, pages = number + 1, page.page_count

    async def users(self) -> frozenset[str]:
        """Return the names of the users that the broker keeps itself."""
        return frozenset(user.name for user in await self._get("/users", {"columns": "name"}, _USERS))

    async def _close(self, path: str) -> None:
        status, _ = await self._ask("DELETE", path, {})
        if status not in (204, 404):
            raise _unexpected(status)

    async def _get(self, path: str, query: Mapping[str, str], decoder: msgspec.json.Decoder[T]) -> T:
        status, body = await self._ask("GET", path, query)
        if status != 200:
            raise _unexpected(status)
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise BrokerAway("what answers there is not RabbitMQ's management interface") from error

    async def _ask(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self._session is None:
            raise BrokerAway("not started")
        try:
            async with self._session.request(method, self._url + path, params=query, allow_redirects=False) as response:
                return response.status, await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokerAway(str(error) or "no answer in time") from error


def is_addressable(username: str) -> bool:
    """Tell whether the interface can be asked about a user name: none is no segment of a path, and dots are another path."""
    return username not in ("", ".", "..")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise BrokerAway("the answer is too long")
    return bytes(body)


def _unexpected(status: int) -> BrokerAway:
    # 500 is what 3.10 answers those who may look and not close.
    if status in (401, 403, 500):
        return BrokerRefuses(f"it answers {status}: look at the password of its user, who needs the tag administrator")
    return BrokerAway(f"it answers {status}")
