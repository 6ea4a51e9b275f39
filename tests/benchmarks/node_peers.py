"""The same day by others: Polars, and Apache Spark with native DataFrame code, our expressions, and the fast path."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from node.engines import spark as engine
from node.presence import build
from node.presence import spark as fast
from node.presence.fast import Build
from node.presence.hold import Hold
from node.sources.events import clean
from node.sources.sequence import SequenceRules, sequenced
from tests.benchmarks.node_sql import GHOST_SECONDS, HOLD_MINUTES, KEY, MAX_SPEED
from tests.benchmarks.node_world import DAY, World
from tests.benchmarks.processes import Work, work

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import Column, DataFrame, SparkSession

RULES = SequenceRules(ghost_seconds=GHOST_SECONDS, max_speed=MAX_SPEED)
SPARK_MEMORY, THREADS = "4g", 2
TASK_MEMORY = 300_000_000
_LENGTH, _HOLD, _HOUR = DAY.end_us - DAY.start_us, HOLD_MINUTES * 60_000_000, 3_600_000_000
_M31 = 2**31 - 1


# --- Polars -----------------------------------------------------------------------------------------------


def polars(day: World, presence: Path, visits: Path) -> None:
    """Build a day with Polars: one sort, then neighbours by shifting."""
    import polars as pl

    events = _polars_events(pl.scan_parquet(day.events), pl.scan_parquet(day.cells))
    following = pl.when(pl.col("s") == pl.col("s").shift(-1)).then(pl.col("t").shift(-1)).otherwise(_LENGTH)
    begins = (pl.col("s") != pl.col("s").shift(1)) | (pl.col("zone") != pl.col("zone").shift(1))
    held = events.lazy().with_columns(
        stop=pl.min_horizontal(following, pl.col("t") + _HOLD, _LENGTH),
        run=begins.fill_null(True).cast(pl.Int64).cum_sum(),
    )
    runs = held.group_by("run").agg(
        pl.col("s").first(),
        pl.col("zone").first(),
        t_in=pl.col("t").min(),
        t_out=pl.col("stop").max(),
        n=pl.len(),
    )
    runs = runs.sort("run").with_columns(seq=pl.col("run") - pl.col("run").min().over("s"))
    runs.select(
        subscriber="s",
        origin=pl.lit(0, pl.Int64),
        seq="seq",
        zone="zone",
        t_in=pl.col("t_in") + DAY.start_us,
        t_out=pl.col("t_out") + DAY.start_us,
        n=pl.col("n").cast(pl.Int64),
    ).sink_parquet(visits, compression="zstd", engine="streaming")
    _polars_presence(held).sink_parquet(presence, compression="zstd", engine="streaming")


def _polars_events(raw: pl.LazyFrame, cells: pl.LazyFrame) -> pl.DataFrame:
    import polars as pl

    def beside(name: str, by: int) -> pl.Expr:
        return pl.when(pl.col("s") == pl.col("s").shift(by)).then(pl.col(name).shift(by))

    def too_fast(by: int) -> pl.Expr:
        dx, dy = pl.col("x_m") - beside("x_m", by), pl.col("y_m") - beside("y_m", by)
        reach = ((pl.col("t") - beside("t", by)).abs() + 999_999) // 1_000_000 * MAX_SPEED
        return dx * dx + dy * dy > reach * reach

    rows = raw.with_columns(t=pl.col("timestamp_ms") * 1000 - DAY.start_us)
    rows = rows.filter((pl.col("t") >= 0) & (pl.col("t") < _LENGTH)).join(cells, on="cell_id")
    rows = rows.select(pl.col("subscriber_id").alias("s"), "t", "cell", "zone", "x_m", "y_m")
    rows = rows.unique(["s", "t", "cell"]).sort("s", "t", "cell")
    before, after = beside("cell", 1), beside("cell", -1)
    near = beside("t", -1) - beside("t", 1) <= GHOST_SECONDS * 1_000_000
    ghost = (before == after) & (before != pl.col("cell")) & near
    kept = rows.filter(~(ghost.fill_null(False) | (too_fast(1) & too_fast(-1)).fill_null(False)))
    return kept.select("s", "t", "cell", "zone").collect(engine="streaming")


def _polars_presence(held: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    hours = held.select(
        "s", "zone", "t", "stop", hour=pl.int_ranges(pl.col("t") // _HOUR, pl.col("stop") // _HOUR + 1)
    )
    parts = hours.explode("hour").with_columns(
        dwell=pl.min_horizontal(pl.col("stop") // 1_000_000, (pl.col("hour") + 1) * 3600)
        - pl.max_horizontal(pl.col("t") // 1_000_000, pl.col("hour") * 3600)
    )
    dwells = parts.filter(pl.col("dwell") > 0).group_by("s", "hour", "zone").agg(pl.col("dwell").sum())
    word = ((pl.col("s") & _M31) + pl.col("zone") * (0x9E3779B1 & _M31) + KEY) & _M31
    for factor in (0x7FEB352D, 0x846CA68B):
        word = ((word ^ (word // 2**15)) * factor) & _M31
    packed = pl.col("dwell") * 2**51 + word // 4 * 2**22 + pl.col("zone")
    best = dwells.group_by("s", "hour").agg(zone=packed.max() & (2**22 - 1))
    masks = best.group_by("s", "zone").agg(hours_mask=pl.lit(2, pl.Int64).pow(pl.col("hour")).sum())
    seen = held.group_by("s", "zone").agg(n=pl.len(), t_first=pl.col("t").min(), t_last=pl.col("t").max())
    rows = seen.join(masks, on=["s", "zone"], how="left").sort("s", "zone")
    return rows.select(
        subscriber="s",
        origin=pl.lit(0, pl.Int64),
        zone="zone",
        hours_mask=pl.col("hours_mask").fill_null(0).cast(pl.Int64),
        n=pl.col("n").cast(pl.Int64),
        t_first=pl.col("t_first") + DAY.start_us,
        t_last=pl.col("t_last") + DAY.start_us,
    )


# --- Spark ------------------------------------------------------------------------------------------------


@contextmanager
def _spark(day: World, scratch: Path, found: dict[str, Work]) -> Iterator[tuple[SparkSession, DataFrame]]:
    """Start Spark and measure what is done with the rows of the day, which are read and joined the same way."""
    from pyspark.sql import functions as f

    session = engine.local_session(THREADS, SPARK_MEMORY, scratch)
    session.conf.set("spark.sql.shuffle.partitions", "16")
    try:
        with work() as found["day"]:
            time = f.col("timestamp_ms") * 1000
            rows = session.read.parquet(str(day.events)).withColumn("t_us", time)
            rows = rows.filter((f.col("t_us") >= DAY.start_us) & (f.col("t_us") < DAY.end_us))
            rows = rows.join(f.broadcast(session.read.parquet(str(day.cells))), "cell_id")
            nothing = f.lit(0).cast("long")
            yield (
                session,
                rows.select(
                    f.col("subscriber_id").alias("subscriber"),
                    *("t_us", "cell", "zone", "x_m", "y_m"),
                    nothing.alias("origin"),
                    nothing.alias("reason"),
                ),
            )
    finally:
        session.stop()


def _kept(session: SparkSession, events: DataFrame, path: Path) -> DataFrame:
    """Write events and read them back, as the node materialises them between cleaning and presence."""
    events.write.mode("overwrite").parquet(str(path))
    return session.read.parquet(str(path))


def spark_ibis(day: World, presence: Path, visits: Path, scratch: Path) -> dict[str, Work]:
    """Our expressions."""
    found: dict[str, Work] = {}
    with _spark(day, scratch, found) as (session, rows):
        backend = ibis.pyspark.connect(session)
        rows.createOrReplaceTempView("rows")
        events = clean(sequenced(backend.table("rows"), RULES))
        held = session.sql(backend.compile(build.held(events, DAY, Hold(HOLD_MINUTES))))
        _kept(session, held, scratch / "spark-events").createOrReplaceTempView("held")
        kept = backend.table("held")
        for table, path in (
            (build.visits_of(kept), visits),
            (build.presence_of(kept, DAY, Hold(HOLD_MINUTES), KEY), presence),
        ):
            shutil.rmtree(path, ignore_errors=True)
            table.to_parquet_dir(str(path))
    return found


def spark_fast(day: World, presence: Path, visits: Path, scratch: Path) -> dict[str, Work]:
    """The fast path in the tasks, both tables written in one pass."""
    found: dict[str, Work] = {}
    plan = Build(DAY, RULES, Hold(HOLD_MINUTES), KEY, scratch, TASK_MEMORY)
    with _spark(day, scratch, found) as (_session, rows):
        both = fast.mapped(rows, plan, 16)
        both.write.mode("overwrite").parquet(str(presence))
    shutil.rmtree(visits, ignore_errors=True)
    return found


def spark_native(day: World, presence: Path, visits: Path, scratch: Path) -> dict[str, Work]:
    """DataFrame code written by hand."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    found: dict[str, Work] = {}
    with _spark(day, scratch, found) as (session, rows):
        order = Window.partitionBy("subscriber").orderBy("t_us", "cell")
        events = _kept(session, _native_events(rows, order), scratch / "spark-events")
        following = f.lead("t_us").over(order)
        held = events.withColumn(
            "stop",
            f.least(f.coalesce(following, f.lit(DAY.end_us)), f.col("t_us") + _HOLD, f.lit(DAY.end_us)),
        )
        begins = f.when(f.lag("zone").over(order) == f.col("zone"), 0).otherwise(1)
        runs = held.withColumn("begins", begins)
        runs = runs.withColumn(
            "seq", f.sum("begins").over(order.rowsBetween(Window.unboundedPreceding, 0)) - 1
        )
        stays = runs.groupBy("subscriber", "seq").agg(
            f.min("origin").alias("origin"),
            f.min("zone").alias("zone"),
            f.min("t_us").alias("t_in"),
            f.max("stop").alias("t_out"),
            f.count("*").alias("n"),
        )
        stays.orderBy("subscriber", "seq").write.mode("overwrite").parquet(str(visits))
        _native_presence(held).write.mode("overwrite").parquet(str(presence))
    return found


def _native_events(rows: DataFrame, order: Any) -> DataFrame:
    from pyspark.sql import functions as f

    def too_fast(side: str) -> Column:
        dx, dy = f.col("x_m") - f.col(f"{side}_x_m"), f.col("y_m") - f.col(f"{side}_y_m")
        reach = f.floor((f.abs(f.col("t_us") - f.col(f"{side}_t_us")) + 999_999) / 1_000_000) * MAX_SPEED
        return dx * dx + dy * dy > reach * reach

    found = rows.dropDuplicates(["subscriber", "t_us", "cell"])
    for name in ("t_us", "cell", "x_m", "y_m"):
        found = found.withColumn(f"before_{name}", f.lag(name).over(order))
        found = found.withColumn(f"after_{name}", f.lead(name).over(order))
    alone = (f.col("before_cell") == f.col("after_cell")) & (f.col("before_cell") != f.col("cell"))
    ghost = alone & (f.col("after_t_us") - f.col("before_t_us") <= GHOST_SECONDS * 1_000_000)
    wrong = f.coalesce(ghost, f.lit(False)) | f.coalesce(too_fast("before") & too_fast("after"), f.lit(False))
    return found.filter(~wrong).select("subscriber", "t_us", "cell", "zone", "origin")


def _native_presence(held: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    times = held.select(
        "subscriber",
        "zone",
        ((f.col("t_us") - DAY.start_us) / 1_000_000).cast("long").alias("begin"),
        ((f.col("stop") - DAY.start_us) / 1_000_000).cast("long").alias("end"),
    )
    hours = f.sequence((f.col("begin") / 3600).cast("long"), (f.col("end") / 3600).cast("long"))
    parts = times.withColumn("hour", f.explode(hours))
    dwell = f.least("end", (f.col("hour") + 1) * 3600) - f.greatest("begin", f.col("hour") * 3600)
    parts = parts.withColumn("dwell", dwell).filter("dwell > 0")
    dwells = parts.groupBy("subscriber", "hour", "zone").agg(f.sum("dwell").alias("dwell"))
    word = (f.col("subscriber").bitwiseAND(_M31) + f.col("zone") * (0x9E3779B1 & _M31) + KEY).bitwiseAND(_M31)
    for factor in (0x7FEB352D, 0x846CA68B):
        word = (word.bitwiseXOR(f.shiftright(word, 15)) * factor).bitwiseAND(_M31)
    dwells = dwells.withColumn("tie", f.shiftright(word, 2))
    best = dwells.groupBy("subscriber", "hour").agg(f.max(f.struct("dwell", "tie", "zone")).alias("best"))
    best = best.select("subscriber", "hour", f.col("best.zone").alias("zone"))
    masks = best.groupBy("subscriber", "zone").agg(
        f.sum(f.expr("shiftleft(1L, int(hour))")).alias("hours_mask")
    )
    seen = held.groupBy("subscriber", "zone").agg(
        f.min("origin").alias("origin"),
        f.count("*").alias("n"),
        f.min("t_us").alias("t_first"),
        f.max("t_us").alias("t_last"),
    )
    rows = seen.join(masks, ["subscriber", "zone"], "left").fillna(0, ["hours_mask"])
    return rows.select("subscriber", "origin", "zone", "hours_mask", "n", "t_first", "t_last").orderBy(
        "subscriber", "zone"
    )
