"""What stands where the gateway does, for tests of what comes after a login: it answers a broker's questions as it is told."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web


class Door:
    """Lets everybody in, but for the user names in `closed`; `asked` are the paths and forms of the questions."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one question."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.path.rpartition("/")[2], form))
        return web.Response(text="deny" if form["username"] in self.closed else "allow")


@contextlib.asynccontextmanager
async def door(port: int) -> AsyncIterator[Door]:
    """Answer at a port of loopback."""
    doorkeeper = Door()
    application = web.Application()
    application.router.add_post("/v1/broker/rabbitmq/{question}", doorkeeper.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield doorkeeper
    finally:
        await runner.cleanup()
