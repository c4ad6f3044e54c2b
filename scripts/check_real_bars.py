#!/usr/bin/env python3
"""Backfills minutes and compares every stored bar with what this script makes of the same minutes.

Usage: check_real_bars.py BARKEEP BARS [--as-of INSTANT] [--symbols A,B,C] [--half-days DATE,DATE]
  BARKEEP  the binary, e.g. target/release/barkeep
  BARS     a directory of one-minute bars, SYMBOL.csv.gz with ts_utc,open,high,low,close,volume

Needs nothing but Python 3.9 or newer and its zoneinfo. Knows nothing of Barkeep's calendar: a session is 09:30 to 16:00
New York on every day that has minutes, and to 13:00 on the half days that it is told of. Ends with status 1 where a bar differs.
"""
import argparse
import csv
import gzip
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

TIMEFRAMES = {"m15": 15, "h1": 60, "h4": 240}
NEW_YORK = ZoneInfo("America/New_York")


def resampled(path, step, as_of, half_days):
    """Bars of the regular session, anchored at its open."""
    end = datetime.fromisoformat(as_of.replace("Z", "+00:00"))
    bars = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            start = datetime.fromisoformat(row["ts_utc"].replace("Z", "+00:00"))
            local = start.astimezone(NEW_YORK)
            opened = local.replace(hour=9, minute=30)
            since = int((local - opened).total_seconds()) // 60
            lasts = 210 if f"{local:%Y-%m-%d}" in half_days else 390
            if not 0 <= since < lasts or not end - timedelta(days=365) <= start < end:
                continue
            key = (opened + timedelta(minutes=since // step * step)).astimezone(timezone.utc)
            o, h, l, c, v = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
            if key in bars:
                bar = bars[key]
                bars[key] = (bar[0], max(bar[1], h), min(bar[2], l), c, bar[4] + v)
            else:
                bars[key] = (o, h, l, c, v)
    return {key.strftime("%Y-%m-%dT%H:%M:%SZ"): bar for key, bar in sorted(bars.items())}


def exported(barkeep, symbol, timeframe):
    out = subprocess.run(barkeep + ["export", symbol, timeframe], check=True, capture_output=True, text=True).stdout
    names = ("open", "high", "low", "close", "volume")
    return {row["ts"]: tuple(float(row[n]) for n in names) for row in csv.DictReader(out.splitlines())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("barkeep", help="the binary")
    parser.add_argument("bars", type=Path, help="a folder of one-minute bars")
    parser.add_argument("--as-of", default="2013-10-12T00:00:00Z", help="the market's clock (default: %(default)s)")
    parser.add_argument("--symbols", default="SPY,IBM,BAC", help="which to backfill (default: %(default)s)")
    parser.add_argument("--half-days", default="", help="days on which the session ends at 13:00")
    arguments = parser.parse_args()
    binary, bars, as_of = arguments.barkeep, arguments.bars, arguments.as_of
    symbols, half_days = arguments.symbols.split(","), arguments.half_days.split(",")
    differences = 0
    with tempfile.TemporaryDirectory() as data:
        barkeep = [binary, "--data-dir", data]
        sim = subprocess.Popen(
            barkeep + ["market-sim", "--bars", str(bars), "--as-of", as_of, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            address = sim.stdout.readline().split()[-1]
            environment = {**os.environ, "APCA_API_DATA_URL": address}
            subprocess.run(barkeep + ["backfill", *symbols, "--as-of", as_of], check=True, env=environment)
            for symbol in symbols:
                for timeframe, step in TIMEFRAMES.items():
                    expected = resampled(bars / f"{symbol}.csv.gz", step, as_of, half_days)
                    stored = exported(barkeep, symbol, timeframe)
                    differing = [ts for ts in expected.keys() | stored.keys() if expected.get(ts) != stored.get(ts)]
                    differences += len(differing)
                    print(f"{symbol} {timeframe}: {len(stored)} stored, {len(expected)} expected, {len(differing)} differ")
                    for ts in sorted(differing)[:5]:
                        print(f"  {ts}: stored {stored.get(ts)}, expected {expected.get(ts)}")
        finally:
            sim.terminate()
            sim.wait()
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
