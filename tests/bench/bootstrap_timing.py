"""Prints how long a refused bootstrap takes, by what is wrong with it: who measures must not learn more than the answer says.

`python -m tests.bench.bootstrap_timing` asks the core in turns, over memory and over SQLite. The ratios are to a wrong key.
Options: `--rounds`, `--channels`, `--content` (characters in the configuration).
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Mapping

import msgspec

from adapters.single_use import MemorySingleUse
from adapters.system import ScryptKeys, SystemClock, SystemEntropy
from core.audit import Audit
from core.bootstrap import Bootstrap
from core.challenge import BootstrapByChallenge, OfferChallenge
from core.crypto.cfb import IV_BYTES, Envelope
from core.crypto.challenges import ExchangeKeys, Parties
from core.crypto.vault import Vault
from core.errors import Refusal
from core.issuer import Issuer
from core.limits import Rate
from core.lockout import Lockout
from core.messages import AskChallenge, BootstrapRequest, Context, EncryptedKey, PlainKey, ProvenBootstrap
from core.model import Secret, TenantId
from core.operate import Operate, Operation, bearer_lookup
from core.operate.configuring import CreateChannels, CreateConfig, NewChannel
from core.ports import Repository
from storage import open_repository

EXTERNAL_ID, UNKNOWN_ID = "09:6:0:sb:sa", "09:6:0:sb:sb"
KEY, WRONG_KEY = "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp", "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPq"
SHARED_KEY = bytes(range(32))
ADMIN = Secret("the admin token of this measurement")
CONTEXT = Context("01938a4e-0000-7000-8000-000000000000", "http", "mainflux", "192.0.2.7")
NO_LIMIT = Rate(0.0, 1.0)
WARM_ROUNDS = 200

Request = BootstrapRequest | ProvenBootstrap


def requests() -> Mapping[str, BootstrapRequest]:
    """Return one request for each way of being refused, all about equally long."""
    wrong = Envelope(SHARED_KEY, bytes(IV_BYTES)).close(WRONG_KEY.encode()).hex()
    texts = {"wrong key": wrong, "wrong hex": "g" * len(wrong), "odd hex": wrong[:-1], "short": "00" * (IV_BYTES - 1)}
    return {
        "plain, wrong key": _plain(EXTERNAL_ID, "?" * len(KEY)),
        "plain, all but the last right": _plain(EXTERNAL_ID, WRONG_KEY),
        "plain, key of one character": _plain(EXTERNAL_ID, "k"),
        "plain, unknown id": _plain(UNKNOWN_ID, WRONG_KEY),
        **{f"secure, {name}": _secure(EXTERNAL_ID, text) for name, text in texts.items()},
        **{f"secure, {name}, unknown id": _secure(UNKNOWN_ID, text) for name, text in texts.items()},
    }


def _plain(external_id: str, key: str) -> BootstrapRequest:
    return BootstrapRequest(external_id=external_id, proof=PlainKey(Secret(key)))


def _altered(request: ProvenBootstrap, **fields: object) -> ProvenBootstrap:
    return msgspec.structs.replace(request, **fields)


def _secure(external_id: str, text: str) -> BootstrapRequest:
    return BootstrapRequest(external_id=external_id, proof=EncryptedKey(text))


class Core:
    """The use cases over a registry, with the machine's own clock and entropy, and without limits."""

    def __init__(self, repository: Repository) -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        vault = Vault(bytes(range(32)), entropy)
        issuer = Issuer(vault, clock, entropy, ScryptKeys())
        audit = Audit(repository, clock, entropy, NO_LIMIT)
        admin = bearer_lookup(vault, ADMIN)
        self._operate = Operate(repository, issuer, audit, admin, Lockout(NO_LIMIT), frozenset(), frozenset())
        memory = MemorySingleUse(clock, entropy, print)
        self._offer = OfferChallenge(issuer, memory)
        self._bootstrap = Bootstrap(repository, issuer, audit, Lockout(NO_LIMIT), SHARED_KEY)
        self._prove = BootstrapByChallenge(repository, issuer, audit, Lockout(NO_LIMIT), memory)

    async def configure(self, channels: int, content: str) -> None:
        """Make the one configuration that there is."""
        wanted = CreateChannels(tuple(NewChannel(name=f"channel {number}") for number in range(channels)))
        made = await self._operate(Operation(ADMIN, TenantId("default"), wanted), CONTEXT)
        ids = tuple(channel.id for channel in made)
        config = CreateConfig(external_id=EXTERNAL_ID, external_key=Secret(KEY), content=content, channels=ids)
        await self._operate(Operation(ADMIN, TenantId("default"), config), CONTEXT)

    async def challenged(self) -> Mapping[str, Request]:
        """Return one request for each way of being refused with a challenge."""
        known, unknown = [await self._proven(name, WRONG_KEY) for name in (EXTERNAL_ID, UNKNOWN_ID)]
        right = await self._proven(EXTERNAL_ID, KEY)
        altered = right.challenge[:-1] + bytes([right.challenge[-1] ^ 1])
        return {
            "challenge, wrong key": known,
            "challenge, unknown id": unknown,
            "challenge, all but the last bit right": _altered(right, proof=right.proof[:-1] + bytes([right.proof[-1] ^ 1])),
            "challenge, another nonce": _altered(right, nonce=bytes(range(32))),
            "challenge, altered": _altered(right, challenge=altered),
            "challenge, altered, unknown id": _altered(right, challenge=altered, external_id=UNKNOWN_ID),
        }

    async def _proven(self, external_id: str, key: str) -> ProvenBootstrap:
        nonce = bytes(32)
        offered = await self._offer(AskChallenge(external_id, nonce), CONTEXT)
        proof = ExchangeKeys(Secret(key), Parties(external_id, nonce, offered.nonce)).prove(offered.challenge)
        return ProvenBootstrap(external_id=external_id, nonce=nonce, challenge=offered.challenge, proof=proof)

    async def seconds(self, request: Request) -> float:
        """Return how long a request takes to be refused."""
        started = time.perf_counter()
        try:
            if isinstance(request, ProvenBootstrap):
                await self._prove(request, CONTEXT)
            else:
                await self._bootstrap(request, CONTEXT)
        except Refusal:
            return time.perf_counter() - started
        raise AssertionError("it was not refused")


async def measure(url: str, rounds: int, channels: int, content: str) -> Mapping[str, list[float]]:
    """Ask everything once in each round, in an order that chance gives."""
    chance = random.Random(1)
    async with open_repository(url) as repository:
        core = Core(repository)
        await core.configure(channels, content)
        subjects = [*requests().items(), *(await core.challenged()).items()]
        found: dict[str, list[float]] = {name: [] for name, _ in subjects}
        for number in range(rounds + WARM_ROUNDS):
            chance.shuffle(subjects)
            for name, request in subjects:
                seconds = await core.seconds(request)
                if number >= WARM_ROUNDS:
                    found[name].append(seconds)
    return found


def report(title: str, found: Mapping[str, list[float]]) -> None:
    """Print medians, and each as a share of a wrong key's of the same kind."""
    medians = {name: statistics.median(some) for name, some in found.items()}
    print(f"{title:<42}{'median, us':>12}{'ratio':>8}")
    for name, median in medians.items():
        reference = medians[f"{name.partition(',')[0]}, wrong key"]
        print(f"  {name:<40}{median * 1e6:>12.1f}{median / reference:>8.3f}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--content", type=int, default=200)
    chosen = parser.parse_args()
    content = "x" * chosen.content
    with tempfile.TemporaryDirectory() as folder:
        for title, url in (("over memory", "memory:"), ("over SQLite", f"sqlite:{folder}/registry.db")):
            report(title, asyncio.run(measure(url, chosen.rounds, chosen.channels, content)))


if __name__ == "__main__":
    main()
