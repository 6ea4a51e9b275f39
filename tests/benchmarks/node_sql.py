"""Presence and visits of a day in hand-written DuckDB SQL: what an engineer would write without Quorate."""

from __future__ import annotations

from pathlib import Path

from node.engine import hash_key
from tests.benchmarks.node_world import DAY, World

SECRET = bytes(range(32))
HOLD_MINUTES, KEY = 120, hash_key(SECRET, f"presence|{DAY.local}")
GHOST_SECONDS, MAX_SPEED = 60, 300
_LENGTH = DAY.end_us - DAY.start_us

_TIE = """
CREATE TEMP MACRO a2(x, c) AS ((xor(x, x >> 15)) * c) & 2147483647;
CREATE TEMP MACRO tie(s, z) AS
    a2(a2(((s & 2147483647) + z * (2654435761 & 2147483647) + {key}) & 2147483647, 2146121005), 2221713035) >> 2;
"""

_CLEAN = """
CREATE TEMP TABLE events AS
WITH read AS (
    SELECT DISTINCT subscriber_id AS s, timestamp_ms * 1000 - {start} AS t, cell, zone, x_m, y_m
    FROM read_parquet('{events}') JOIN read_parquet('{cells}') USING (cell_id)
    WHERE timestamp_ms * 1000 >= {start} AND timestamp_ms * 1000 < {end}
), beside AS (
    SELECT *, lag(t) OVER w AS t1, lag(cell) OVER w AS c1, lag(x_m) OVER w AS x1, lag(y_m) OVER w AS y1,
        lead(t) OVER w AS t2, lead(cell) OVER w AS c2, lead(x_m) OVER w AS x2, lead(y_m) OVER w AS y2
    FROM read WINDOW w AS (PARTITION BY s ORDER BY t, cell)
)
SELECT s, t, cell, zone FROM beside
WHERE NOT coalesce(c1 = c2 AND c1 <> cell AND t2 - t1 <= {ghost}, false)
    AND NOT coalesce(
        (x_m - x1) ** 2 + (y_m - y1) ** 2 > (((t - t1 + 999999) // 1000000) * {speed}) ** 2
        AND (x_m - x2) ** 2 + (y_m - y2) ** 2 > (((t2 - t + 999999) // 1000000) * {speed}) ** 2, false);
"""

_HELD = """
CREATE TEMP TABLE held AS
SELECT s, t, cell, zone, least(coalesce(lead(t) OVER w, {length}), t + {hold}, {length}) AS stop,
    CASE WHEN lag(zone) OVER w = zone THEN 0 ELSE 1 END AS begins
FROM events WINDOW w AS (PARTITION BY s ORDER BY t, cell);
DROP TABLE events;
"""

_VISITS = """
COPY (
    WITH numbered AS (
        SELECT s, t, zone, stop, sum(begins) OVER (PARTITION BY s ORDER BY t, cell ROWS UNBOUNDED PRECEDING) AS run
        FROM held
    )
    SELECT s AS subscriber, 0::BIGINT AS origin, run::BIGINT - 1 AS seq, min(zone) AS zone, {start} + min(t) AS t_in,
        {start} + max(stop) AS t_out, count(*) AS n
    FROM numbered GROUP BY s, run ORDER BY s, run
) TO '{visits}' (COMPRESSION zstd);
"""

_PRESENCE = """
COPY (
    WITH parts AS (
        SELECT s, zone, hour, least(stop // 1000000, (hour + 1) * 3600) - greatest(t // 1000000, hour * 3600) AS dwell
        FROM (SELECT *, unnest(range(t // 3600000000, stop // 3600000000 + 1)) AS hour FROM held)
    ), dwells AS (
        SELECT s, hour, zone, sum(dwell)::BIGINT AS dwell FROM parts WHERE dwell > 0 GROUP BY s, hour, zone
    ), best AS (
        SELECT s, hour, max((dwell << 51) + (tie(s, zone) << 22) + zone) & 4194303 AS zone
        FROM dwells GROUP BY s, hour
    ), masks AS (
        SELECT s, zone, bit_or(1 << hour) AS hours_mask FROM best GROUP BY s, zone
    ), seen AS (
        SELECT s, zone, count(*) AS n, min(t) AS t_first, max(t) AS t_last FROM held GROUP BY s, zone
    )
    SELECT s AS subscriber, 0::BIGINT AS origin, zone, coalesce(hours_mask, 0)::BIGINT AS hours_mask, n,
        {start} + t_first AS t_first, {start} + t_last AS t_last
    FROM seen LEFT JOIN masks USING (s, zone) ORDER BY s, zone
) TO '{presence}' (COMPRESSION zstd);
"""


def statements(world: World, presence: Path, visits: Path) -> str:
    """Return the statements that build a day, in order."""
    text = _TIE + _CLEAN + _HELD + _VISITS + _PRESENCE
    return text.format(
        events=world.events,
        cells=world.cells,
        presence=presence,
        visits=visits,
        start=DAY.start_us,
        end=DAY.end_us,
        length=_LENGTH,
        hold=HOLD_MINUTES * 60_000_000,
        ghost=GHOST_SECONDS * 1_000_000,
        speed=MAX_SPEED,
        key=KEY,
    )
