"""Which dialects are spoken at an address, as the settings say."""

from adapters.config import OPERATOR, Config, SettingError
from adapters.dialects import mainflux, operator, thingsboard
from adapters.dialects.mainflux import FLAVOURS, DialectOptions
from adapters.exchange import Carrier, Dialect
from adapters.facing import Face
from adapters.router import AmbiguousRoutesError
from adapters.settings import Address


def at(name: str, address: Address, config: Config) -> Face:
    """Return what is spoken at an address of the setting `name`: its own dialects, or all that are on and the operator API.

    Raises `SettingError` where they share paths.
    """
    names = address.dialects or (*config.dialects, OPERATOR)
    try:
        return Face(named(dialect, config) for dialect in names)
    except AmbiguousRoutesError as error:
        example = f"FIRSTLIGHT_{name}=127.0.0.1:8080=thingsboard,127.0.0.1:8202=mainflux:mf-raw"
        raise SettingError(
            f"FIRSTLIGHT_{name}: {address} serves dialects that share paths ({error}); "
            f"give each an address of its own, as in {example}"
        ) from error


def named(name: str, config: Config) -> Dialect:
    """Return a dialect by its name, or by its name and flavour: `mainflux:mf-raw`."""
    if name == OPERATOR:
        return operator
    if name == thingsboard.NAME:
        return thingsboard
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


def first_segments(config: Config) -> frozenset[str]:
    """Return the words that some path of some dialect begins with, whether it is on or not: no tenant may be called that."""
    names = [OPERATOR, thingsboard.NAME, *(f"{name}:{flavour}" for name, all_ in FLAVOURS.items() for flavour in all_)]
    routes = [route for name in names for route in named(name, config).ROUTES if route.carrier is Carrier.HTTP]
    return frozenset(segment for route in routes if "{" not in (segment := route.path.split("/")[1]))
