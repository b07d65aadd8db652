"""A client of the operator API, for tests that ask a whole gateway from outside."""

import json
from typing import Any, NamedTuple, Self

import aiohttp

from adapters.settings import Address


class Answer(NamedTuple):
    """A response of the gateway over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


class Operator:
    """Speaks `/v1` with one bearer token; every method but `ask` fails where the gateway refuses."""

    def __init__(self, address: Address, token: str) -> None:
        self._url = f"http://{address}"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and return the response, whatever it is."""
        async with self._session.request(method, self._url + path, json=body, headers=self._headers) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, await response.read())

    async def get(self, path: str) -> Any:
        return await self._granted("GET", path)

    async def post(self, path: str, body: Any) -> Any:
        return await self._granted("POST", path, body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._granted("PATCH", path, body)

    async def all(self, path: str) -> list[dict[str, Any]]:
        """Return the entries of every page."""
        entries: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        joint = "&" if "?" in path else "?"
        while page["next"] is not None:
            after = f"&after={page['next']}" if page["next"] else ""
            page = await self.get(f"{path}{joint}limit=1000{after}")
            entries += page["items"]
        return entries

    async def newest_event(self) -> dict[str, Any]:
        page = await self.get("/v1/events?newest=true&limit=1")
        event: dict[str, Any] = page["items"][0]
        return event

    async def device(self, name: str) -> dict[str, Any] | None:
        """Return the device of a name, None where there is none."""
        answer = await self.ask("GET", f"/v1/devices/name:{name}")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        device: dict[str, Any] = _json(answer)
        return device

    async def figures(self) -> dict[str, float]:
        """Return the metrics page as sample and value."""
        text = (await self.ask("GET", "/metrics")).body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {sample: float(value) for sample, _, value in lines}

    async def _granted(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status < 300, answer
        return _json(answer)


def _json(answer: Answer) -> Any:
    return json.loads(answer.body)
