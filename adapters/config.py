"""Reads the settings from the environment, and tells what they came to."""

import difflib
import shlex
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from adapters import bootstrap_key, broker_cautions, layout, own_addresses, settings, tls_cautions
from adapters.answering import AnsweringConfig
from adapters.authorities import config as authorities
from adapters.authorities.config import AuthorityConfig
from adapters.brokers.address import BrokerAddress
from adapters.coap.config import CoapConfig
from adapters.dialects.mainflux import FLAVOURS
from adapters.facing import PlainRules
from adapters.hooks import HookBounds
from adapters.http.config import HttpConfig
from adapters.mqtt.config import MqttConfig
from adapters.proxying import trust
from adapters.proxying.config import ProxyConfig
from adapters.settings import Address
from adapters.tls.config import TlsConfig
from core.limits import Rate
from core.model import Secret
from core.operate.configuring import Layout

PREFIX: Final = "FIRSTLIGHT_"
DIALECTS: Final = ("thingsboard", "mainflux", "magistrala", "enos", "xively", "firstlight")
OPERATOR: Final = "operator"
BROKERS: Final = "brokers"
_FLAVOURED: Final = tuple(f"{name}:{flavour}" for name, flavours in FLAVOURS.items() for flavour in flavours)
SPOKEN: Final = (OPERATOR, BROKERS, *DIALECTS, *_FLAVOURED)
"""What an address may be said to serve: a dialect, one flavour of it, the operator API, or the questions of brokers."""

ERROR_STATUSES: Final = ("real", "always_200")
KEY_FORMATS: Final = ("raw", "hex")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("console", "json")
CLIENT_IDS: Final = ("device", "joined", "client")
BROKER_USES: Final = ("events", "requests", "dynamic-security")
SECRETS: Final = (
    "ADMIN_TOKEN",
    "MASTER_KEY",
    "MASTER_KEY_PREVIOUS",
    "BOOTSTRAP_ENCRYPT_KEY",
    "PROVISION_API_KEY",
    "MQTT_UPSTREAM_PASSWORD",
    "BROKER_PASSWORD",
    "CA_KEY_PASSPHRASE",
    "CA_PASSWORD",
    "BROKER_SECRET",
    "RABBITMQ_PASSWORD",
    "DATABASE_PASSWORD",
)
_FILED: Final = (*SECRETS, "DATABASE")  # the URL of a database is shown, but for the password that may be in it
ALIASES: Final = {
    name: tuple(f"{prefix}_{name}" for prefix in ("MF", "MG", "SMQ")) for name in ("BOOTSTRAP_ENCRYPT_KEY", "PROVISION_API_KEY")
}
"""The names that secrets had in the services whose place this one takes."""

LISTENERS: Final = ("http", "coap", "mqtt", "https", "coaps", "mqtts", "coap_tcp", "coaps_tcp")
CLIENT: Final = (
    "URL",
    "TOKEN",
    "TOKEN_FILE",
    "TENANT",
    "EXTERNAL_KEY",
    "EXTERNAL_KEY_FILE",
    "GROUP_SECRET",
    "GROUP_SECRET_FILE",
)  # what the command line reads for itself


class SettingError(Exception):
    """A setting that stops the start: one line that names the variable, the fault and the mend."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Secrets show nothing in a `repr`."""

    http: tuple[Address, ...] = (Address("127.0.0.1", 8080),)
    coap: tuple[Address, ...] = (Address("127.0.0.1", 5683),)
    mqtt: tuple[Address, ...] = (Address("127.0.0.1", 1883),)
    https: tuple[Address, ...] = ()  # these three have addresses of their own once there is a certificate
    coaps: tuple[Address, ...] = ()
    mqtts: tuple[Address, ...] = ()
    coap_tcp: tuple[Address, ...] = ()
    coaps_tcp: tuple[Address, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    trusted_proxies: tuple[trust.Network, ...] = ()
    forwarded_header: str = trust.HEADERS[0]
    ca_cert: Path | None = None
    ca_key: Path | None = None
    ca_key_passphrase: Secret | None = None
    ca_command: tuple[str, ...] = ()
    ca_url: str = ""
    ca_password: Secret | None = None
    ca_url_trust: Path | None = None
    ca_crl_url: str = ""
    hook_trust: Path | None = None
    data: Path = Path("data")
    database: str = "sqlite:data/firstlight.db"
    database_password: Secret | None = None
    database_queue: int = 10_000
    admin_token: Secret | None = None
    master_key: Secret | None = None
    master_key_previous: Secret | None = None
    dialects: tuple[str, ...] = DIALECTS
    plain: PlainRules = PlainRules()
    mainflux_flavour: str = FLAVOURS["mainflux"][0]
    magistrala_flavour: str = FLAVOURS["magistrala"][0]
    bootstrap_encrypt_key: Secret | None = None
    bootstrap_key_format: str = KEY_FORMATS[0]
    bootstrap_documented_codes: bool = False
    provision_layout: Layout | None = None
    provision_api_key: Secret | None = None
    enos_mqtt_url: str = ""
    enos_http_url: str = ""
    enos_error_http_status: str = ERROR_STATUSES[0]
    mqtt_upstream: BrokerAddress | None = None
    mqtt_upstream_password: Secret | None = None
    mqtt_upstream_ca: Path | None = None
    mqtt_upstream_client_id: str = CLIENT_IDS[0]
    broker: BrokerAddress | None = None
    broker_password: Secret | None = None
    broker_ca: Path | None = None
    broker_for: tuple[str, ...] = BROKER_USES[:2]
    broker_prefix: str = "firstlight"
    broker_devices: int = 1_000
    broker_secret: Secret | None = None
    rabbitmq_api: str = ""
    rabbitmq_password: Secret | None = None
    session_seconds: int = 900
    challenges: int = 100_000
    device_limit: int | None = None
    events_keep: int = 1_000_000
    drain_seconds: float = 10.0
    log_level: str = "info"
    log_format: str = "console"
    log_lines: float = 100.0
    limit_source: Rate = Rate(50.0, 500.0)
    limit_claim_key: Rate = Rate(500.0, 5_000.0)
    limit_failures: Rate = Rate(1.0, 100.0)
    limit_failures_pair: Rate = Rate(0.1, 20.0)
    limit_signing: Rate = Rate(0.01, 8.0)
    limit_events: Rate = Rate(200.0, 2_000.0)
    requests: AnsweringConfig = AnsweringConfig()
    http_bounds: HttpConfig = HttpConfig()
    coap_bounds: CoapConfig = CoapConfig()
    mqtt_bounds: MqttConfig = MqttConfig()
    tls_bounds: TlsConfig = TlsConfig()
    proxy_bounds: ProxyConfig = ProxyConfig()
    ca_bounds: AuthorityConfig = AuthorityConfig()
    hook_bounds: HookBounds = HookBounds()
    warnings: tuple[str, ...] = ()

    @property
    def database_url(self) -> str:
        """Where the database is, with the password that opens it: not to be shown."""
        return settings.joined(self.database, self.database_password.reveal() if self.database_password else "")


_PLAIN: Final = Config()
_COMMAND: Final = "CA_COMMAND"  # its parts are shown as they were written

_BOUNDS: Final[dict[str, tuple[str, type[msgspec.Struct]]]] = {
    "REQUESTS_": ("requests", AnsweringConfig),
    "HTTP_": ("http_bounds", HttpConfig),
    "COAP_": ("coap_bounds", CoapConfig),
    "MQTT_": ("mqtt_bounds", MqttConfig),
    "TLS_": ("tls_bounds", TlsConfig),
    "PROXY_": ("proxy_bounds", ProxyConfig),
    "CA_": ("ca_bounds", AuthorityConfig),
    "HOOK_": ("hook_bounds", HookBounds),
}
"""Every field of these is a setting: `max_body_bytes` of `HTTP_` is `FIRSTLIGHT_HTTP_MAX_BODY_BYTES`."""


def from_environment(environ: MutableMapping[str, str]) -> Config:
    """Read the settings, and take the secrets out of the environment once they are read.

    Raises `SettingError` for the first setting that is wrong.
    """
    hexadecimal = bootstrap_key.was_hex(environ.get("MF_BOOTSTRAP_ENCRYPT_KEY", ""))
    given = _take(environ)
    values: dict[str, Any] = {}
    data = Path(given.get("DATA", "data"))
    values["data"] = data
    values["database"] = f"sqlite:{data / 'firstlight.db'}"
    for name, (field, read) in _SETTINGS.items():
        if name in given:
            values[field] = _read(name, given[name], read)
    for prefix, (field, bounds) in _BOUNDS.items():
        values[field] = _read_bounds(prefix, bounds, given)
    _take_password_apart(values)
    try:
        bootstrap_key.parse(values.get("bootstrap_encrypt_key"), values.get("bootstrap_key_format", KEY_FORMATS[0]))
    except ValueError as error:
        raise SettingError(f"{PREFIX}BOOTSTRAP_ENCRYPT_KEY: {error}") from error
    fault = tls_cautions.fault(values) or broker_cautions.fault_of_authorities(values)
    if fault:
        raise SettingError(fault)
    values |= tls_cautions.listeners(values)
    listeners = (*values.get("mqtt", _PLAIN.mqtt), *values.get("mqtts", ()))
    fault = broker_cautions.fault(values.get("mqtt_upstream"), listeners)
    if fault:
        raise SettingError(f"{PREFIX}MQTT_UPSTREAM: {fault}")
    warnings = _warnings(given, values)
    if hexadecimal and "BOOTSTRAP_KEY_FORMAT" not in given:
        warnings = (*warnings, f"{PREFIX}BOOTSTRAP_KEY_FORMAT: Mainflux up to 0.13 reads this key as hex; set it to hex or raw")
    return Config(**values, warnings=warnings)


def _take_password_apart(values: dict[str, Any]) -> None:
    """Keep the password of a database where secrets are kept. Raises `SettingError`."""
    values["database"], password = settings.parted(values["database"])
    if password and values.get("database_password") is not None:
        raise SettingError(f"{PREFIX}DATABASE_PASSWORD: {PREFIX}DATABASE holds a password too; keep one of them")
    if password:
        values["database_password"] = Secret(password)
    if values.get("database_password") is not None and "@" not in values["database"]:
        raise SettingError(f"{PREFIX}DATABASE_PASSWORD: {PREFIX}DATABASE names no user; write postgresql://USER@HOST/NAME")


def describe(config: Config) -> list[tuple[str, str]]:
    """Return every setting and its effective value, secrets hidden."""
    rows = [(PREFIX + name, _shown(getattr(config, field))) for name, (field, _) in _SETTINGS.items() if name != _COMMAND]
    rows.append((PREFIX + _COMMAND, shlex.join(config.ca_command) or "(not set)"))
    for prefix, (field, _) in _BOUNDS.items():
        bounds = getattr(config, field)
        rows += [(f"{PREFIX}{prefix}{name.upper()}", _shown(getattr(bounds, name))) for name in bounds.__struct_fields__]
    return rows


def _take(environ: MutableMapping[str, str]) -> dict[str, str]:
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    for name, aliases in ALIASES.items():
        _adopt(name, _under_old_names(aliases, environ), given)
    for name in _FILED:
        environ.pop(PREFIX + name, None)
        file = given.pop(f"{name}_FILE", None)
        if file is None:
            continue
        if name in given:
            raise SettingError(f"{PREFIX}{name}: set it or {PREFIX}{name}_FILE, not both")
        given[name] = _read_file(f"{PREFIX}{name}_FILE", file)
    return given


def _under_old_names(aliases: tuple[str, ...], environ: MutableMapping[str, str]) -> dict[str, str]:
    """Take a secret that is set under old names, or in files that these name."""
    old = {alias: environ.pop(alias) for alias in aliases if alias in environ}
    files = {f"{alias}_FILE": environ.pop(f"{alias}_FILE") for alias in aliases if f"{alias}_FILE" in environ}
    return old | {variable: _read_file(variable, path) for variable, path in files.items()}


def _adopt(name: str, old: dict[str, str], given: dict[str, str]) -> None:
    """Take a secret under its old names; where several names say different things there is no telling which one counts."""
    current = {f"{PREFIX}{own}": given[own] for own in (name, f"{name}_FILE") if own in given}
    if old and (len(set(old.values()) | set(current.values())) > 1 or f"{name}_FILE" in given):
        raise SettingError(f"{', '.join((*current, *old))}: they are the same setting and differ; keep one of them")
    if old:
        given[name] = next(iter(old.values()))


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingError(f"{name}: cannot read {path}: {reason}") from error


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        shown = "" if name in SECRETS else f"{settings.without_password(text)!r} "
        raise SettingError(f"{PREFIX}{name}: {shown}{error}") from error


_SETTINGS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "HTTP": ("http", settings.addresses(SPOKEN)),
    "COAP": ("coap", settings.addresses(SPOKEN)),
    "MQTT": ("mqtt", settings.addresses(SPOKEN)),
    "HTTPS": ("https", settings.addresses(SPOKEN)),
    "COAPS": ("coaps", settings.addresses(SPOKEN)),
    "MQTTS": ("mqtts", settings.addresses(SPOKEN)),
    "COAP_TCP": ("coap_tcp", settings.addresses(SPOKEN)),
    "COAPS_TCP": ("coaps_tcp", settings.addresses(SPOKEN)),
    "TLS_CERT": ("tls_cert", settings.optional_path),
    "TLS_KEY": ("tls_key", settings.optional_path),
    "TLS_CLIENT_CA": ("tls_client_ca", settings.optional_path),
    "TRUSTED_PROXIES": ("trusted_proxies", settings.networks),
    "FORWARDED_HEADER": ("forwarded_header", settings.one_of(trust.HEADERS)),
    "CA_CERT": ("ca_cert", settings.optional_path),
    "CA_KEY": ("ca_key", settings.optional_path),
    "CA_KEY_PASSPHRASE": ("ca_key_passphrase", settings.optional_secret),
    "CA_COMMAND": ("ca_command", authorities.command),
    "CA_URL": ("ca_url", authorities.endpoint),
    "CA_PASSWORD": ("ca_password", settings.optional_secret),
    "CA_URL_TRUST": ("ca_url_trust", settings.optional_path),
    "CA_CRL_URL": ("ca_crl_url", authorities.crl_url),
    "DATA": ("data", Path),
    "DATABASE": ("database", settings.database),
    "DATABASE_PASSWORD": ("database_password", settings.optional_secret),
    "DATABASE_QUEUE": ("database_queue", settings.count(1)),
    "ADMIN_TOKEN": ("admin_token", settings.admin_token),
    "MASTER_KEY": ("master_key", settings.master_key),
    "MASTER_KEY_PREVIOUS": ("master_key_previous", settings.master_key),
    "DIALECTS": ("dialects", settings.some_of((*DIALECTS, *_FLAVOURED))),
    "PLAIN": ("plain", settings.plain_rules((OPERATOR, BROKERS, *DIALECTS))),
    "MAINFLUX_FLAVOUR": ("mainflux_flavour", settings.one_of(FLAVOURS["mainflux"])),
    "MAGISTRALA_FLAVOUR": ("magistrala_flavour", settings.one_of(FLAVOURS["magistrala"])),
    "BOOTSTRAP_ENCRYPT_KEY": ("bootstrap_encrypt_key", settings.optional_secret),
    "BOOTSTRAP_KEY_FORMAT": ("bootstrap_key_format", settings.one_of(KEY_FORMATS)),
    "BOOTSTRAP_DOCUMENTED_CODES": ("bootstrap_documented_codes", settings.reader(bool)),
    "PROVISION_LAYOUT": ("provision_layout", layout.read),
    "PROVISION_API_KEY": ("provision_api_key", settings.optional_secret),
    "ENOS_MQTT_URL": ("enos_mqtt_url", settings.mqtt_url),
    "ENOS_HTTP_URL": ("enos_http_url", settings.http_url),
    "ENOS_ERROR_HTTP_STATUS": ("enos_error_http_status", settings.one_of(ERROR_STATUSES)),
    "MQTT_UPSTREAM": ("mqtt_upstream", settings.broker),
    "MQTT_UPSTREAM_PASSWORD": ("mqtt_upstream_password", settings.optional_secret),
    "MQTT_UPSTREAM_CA": ("mqtt_upstream_ca", settings.optional_path),
    "MQTT_UPSTREAM_CLIENT_ID": ("mqtt_upstream_client_id", settings.one_of(CLIENT_IDS)),
    "BROKER": ("broker", settings.broker),
    "BROKER_PASSWORD": ("broker_password", settings.optional_secret),
    "BROKER_CA": ("broker_ca", settings.optional_path),
    "BROKER_FOR": ("broker_for", settings.some_of(BROKER_USES)),
    "BROKER_PREFIX": ("broker_prefix", settings.topic_level),
    "BROKER_DEVICES": ("broker_devices", settings.count(1)),
    "BROKER_SECRET": ("broker_secret", settings.broker_secret),
    "RABBITMQ_API": ("rabbitmq_api", settings.http_api),
    "RABBITMQ_PASSWORD": ("rabbitmq_password", settings.optional_secret),
    "SESSION_SECONDS": ("session_seconds", settings.count(1)),
    "HOOK_TRUST": ("hook_trust", settings.optional_path),
    "CHALLENGES": ("challenges", settings.count(1)),
    "DEVICE_LIMIT": ("device_limit", settings.count(0)),
    "EVENTS_KEEP": ("events_keep", settings.count(1)),
    "DRAIN_SECONDS": ("drain_seconds", settings.number(0)),
    "LOG_LEVEL": ("log_level", settings.one_of(LOG_LEVELS)),
    "LOG_FORMAT": ("log_format", settings.one_of(LOG_FORMATS)),
    "LOG_LINES": ("log_lines", settings.number(0)),
    "LIMIT_SOURCE": ("limit_source", settings.rate),
    "LIMIT_CLAIM_KEY": ("limit_claim_key", settings.rate),
    "LIMIT_FAILURES": ("limit_failures", settings.rate),
    "LIMIT_FAILURES_PAIR": ("limit_failures_pair", settings.rate),
    "LIMIT_SIGNING": ("limit_signing", settings.rate),
    "LIMIT_EVENTS": ("limit_events", settings.rate),
}


def _read_bounds(prefix: str, bounds: type[msgspec.Struct], given: Mapping[str, str]) -> msgspec.Struct:
    values: dict[str, Any] = {}
    for field, kind in get_type_hints(bounds).items():
        name = prefix + field.upper()
        if name in given:
            values[field] = _read(name, given[name], settings.reader(kind))
    try:
        return bounds(**values)
    except ValueError as error:
        raise SettingError(f"{PREFIX}{prefix}*: {error}") from error


def _warnings(given: Mapping[str, str], values: Mapping[str, Any]) -> tuple[str, ...]:
    known = {*_SETTINGS, *CLIENT}
    for prefix, (_, bounds) in _BOUNDS.items():
        known |= {prefix + field.upper() for field in bounds.__struct_fields__}
    warnings = []
    for name in sorted(given.keys() - known):
        near = difflib.get_close_matches(name, known, 1)
        warnings.append(f"{PREFIX}{name} is not a setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else ""))
    warnings += tls_cautions.cautions(values)
    warnings += _about_next(given, values)
    warnings += broker_cautions.cautions(given, values)
    if bootstrap_key.is_published(values.get("bootstrap_encrypt_key")):
        warnings.append(f"{PREFIX}BOOTSTRAP_ENCRYPT_KEY: this key is printed in public documents; take one of your own")
    if values.get("provision_api_key") is not None:
        warnings.append(f"{PREFIX}PROVISION_API_KEY: whoever reaches /mapping can make devices without a token")
    for network in values.get("trusted_proxies", ()):
        if trust.is_wide(network):
            warnings.append(f"{PREFIX}TRUSTED_PROXIES: {network} trusts strangers, who may then take any address for theirs")
    if not any(values.get(name, getattr(_PLAIN, name)) for name in LISTENERS):
        warnings.append(f"{PREFIX}HTTP, {PREFIX}COAP and {PREFIX}MQTT are all off: nothing is served")
    if values["database"] == "memory:":
        warnings.append(f"{PREFIX}DATABASE: memory: forgets every device when the gateway stops")
    return tuple(warnings)


def _about_next(given: Mapping[str, str], values: Mapping[str, Any]) -> list[str]:
    """Warn where EnOS devices are told nothing, or a name that they may not know, of where to go next."""
    protocols = [values.get(name, getattr(_PLAIN, name)) for name in ("http", "coap", "mqtt")]
    if own_addresses.SENT_ON not in values.get("dialects", DIALECTS) or not any(map(own_addresses.of, protocols)):
        return []
    warnings = []
    for name, setting in (("HTTP", "ENOS_HTTP_URL"), ("MQTT", "ENOS_MQTT_URL")):
        plain, secured = (values.get(each, getattr(_PLAIN, each)) for each in (name.lower(), f"{name.lower()}s"))
        own = own_addresses.of(plain) or own_addresses.of(secured)
        if not given.get(setting) and own is None:
            warnings.append(f"{PREFIX}{setting}: not set, and {PREFIX}{name} serves no EnOS devices: they are sent nowhere")
        elif not given.get(setting) and own is not None and own_addresses.is_told_by_name(own.host):
            warnings.append(f"{PREFIX}{setting}: not set; EnOS devices are sent to this machine by its name")
    return warnings


def _shown(value: Any) -> str:
    match value:
        case Secret():
            return "(set)"
        case Layout():
            return f"clients: {len(value.clients)}, channels: {len(value.channels)}"
        case None:
            return "(not set)"
        case PlainRules(default=default, dialects=dialects):
            return ",".join((default.value, *(f"{name}={word.value}" for name, word in dialects.items())))
        case Rate():
            return f"{value.per_second:g}:{value.burst:g}" if value.per_second else "0 (no limit)"
        case (float(low), float(high)):
            return f"{low:g}-{high:g}"
        case tuple():
            return ",".join(map(str, value)) or "(off)"
        case float():
            return f"{value:g}"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
