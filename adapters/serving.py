"""Runs a gateway as a daemon: its loop, its signals, and what it says at its start and end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

from adapters import demo, logs
from adapters.app import Gateway, Running, build
from adapters.config import Config, SettingError
from adapters.listeners import Listening
from adapters.settings import Address, without_password
from core.errors import Refusal


def run(config: Config, *, demo_profile: bool = False) -> int:
    """Run a gateway until SIGTERM or SIGINT; returns the exit status."""
    logs.configure(config.log_level, config.log_format, config.log_lines)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(build(config), demo_profile))
    except SettingError as error:
        print(f"firstlight: {error}", file=sys.stderr)  # noqa: T201 - the one line an operator is to read
        return 1
    except Refusal as refusal:
        # Nothing but the registry refuses a start.
        print(f"firstlight: FIRSTLIGHT_DATABASE: {refusal.detail}", file=sys.stderr)  # noqa: T201 - the same
        return 1
    return 0


async def _serve(gateway: Gateway, demo_profile: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for warning in gateway.config.warnings:
        gateway.log.warning(warning)
    async with gateway.running() as running:
        loop.add_signal_handler(signal.SIGHUP, running.reload)
        _announce(gateway, running)
        _spare_the_collector()
        if demo_profile:
            claim = await demo.ensure_profile(running.repository, running.issuer)
            print(demo.text(claim, running.reach(), gateway.config), flush=True)  # noqa: T201 - for the newcomer at the terminal
        await stop.wait()
        gateway.log.info("stopping")
    gateway.log.info("stopped")


def _spare_the_collector() -> None:
    """Keep what start-up made out of every later garbage collection, and collect less often.

    Requests make few reference cycles; with Python's own thresholds a tenth of a request's time went to looking for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 50)


def _announce(gateway: Gateway, running: Running) -> None:
    for path in running.secrets.made:
        gateway.log.warning("a secret was made for the first start; keep a copy of it in a safe place", file=str(path))
    listening = {name: ",".join(map(str, addresses)) or "off" for name, addresses in _shown(running.listening).items()}
    gateway.log.info("listening", **listening, database=without_password(gateway.config.database))


def _shown(listening: Listening) -> dict[str, tuple[Address, ...]]:
    """Return the addresses by protocol: those of the three that are always spoken of, and those of others that are on."""
    found = {name: getattr(listening, name) for name in listening.__struct_fields__}
    return {name: addresses for name, addresses in found.items() if addresses or name in ("http", "coap", "mqtt")}


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform or interpreter: slower, otherwise the same
        return asyncio.new_event_loop
    return uvloop.new_event_loop
