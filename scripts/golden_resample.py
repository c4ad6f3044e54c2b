#!/usr/bin/env python3
"""Writes golden resampling: crates/market/tests/data/resample, minutes and the bars that they make.

Needs exchange_calendars, pandas and polars (PyPI). The minutes are made up, by a generator with a fixed seed; the bars are
made of them by pandas and, another way, by polars, and written where both agree. Knows nothing of Barkeep.

  stock_minute.csv.gz   days of a stock, 04:00 to 20:00 New York with minutes missing as minutes without a trade are: the last
                        before clocks change in autumn 2024 and the first after, a half day with trades after its close, the
                        last before they change in spring 2025 and the first after
  coin_minute.csv.gz    a week of a coin, with a gap of 29 hours and one of 15 minutes
  CASE_session_TF.csv   anchored at each session's open, regular hours only, the last bar cut at the close
  CASE_clock_TF.csv     multiples of New York's clock, all hours
  CASE_utc_TF.csv       multiples of UTC's clock
"""

import gzip
import io
import random
from pathlib import Path

import exchange_calendars
import pandas
import polars

DATA = Path(__file__).resolve().parent.parent / "crates/market/tests/data/resample"
NEW_YORK = "America/New_York"
STOCK_DAYS = ["2024-11-01", "2024-11-04", "2024-11-29", "2025-03-07", "2025-03-10"]
STEPS = {"m15": 15, "h1": 60, "h4": 240}
COLUMNS = ["open", "high", "low", "close", "volume", "vwap", "count"]


def walk(seed, starts, price, tick, decimals, volume):
    """Bars of made-up trades at these starts: a random walk in steps of a tick."""
    dice, rows = random.Random(seed), []
    for start in starts:
        trades = [price := max(tick, price + dice.choice([-2, -1, -1, 0, 1, 1, 2]) * tick) for _ in range(dice.randint(1, 6))]
        rows.append({
            "start": start,
            "open": round(trades[0], decimals),
            "high": round(max(trades), decimals),
            "low": round(min(trades), decimals),
            "close": round(trades[-1], decimals),
            "volume": volume(dice),
            "vwap": round(sum(trades) / len(trades), decimals + 2),
            "count": len(trades),
        })
    return pandas.DataFrame(rows).set_index("start")


def stock():
    dice, starts = random.Random(20241101), []
    for day in STOCK_DAYS:
        minutes = pandas.date_range(f"{day} 04:00", f"{day} 19:59", freq="1min", tz=NEW_YORK)
        for at in minutes:
            clock = at.hour * 60 + at.minute
            regular = 570 <= clock < (780 if day == "2024-11-29" else 960)
            # A quarter of an hour at noon in which nothing trades at all.
            quiet = day == "2025-03-07" and 720 <= clock < 735
            if not quiet and dice.random() < (0.62 if regular else 0.12):
                starts.append(at.tz_convert("UTC"))
    return walk(1, starts, 87.4, 0.01, 2, lambda dice: dice.randint(1, 90) * 100)


def coin():
    minutes = pandas.date_range("2025-05-05", "2025-05-11 23:59", freq="1min", tz="UTC")
    dice = random.Random(20250505)
    gone = lambda at: "2025-05-07T16:49" <= f"{at:%Y-%m-%dT%H:%M}" < "2025-05-08T21:49" or f"{at:%d %H}" == "10 07" and at.minute < 15
    starts = [at for at in minutes if not gone(at) and dice.random() < 0.3]
    return walk(2, starts, 3141.5, 0.5, 1, lambda dice: round(dice.expovariate(0.8) + 0.0001, 4))


def by_pandas(minutes, groups):
    """`groups`: start and end of each minute's bucket, in order."""
    rows = []
    weighted = minutes.assign(money=minutes["vwap"] * minutes["volume"])
    for (start, end), part in weighted.groupby(groups, sort=True):
        volume = part["volume"].sum()
        rows.append((start, end, part["open"].iloc[0], part["high"].max(), part["low"].min(), part["close"].iloc[-1],
                     volume, part["money"].sum() / volume, part["count"].sum()))
    return rows


def session_groups(minutes, step):
    calendar = exchange_calendars.get_calendar("XNYS", start="2024-10-01", end="2025-04-01")
    groups = pandas.Series(index=minutes.index, dtype=object)
    for day in STOCK_DAYS:
        opens, closes = calendar.schedule.loc[day, ["open", "close"]]
        width = pandas.Timedelta(minutes=step)
        edges = [*pandas.date_range(opens, closes, freq=width, inclusive="left"), closes]
        for start, end in zip(edges, edges[1:]):
            inside = (minutes.index >= start) & (minutes.index < end)
            groups[inside] = pandas.Series([(start, end)] * inside.sum(), index=minutes.index[inside], dtype=object)
    return groups.dropna()


def clock_groups(minutes, step):
    local = minutes.index.tz_convert(NEW_YORK)
    starts = local.tz_localize(None).floor(f"{step}min")
    ends = starts + pandas.Timedelta(minutes=step)
    utc = lambda naive: naive.tz_localize(NEW_YORK).tz_convert("UTC")
    return pandas.Series(list(zip(utc(starts), utc(ends))), index=minutes.index, dtype=object)


def utc_groups(minutes, step):
    starts = minutes.index.floor(f"{step}min")
    return pandas.Series(list(zip(starts, starts + pandas.Timedelta(minutes=step))), index=minutes.index, dtype=object)


def by_polars(minutes, convention, step):
    """The same bars by another library, from dates and minutes of the day alone: no time of UTC is looked at but to sort."""
    columns = {column: minutes[column].tolist() for column in COLUMNS}
    frame = polars.DataFrame({"start": minutes.index.to_pydatetime().tolist(), **columns}).sort("start")
    zone = "UTC" if convention == "utc" else NEW_YORK
    local = polars.col("start").dt.convert_time_zone(zone)
    minute = local.dt.hour().cast(polars.Int64) * 60 + local.dt.minute()
    frame = frame.with_columns(day=local.dt.date(), minute=minute)
    if convention == "session":
        half = polars.col("day") == polars.date(2024, 11, 29)
        closes = polars.when(half).then(780).otherwise(960)
        frame = frame.filter((polars.col("minute") >= 570) & (polars.col("minute") < closes))
        frame = frame.with_columns(bucket=(polars.col("minute") - 570) // step)
    else:
        frame = frame.with_columns(bucket=polars.col("minute") // step)
    return frame.group_by("day", "bucket", maintain_order=True).agg(
        polars.first("open"), polars.max("high"), polars.min("low"), polars.last("close"), polars.sum("volume"),
        vwap=(polars.col("vwap") * polars.col("volume")).sum() / polars.sum("volume"), count=polars.sum("count"),
    ).select(COLUMNS).rows()


def instant(at):
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def packed(name, text):
    # Without a date, so that the same minutes make the same file.
    with open(DATA / name, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as out:
        out.write(text.encode())


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    cases = [("stock", stock(), {"session": session_groups, "clock": clock_groups}), ("coin", coin(), {"utc": utc_groups})]
    for case, minutes, conventions in cases:
        text = io.StringIO()
        text.write("start_utc," + ",".join(COLUMNS) + "\n")
        for at, row in minutes.iterrows():
            text.write(",".join([instant(at), *(f"{row[column]:.10g}" for column in COLUMNS)]) + "\n")
        packed(f"{case}_minute.csv.gz", text.getvalue())
        for convention, groups in conventions.items():
            for name, step in STEPS.items():
                known = groups(minutes, step)
                bars = by_pandas(minutes.loc[known.index], known)
                others = by_polars(minutes, convention, step)
                assert len(bars) == len(others), (case, convention, name, len(bars), len(others))
                for bar, other in zip(bars, others):
                    assert all(abs(a - b) <= 1e-9 * abs(b) for a, b in zip(bar[2:], other)), (bar, other)
                text = "start_utc,end_utc," + ",".join(COLUMNS) + "\n"
                for start, end, *values in bars:
                    text += ",".join([instant(start), instant(end), *(f"{value:.12g}" for value in values)]) + "\n"
                packed(f"{case}_{convention}_{name}.csv.gz", text)
                print(f"{case} {convention} {name}: {len(bars)} bars")


if __name__ == "__main__":
    main()
