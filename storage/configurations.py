"""Configurations and channels by key."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Collection, Sequence

from core.model import BootstrapConfig, Channel, ChannelId, DeviceId
from core.queries import BootstrapQuery, BootstrapSnapshot, ChannelsQuery, ConfigQuery, ExternalKeyQuery, KeySnapshot
from storage import rows
from storage.answers import credentials_by_device
from storage.rows import Row
from storage.statements import Grouped
from storage.steps import Steps

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
_WITH_DEVICE = "CROSS JOIN config_document ON config_document.config = config.id CROSS JOIN device ON device.id = config.id"
CONFIGS_BY_EXTERNAL_ID = Grouped(
    f"""WITH asked (external_id) AS (VALUES {{rows}}) SELECT {rows.CONFIG}, {rows.DEVICE} FROM asked
    CROSS JOIN config ON config.external_id = asked.external_id {_WITH_DEVICE}""",
    width=1,
)
EXTERNAL_KEYS = Grouped(
    f"""WITH asked (external_id) AS (VALUES {{rows}}) SELECT config.external_id, config.external_key, {rows.DEVICE} FROM asked
    CROSS JOIN config ON config.external_id = asked.external_id CROSS JOIN device ON device.id = config.id""",
    width=1,
)
CONFIGS_BY_ID = Grouped(
    f"""WITH asked (id) AS (VALUES {{rows}}) SELECT {rows.CONFIG}, {rows.DEVICE} FROM asked
    CROSS JOIN config ON config.id = asked.id {_WITH_DEVICE}""",
    width=1,
)
CHANNELS_LISTED = Grouped(
    f"""WITH asked (config) AS (VALUES {{rows}}) SELECT {rows.LISTED} FROM asked
    CROSS JOIN config_channel ON config_channel.config = asked.config""",
    width=1,
)
CHANNELS_BY_ID = Grouped(
    f"WITH asked (id) AS (VALUES {{rows}}) SELECT {rows.CHANNEL} FROM asked CROSS JOIN channel ON channel.id = asked.id",
    width=1,
)

_CONFIG_COLUMNS = rows.CONFIG.count(",") + 1

Listed = dict[DeviceId, tuple[ChannelId, ...]]
"""The channels of each of some configurations, in their order there."""


def bootstraps(queries: Sequence[BootstrapQuery]) -> Steps[list[BootstrapSnapshot | None]]:
    """Answer for the configurations of external ids, all from the same moment."""
    asked = {query.external_id for query in queries}
    met = yield CONFIGS_BY_EXTERNAL_ID.asked([(external_id,) for external_id in asked])
    found = yield from _snapshots(met)
    snapshots = {snapshot.config.external_id: snapshot for snapshot in found}
    return [snapshots.get(query.external_id) for query in queries]


def external_keys(queries: Sequence[ExternalKeyQuery]) -> Steps[list[KeySnapshot | None]]:
    """Answer for the external keys of external ids, all from the same moment."""
    asked = {query.external_id for query in queries}
    found = yield EXTERNAL_KEYS.asked([(external_id,) for external_id in asked])
    keys = {row[0]: KeySnapshot(device=rows.device(row[2:]), external_key=row[1]) for row in found}
    return [keys.get(query.external_id) for query in queries]


def configs(queries: Sequence[ConfigQuery]) -> Steps[list[BootstrapSnapshot | None]]:
    """Answer for the configurations of devices, all from the same moment."""
    found = yield from configs_by_id(list({query.id for query in queries}))
    snapshots = [(found.get(query.id), query.tenant) for query in queries]
    return [each if each is not None and each.config.tenant == tenant else None for each, tenant in snapshots]


def channels(query: ChannelsQuery) -> Steps[tuple[Channel | None, ...]]:
    """Answer for channels by id, in the order of the ids."""
    found = yield from channels_by_id(set(query.ids))
    own = {channel.id: channel for channel in found.values() if channel.tenant == query.tenant}
    return tuple(own.get(channel) for channel in query.ids)


def stored_config(device: DeviceId) -> Steps[BootstrapConfig | None]:
    """Return the configuration of a device."""
    found = yield CONFIGS_BY_ID.asked([(device,)])
    if not found:
        return None
    listed = yield from _listed([device])
    return rows.config(found[0], listed[device])


def configs_by_id(ids: Sequence[DeviceId]) -> Steps[dict[DeviceId, BootstrapSnapshot]]:
    """Return the configurations of distinct devices, with everything a snapshot has."""
    met = yield CONFIGS_BY_ID.asked([(device,) for device in ids])
    found = yield from _snapshots(met)
    return {snapshot.config.id: snapshot for snapshot in found}


def channels_by_id(ids: Collection[ChannelId]) -> Steps[dict[ChannelId, Channel]]:
    """Return the channels of distinct ids."""
    channels = map(rows.channel, (yield CHANNELS_BY_ID.asked([(channel,) for channel in ids])))
    return {channel.id: channel for channel in channels}


def _snapshots(found: Sequence[Row]) -> Steps[list[BootstrapSnapshot]]:
    ids = [DeviceId(row[0]) for row in found]
    listed = yield from _listed(ids)
    # Many configurations list the same few channels: each is read and decoded once.
    channels = yield from channels_by_id({channel for some in listed.values() for channel in some})
    credentials = yield from credentials_by_device(ids)
    return [
        BootstrapSnapshot(
            config=rows.config(row, listed[row[0]]),
            device=rows.device(row[_CONFIG_COLUMNS:]),
            credentials=credentials[row[0]],
            channels=tuple(channels[channel] for channel in listed[row[0]]),
        )
        for row in found
    ]


def _listed(ids: Sequence[DeviceId]) -> Steps[Listed]:
    found: dict[DeviceId, list[tuple[int, ChannelId]]] = {device: [] for device in ids}
    for device, place, channel in (yield CHANNELS_LISTED.asked([(device,) for device in ids])):
        found[device].append((place, channel))
    return {device: tuple(channel for _, channel in sorted(some)) for device, some in found.items()}
