"""Which dialects are spoken at an address, as the settings say."""

from adapters.config import BROKERS, DIALECTS, OPERATOR, Config, SettingError
from adapters.dialects import brokers, device_api, enos, mainflux, operator, thingsboard, xively
from adapters.dialects.mainflux import FLAVOURS, DialectOptions
from adapters.exchange import Carrier, Dialect
from adapters.facing import Face
from adapters.own_addresses import OwnAddresses
from adapters.router import AmbiguousRoutesError
from adapters.settings import Address
from core.topic_spaces import TopicSpace


def at(name: str, address: Address, config: Config, own: OwnAddresses) -> Face:
    """Return what is spoken at an address of the setting `name`: its own dialects, or all that are on and the operator API.

    With the latter go the questions of brokers, where these have a secret. Raises `SettingError` where they share paths.
    """
    asked = (BROKERS,) if config.broker_secret is not None else ()
    names = address.dialects or (*config.dialects, OPERATOR, *asked)
    try:
        return Face((named(dialect, config, own) for dialect in names), config.plain)
    except AmbiguousRoutesError as error:
        example = f"FIRSTLIGHT_{name}=127.0.0.1:8080=thingsboard,127.0.0.1:8202=mainflux:mf-raw"
        raise SettingError(
            f"FIRSTLIGHT_{name}: {address} serves dialects that share paths ({error}); "
            f"give each an address of its own, as in {example}"
        ) from error


def is_for_operators(config: Config) -> bool:
    """Tell whether operators are served at some address of HTTP, with or without TLS."""
    return any(not address.dialects or OPERATOR in address.dialects for address in (*config.http, *config.https))


def named(name: str, config: Config, own: OwnAddresses) -> Dialect:
    """Return a dialect by its name, or by its name and flavour: `mainflux:mf-raw`. `own` is where devices may be sent to."""
    plain: dict[str, Dialect] = {
        OPERATOR: operator,
        thingsboard.NAME: thingsboard,
        xively.NAME: xively,
        device_api.NAME: device_api,
    }
    if name in plain:
        return plain[name]
    if name == BROKERS:
        return brokers.open_dialect(broker_options(config))
    if name == enos.NAME:
        return enos.open_dialect(enos_options(config, own))
    vendor, _, flavour = name.partition(":")
    chosen = {"mainflux": config.mainflux_flavour, "magistrala": config.magistrala_flavour}
    return mainflux.open_dialect(flavour or chosen[vendor], options(config))


def options(config: Config) -> DialectOptions:
    """Return the options that all flavours share."""
    plain = DialectOptions()
    return DialectOptions(
        documented_codes=config.bootstrap_documented_codes,
        layout=config.provision_layout or plain.layout,
        api_key=config.provision_api_key,
    )


def enos_options(config: Config, own: OwnAddresses) -> enos.DialectOptions:
    """Return where EnOS devices go next, and how errors are sent to them."""
    return enos.DialectOptions(
        mqtt_url=(lambda _: config.enos_mqtt_url) if config.enos_mqtt_url else own.mqtt_url,
        http_url=(lambda _: config.enos_http_url) if config.enos_http_url else own.http_url,
        always_200=config.enos_error_http_status == "always_200",
    )


def broker_options(config: Config) -> brokers.DialectOptions:
    """Return what brokers prove themselves with. Raises `SettingError` where there is nothing."""
    if config.broker_secret is None:
        raise SettingError("FIRSTLIGHT_BROKER_SECRET: not set, and an address serves brokers; set it to 20 random characters")
    return brokers.DialectOptions(config.broker_secret)


def topic_spaces(config: Config) -> tuple[TopicSpace, ...]:
    """Return the topics of all dialects that are on, which is what may be used at a broker."""
    own = OwnAddresses()
    return tuple(dict.fromkeys(space for name in config.dialects for space in named(name, config, own).TOPICS))


def first_segments(config: Config) -> frozenset[str]:
    """Return the words that some path of some dialect begins with, whether it is on or not: no tenant may be called that."""
    flavoured = (f"{name}:{flavour}" for name, flavours in FLAVOURS.items() for flavour in flavours)
    names = (OPERATOR, *(name for name in DIALECTS if name not in FLAVOURS), *flavoured)
    own = OwnAddresses()
    routes = [route for name in names for route in named(name, config, own).ROUTES if route.carrier is Carrier.HTTP]
    return frozenset(segment for route in routes if "{" not in (segment := route.path.split("/")[1]))
