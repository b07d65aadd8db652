"""The names of what may be asked, as routes, metrics, events and the tables of wordings have them."""

from typing import Final

CREATE_CONFIG: Final = "create_config"
SHOW_CONFIG: Final = "show_config"
LIST_CONFIGS: Final = "list_configs"
CHANGE_CONFIG: Final = "change_config"
CHANGE_CERTIFICATES: Final = "change_certificates"
CHANGE_CONNECTIONS: Final = "change_connections"
DELETE_CONFIG: Final = "delete_config"
CHANGE_STATE: Final = "change_state"
BOOTSTRAP: Final = "bootstrap"
BOOTSTRAP_SECURE: Final = "bootstrap_secure"
BOOTSTRAP_NOTHING: Final = "bootstrap_nothing"
LIST_UNKNOWN: Final = "list_unknown"
VERSION: Final = "bootstrap_version"
VERSION_SECURE: Final = "bootstrap_secure_version"

CREATE_CHANNEL: Final = "create_channel"
CREATE_CHANNELS: Final = "create_channels"
LIST_CHANNELS: Final = "list_channels"
SHOW_CHANNEL: Final = "show_channel"
CHANGE_CHANNEL: Final = "change_channel"
DELETE_CHANNEL: Final = "delete_channel"
CREATE_CLIENT: Final = "create_client"
CREATE_CLIENTS: Final = "create_clients"
LIST_CLIENTS: Final = "list_clients"
SHOW_CLIENT: Final = "show_client"
CHANGE_CLIENT: Final = "change_client"
CHANGE_SECRET: Final = "change_client_secret"  # noqa: S105 - a name, no secret
DELETE_CLIENT: Final = "delete_client"
CREATE_MAPPING: Final = "create_mapping"
SHOW_MAPPING: Final = "show_mapping"

REDIRECT: Final = "redirect"
NO_PAGE: Final = "no_page"

DEVICE: Final = frozenset({BOOTSTRAP, BOOTSTRAP_SECURE, BOOTSTRAP_NOTHING, VERSION, VERSION_SECURE})
RESOURCES: Final = (
    CREATE_CHANNEL,
    CREATE_CHANNELS,
    LIST_CHANNELS,
    SHOW_CHANNEL,
    CHANGE_CHANNEL,
    DELETE_CHANNEL,
    CREATE_CLIENT,
    CREATE_CLIENTS,
    LIST_CLIENTS,
    SHOW_CLIENT,
    CHANGE_CLIENT,
    CHANGE_SECRET,
    DELETE_CLIENT,
)
