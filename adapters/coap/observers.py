"""The list of observers (RFC 7641, section 4.1): who is on it, how many there may be, and how long."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from adapters.coap.config import CoapConfig
from adapters.coap.remote import Remote
from adapters.coap.seal import Seal
from adapters.exchange import Exchange, Inbound, Meter


class Registration(msgspec.Struct, frozen=True):
    """What an observer asked for, of which exchange, and the largest answer, in bytes, that it is told as a notification.

    `seal` is there where it asked, and is told, in messages that are protected by themselves.
    """

    remote: Remote
    token: bytes
    exchange: Exchange
    inbound: Inbound
    max_bytes: int
    seal: Seal | None = None


class Observer:
    """One entry of the list.

    `state` is the entity tag of what it was told last, or that itself where it has none; None: unknown. `mid` is the last
    message of ours that told it something, -1 where that was an acknowledgement. `due` tells that it may have to be told
    something else. `end` ends the watch of the resource behind it, which goes by the name `key`.
    """

    __slots__ = ("client", "due", "end", "key", "listed", "mid", "registration", "since", "state")

    end: Callable[[], None]  # always there once it is watched for

    def __init__(self, registration: Registration, client: "Client", since: float) -> None:
        self.registration = registration
        self.client = client
        self.since = since
        self.state: str | bytes | None = None
        self.key = ""
        self.mid = -1
        self.due = False
        self.listed = True


class Client:
    """A remote with its observers by token. `busy`: one of them is asked about, or told with the message `mid`."""

    __slots__ = ("busy", "mid", "observers", "queued", "remote")

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.observers: dict[bytes, Observer] = {}
        self.busy = False
        self.queued = False
        self.mid = -1

    def postpone(self, observer: Observer) -> None:
        """Let the others of this client come before this one."""
        token = observer.registration.token
        self.observers[token] = self.observers.pop(token)


class Observers:
    """All observers, in the order in which they came; each leaves after `observe_seconds` unless it registers again."""

    def __init__(self, meter: Meter, config: CoapConfig, level: str = "coap.observers") -> None:
        self._meter = meter
        self._level = level
        self._config = config
        self._clients: dict[Remote, Client] = {}
        self._observers: OrderedDict[tuple[Remote, bytes], Observer] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def client(self, remote: Remote) -> Client | None:
        """Return a remote that observes, or that is still being told why it does not any more."""
        return self._clients.get(remote)

    def get(self, remote: Remote, token: bytes) -> Observer | None:
        """Return the observer with this remote and token."""
        return self._observers.get((remote, token))

    def add(self, registration: Registration) -> Observer | None:
        """Enter an observer, in place of one with the same remote and token; None where a bound forbids it."""
        remote, token = registration.remote, registration.token
        self.remove(remote, token)
        client = self._clients.get(remote)
        bound = self._full(client)
        if bound is not None:
            self._meter.bound(bound)
            return None
        if client is None:
            client = self._clients[remote] = Client(remote)
        observer = Observer(registration, client, asyncio.get_running_loop().time())
        client.observers[token] = self._observers[remote, token] = observer
        self._count()
        self._await_expiry()
        return observer

    def remove(self, remote: Remote, token: bytes) -> None:
        """Strike an observer off, where there is one, and end its watch."""
        observer = self._observers.pop((remote, token), None)
        if observer is None:
            return
        observer.listed = False
        observer.end()
        del observer.client.observers[token]
        self.leave(observer.client)
        self._count()

    def leave(self, client: Client) -> None:
        """Forget a client that neither observes nor is told anything."""
        if not client.observers and not client.busy and self._clients.get(client.remote) is client:
            del self._clients[client.remote]

    def forget(self, remote: Remote) -> None:
        """Strike off all observers of a remote that nothing reaches any more."""
        client = self._clients.get(remote)
        if client is None:
            return
        client.busy = False
        for token in tuple(client.observers):
            self.remove(remote, token)
        self.leave(client)

    def clear(self) -> None:
        """Strike off all observers."""
        for remote in tuple(self._clients):
            self.forget(remote)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _full(self, client: Client | None) -> str | None:
        if len(self._observers) >= self._config.observers:
            return "coap.observers"
        if (len(client.observers) if client else 0) >= self._config.observers_per_remote:
            return "coap.observers_per_remote"
        return None

    def _count(self) -> None:
        self._meter.level(self._level, len(self._observers))

    def _await_expiry(self) -> None:
        if self._timer is None and self._observers:
            loop, oldest = asyncio.get_running_loop(), next(iter(self._observers.values()))
            self._timer = loop.call_at(oldest.since + self._config.observe_seconds, self._expire)

    def _expire(self) -> None:
        self._timer = None
        latest = asyncio.get_running_loop().time() - self._config.observe_seconds
        while self._observers:
            key, oldest = next(iter(self._observers.items()))
            if oldest.since > latest:
                break
            self._meter.bound("coap.observe_seconds")
            self.remove(*key)
        self._await_expiry()
