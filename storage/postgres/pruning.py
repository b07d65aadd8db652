"""What is forgotten in time: events beyond those that are kept, and rows whose time is over."""

from storage.bounds import EXPIRED_KEPT_MS, TOMBSTONE_KEPT_MS
from storage.postgres.connections import Connection

LOCK = 0x46_4C_52_47_03
"""Of the one who prunes; others have nothing to do meanwhile."""

PROVE = "UPDATE probe SET count = count + 1"
_NOW = "SELECT (extract(epoch FROM now()) * 1000)::bigint"  # one clock for all gateways
_PRUNE_ISSUED = """DELETE FROM issued WHERE id = ANY (ARRAY
    (SELECT id FROM issued WHERE not_after < $1 ORDER BY not_after LIMIT $2 FOR UPDATE SKIP LOCKED))"""
_PRUNE_APPROVALS = """DELETE FROM approval WHERE id = ANY (ARRAY
    (SELECT id FROM approval WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))"""
_PRUNE_TOMBSTONES = """DELETE FROM tombstone WHERE id = ANY (ARRAY
    (SELECT id FROM tombstone WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))"""
# Numbers have gaps: there are never more events than numbers between the first and the last. Where there may be too many, the
# oldest one that stays is found by walking down over those that do.
_MAY_BE_MORE = "SELECT coalesce((SELECT max(seq) FROM event) - (SELECT min(seq) FROM event), -1) >= $1"
_PRUNE = """DELETE FROM event WHERE seq = ANY (ARRAY
    (SELECT seq FROM event WHERE seq <= (SELECT seq FROM event ORDER BY seq DESC OFFSET $1 LIMIT 1) ORDER BY seq LIMIT $2))"""


async def prune(connection: Connection, keep: int, most: int) -> int:
    """Delete at most `most` of the oldest events beyond the newest `keep`, and as many rows of each kind whose time is over.

    Returns how many events went; 0 while another gateway prunes. Raises what asyncpg raises.
    """
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return 0
        now = await connection.fetchval(_NOW)
        await connection.execute(_PRUNE_ISSUED, now - EXPIRED_KEPT_MS, most)
        await connection.execute(_PRUNE_APPROVALS, now, most)
        await connection.execute(_PRUNE_TOMBSTONES, now - TOMBSTONE_KEPT_MS, most)
        if not await connection.fetchval(_MAY_BE_MORE, max(keep, 0)):
            return 0
        done = await connection.execute(_PRUNE, max(keep, 0), most)
        return int(done.removeprefix("DELETE "))
