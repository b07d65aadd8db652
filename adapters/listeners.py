"""Everything that listens: a server for each protocol, on the addresses of the settings, in the clear and protected."""

import asyncio
import errno
import math
from collections.abc import Awaitable, Callable

import msgspec

from adapters import spoken
from adapters.answering import Answering
from adapters.broker_work import upstream_of
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.server import CoapServer
from adapters.coap.tcp.server import CoapTcpServer
from adapters.config import Config, SettingError
from adapters.exchange import Exchange, Meter
from adapters.http.server import HttpServer, Pages
from adapters.mqtt.server import MqttServer
from adapters.own_addresses import OwnAddresses
from adapters.proxying.proxies import Proxies
from adapters.proxying.trust import TrustedProxies
from adapters.settings import Address
from adapters.tls.contexts import COAP, HTTP, MQTT, Contexts
from adapters.tls.material import Material, ServerMaterial
from adapters.tls.selftest import selftest
from core.oscore_states import OscoreStates

_CLOSE_SECONDS = 1.0

Start = Callable[[Address, Exchange], Awaitable[tuple[str, int]]]


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway can be reached once it runs, by the names of the settings in lower case."""

    http: tuple[Address, ...] = ()
    coap: tuple[Address, ...] = ()
    mqtt: tuple[Address, ...] = ()
    https: tuple[Address, ...] = ()
    coaps: tuple[Address, ...] = ()
    mqtts: tuple[Address, ...] = ()
    coap_tcp: tuple[Address, ...] = ()
    coaps_tcp: tuple[Address, ...] = ()


class Listeners:
    """The servers of a gateway, which share its one exchange, and the certificate that they prove themselves with."""

    def __init__(
        self, config: Config, answering: Answering, meter: Meter, pages: Pages, states: OscoreStates, own: OwnAddresses
    ) -> None:
        self._config = config
        self._answering = answering
        self._meter = meter
        self._own = own
        self._protected = SecurityContexts(states, meter, config.coap_bounds)
        trusted = TrustedProxies(networks=config.trusted_proxies, header=config.forwarded_header)
        self._proxies = proxies = Proxies(meter, trusted, config.proxy_bounds)
        self._http = HttpServer(answering, meter, config.http_bounds, pages, proxies)
        self._coap = CoapServer(answering, meter, config.coap_bounds, self._protected)
        self._coap_tcp = CoapTcpServer(answering, meter, config.coap_bounds, self._protected, proxies)
        self._mqtt = MqttServer(answering, meter, config.mqtt_bounds, upstream_of(config), proxies)
        self._material: Material | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> Listening:
        """Listen on every address of the settings. Raises `SettingError`."""
        try:
            return await self._start()
        except RuntimeError as error:
            raise SettingError(str(error)) from error  # a library that does not fit, in a line

    async def _start(self) -> Listening:
        starts: dict[str, Start] = {
            "http": lambda at, exchange: self._http.start(at.host, at.port, exchange=exchange),
            "coap": lambda at, exchange: self._coap.start(at.host, at.port, exchange),
            "mqtt": lambda at, exchange: self._mqtt.start(at.host, at.port, exchange=exchange),
            "coap_tcp": lambda at, exchange: self._coap_tcp.start(at.host, at.port, exchange),
            "coaps": self._start_dtls,
        }
        return Listening(**{name: await self._listen(name, start) for name, start in (starts | self._over_tls()).items()})

    async def _start_dtls(self, at: Address, exchange: Exchange) -> tuple[str, int]:
        try:
            return await self._coap.start_secure(at.host, at.port, self._certificate, exchange)
        except ValueError as error:
            raise SettingError(f"FIRSTLIGHT_TLS_CERT: not one that DTLS can be spoken with: {error}") from error

    def _over_tls(self) -> dict[str, Start]:
        """Return how to listen where a certificate is needed; nothing where there is none."""
        config = self._config
        if config.tls_cert is None or config.tls_key is None:
            return {}
        selftest()
        material = Material(config.tls_cert, config.tls_key, config.tls_client_ca, seconds=config.tls_bounds.reload_seconds)
        self._material = material
        self._looking = asyncio.create_task(material.run())
        http = Contexts(material, self._meter, HTTP, config.tls_bounds, is_proxy=self._proxies.trusts)
        mqtt, coap = (Contexts(material, self._meter, names, config.tls_bounds) for names in (MQTT, COAP))
        return {
            "https": lambda at, exchange: self._http.start(at.host, at.port, exchange=exchange, tls=http),
            "mqtts": lambda at, exchange: self._mqtt.start(at.host, at.port, exchange=exchange, tls=mqtt),
            "coaps_tcp": lambda at, exchange: self._coap_tcp.start_secure(at.host, at.port, coap, exchange),
        }

    def reload(self) -> None:
        """Look at the certificate's files now."""
        if self._material is not None:
            self._material.look()

    def certificate_ends(self) -> float:
        """Return when the chain that is served ends, in seconds since the Unix epoch; NaN: there is none."""
        return math.nan if self._material is None else self._material.current.ends

    def stop_accepting(self) -> None:
        """Take no new connections and requests; those under way go on."""
        for server in (self._http, self._coap, self._coap_tcp, self._mqtt):
            server.stop_accepting()
        self._proxies.stop()

    async def drain(self, seconds: float) -> None:
        """Wait for the answers that are sent piece by piece, so many seconds at most."""
        await self._http.drain(seconds)

    async def close(self) -> None:
        """Close every connection and give every port back."""
        if self._looking is not None:
            self._looking.cancel()
        await self._http.close(_CLOSE_SECONDS)
        await self._mqtt.close(_CLOSE_SECONDS)
        await self._coap_tcp.close()
        await self._coap.close()
        await self._protected.close()

    def _certificate(self) -> ServerMaterial | None:
        return self._material.current if self._material is not None else None

    async def _listen(self, name: str, start: Start) -> tuple[Address, ...]:
        """Listen at the addresses of one setting. Raises `SettingError`."""
        setting, listening = f"FIRSTLIGHT_{name.upper()}", []
        for address in getattr(self._config, name):
            exchange = self._answering.facing(spoken.at(name.upper(), address, self._config, self._own))
            try:
                host, port = await start(address, exchange)
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                fault = "is taken by another program" if taken else f"cannot be listened on: {error.strerror or error}"
                raise SettingError(f"{setting}: {address} {fault}; set {setting} to another HOST:PORT") from error
            listening.append(Address(host, port, address.dialects))
        return tuple(listening)
