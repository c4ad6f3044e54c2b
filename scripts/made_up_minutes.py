#!/usr/bin/env python3
"""Writes the minutes that tests serve instead of real ones: crates/simulator/tests/data/m1, one file a symbol, and splits.csv.

Needs nothing but Python 3.9 or newer and its zoneinfo. The companies and the coin don't exist; prices and volumes are a random walk
from a fixed seed. What is true to life is the form: a minute without a trade has no row, some trade before the open and
after the close, 2025-07-03 is a half day, and 2025-07-04 a holiday.

  ALFA, BRVO, CHRL   the sessions of 2025-07-01 to 07-08, with a trade in every quarter of an hour of each
  SPLT               2025-07-03 to 07-08, as traded: eight shares for one from the 8th on
  MOON-USD           2025-07-05 and 06 round the clock, without 04:10 to 06:50 of the 6th
"""

import gzip
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

DATA = Path(__file__).resolve().parent.parent / "crates/simulator/tests/data"
NEW_YORK = ZoneInfo("America/New_York")
DAYS = ["2025-07-01", "2025-07-02", "2025-07-03", "2025-07-07", "2025-07-08"]
HALF_DAY = "2025-07-03"
OPEN = 9 * 60 + 30
SPLITS = """symbol,ex_date,ratio
SPLT,2016-03-01,3
SPLT,2025-07-08,8
SPLT,2027-05-03,2
"""


def stock_minutes(dice, days):
    """Minutes in which something trades."""
    for day in days:
        midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
        closes = 13 * 60 if day == HALF_DAY else 16 * 60
        for minute in range(4 * 60, closes + 4 * 60):
            regular = OPEN <= minute < closes
            # The first of each quarter always trades, so that no bar of a quarter or longer is missing.
            if regular and minute % 15 == 0 or dice.random() < (0.55 if regular else 0.06):
                yield (midnight + timedelta(minutes=minute)).astimezone(timezone.utc), day


def coin_minutes(dice):
    start = datetime(2025, 7, 5, tzinfo=timezone.utc)
    for minute in range(2 * 24 * 60):
        at = start + timedelta(minutes=minute)
        if not "06 04:10" <= at.strftime("%d %H:%M") < "06 06:50" and dice.random() < 0.6:
            yield at, ""


def bars(dice, minutes, price, tick, volume, after_split=None):
    for at, day in minutes:
        if after_split and day == after_split[0]:
            price, after_split = round(price / after_split[1], 2), None
        trades = [price := round(max(tick, price + dice.choice([-2, -1, 0, 0, 1, 2]) * tick), 4) for _ in range(dice.randint(1, 4))]
        yield f"{at:%Y-%m-%dT%H:%M:%SZ},{trades[0]},{max(trades)},{min(trades)},{trades[-1]},{volume(dice)}\n"


def write(symbol, rows):
    text = "ts_utc,open,high,low,close,volume\n" + "".join(rows)
    # Without a date, so that the same minutes make the same file.
    with open(DATA / "m1" / f"{symbol}.csv.gz", "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as out:
        out.write(text.encode())
    print(f"{symbol}: {len(text.splitlines()) - 1} minutes")


def main():
    (DATA / "m1").mkdir(parents=True, exist_ok=True)
    shares = lambda dice: dice.randint(1, 60) * 100
    for seed, (symbol, price) in enumerate([("ALFA", 61.2), ("BRVO", 148.05), ("CHRL", 17.9)]):
        dice = random.Random(seed)
        write(symbol, bars(dice, stock_minutes(dice, DAYS), price, 0.01, shares))
    dice = random.Random(8)
    minutes = stock_minutes(dice, DAYS[2:])
    write("SPLT", bars(dice, minutes, 640.0, 0.01, shares, after_split=(DAYS[-1], 8)))
    dice = random.Random(9)
    write("MOON-USD", bars(dice, coin_minutes(dice), 2.5, 0.0005, lambda dice: round(dice.expovariate(0.02) + 1e-6, 6)))
    (DATA / "splits.csv").write_text(SPLITS)


if __name__ == "__main__":
    main()
