#!/usr/bin/env python3
"""Writes the golden files of market time: crates/market/tests/data/xnys.csv and always_open.csv.

Needs exchange_calendars (PyPI), which knows the New York Stock Exchange from its own lists. Knows nothing of Barkeep.

xnys.csv holds 1990 to 2027 in the few rows that say it all; kind is one of
  hours   from that date on, sessions open and close at these times of UTC (a row where clocks change, and the first day)
  closed  no session, though it is no Saturday or Sunday
  early   the session of that date has these hours
Before it is written it is unfolded again and compared with every session that exchange_calendars gives.

always_open.csv holds the buckets of some days of a market that never closes, made with pandas: the last and first days of
months, a leap day, and days on which clocks change somewhere.
"""

import csv
from datetime import date, timedelta
from pathlib import Path

import exchange_calendars
import pandas

DATA = Path(__file__).resolve().parent.parent / "crates/market/tests/data"
FIRST, LAST = date(1990, 1, 1), date(2027, 12, 31)
DAYS = ["1999-12-31", "2023-02-28", "2028-02-29", "2025-03-09", "2025-10-26"]
TIMEFRAMES = {"m15": "15min", "h1": "1h", "h4": "4h"}


def sessions():
    """{date: (open, close, early)} as exchange_calendars says, hours as HH:MM of UTC."""
    calendar = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
    early = set(calendar.early_closes)
    found = {}
    for day, hours in calendar.schedule.iterrows():
        assert hours["open"].date() == hours["close"].date() == day.date()
        found[day.date()] = (hours["open"].strftime("%H:%M"), hours["close"].strftime("%H:%M"), day in early)
    return found


def weekdays():
    day = FIRST
    while day <= LAST:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)


def folded(sessions):
    usual = None
    for day in weekdays():
        if day not in sessions:
            yield day, "closed", "", ""
            continue
        opens, closes, early = sessions[day]
        if early:
            # The clocks of that day are seen in when it opens: the usual close is six and a half hours later.
            hour, minute = map(int, opens.split(":"))
            regular = (opens, f"{hour + 6 + (minute + 30) // 60:02}:{(minute + 30) % 60:02}")
        else:
            regular = (opens, closes)
        if regular != usual:
            usual = regular
            yield day, "hours", *regular
        if early:
            yield day, "early", opens, closes


def unfolded(rows):
    by_day, usual, found = {}, None, {}
    for day, kind, opens, closes in rows:
        by_day.setdefault(day, {})[kind] = (opens, closes)
    for day in weekdays():
        kinds = by_day.get(day, {})
        usual = kinds.get("hours", usual)
        if "closed" not in kinds:
            found[day] = (*kinds.get("early", usual), "early" in kinds)
    return found


def write(name, header, rows):
    with open(DATA / name, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    print(f"{name}: {len(rows)} rows")


def main():
    known = sessions()
    rows = list(folded(known))
    assert unfolded(rows) == known, "what is written would not say what exchange_calendars says"
    write("xnys.csv", ["date", "kind", "open_utc", "close_utc"], rows)
    print(f"{len(known)} sessions by exchange_calendars {exchange_calendars.__version__}")

    buckets = []
    for day in DAYS:
        for name, step in TIMEFRAMES.items():
            starts = pandas.date_range(day, periods=pandas.Timedelta("1D") // pandas.Timedelta(step), freq=step, tz="UTC")
            for index, start in enumerate(starts):
                buckets.append([day, name, index, *(f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in (start, start + pandas.Timedelta(step)))])
    write("always_open.csv", ["date", "timeframe", "index", "start_utc", "end_utc"], buckets)


if __name__ == "__main__":
    main()
