#!/usr/bin/env python3
"""Backfills real one-minute bars and compares every stored bar with this script's own resampling.

Usage: check_real_bars.py BARKEEP BARS
  BARKEEP  the binary, e.g. target/release/barkeep
  BARS     a directory of one-minute bars, SYMBOL.csv.gz with ts_utc,open,high,low,close,volume

Needs only Python 3.9 or newer with zoneinfo. Doesn't use Barkeep's calendar: a session is 09:30 to 16:00 New York time on
every day that has bars. Exits with 1 if any bar differs.
"""
import csv
import gzip
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

AS_OF = "2013-10-12T00:00:00Z"
SYMBOLS = ["SPY", "IBM", "BAC"]
TIMEFRAMES = {"m15": 15, "h1": 60, "h4": 240}
NEW_YORK = ZoneInfo("America/New_York")


def resampled(path, step):
    """Resamples to bars of the regular session, anchored at its open."""
    end = datetime.fromisoformat(AS_OF.replace("Z", "+00:00"))
    bars = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            start = datetime.fromisoformat(row["ts_utc"].replace("Z", "+00:00"))
            local = start.astimezone(NEW_YORK)
            opened = local.replace(hour=9, minute=30)
            since = int((local - opened).total_seconds()) // 60
            if not 0 <= since < 390 or not end - timedelta(days=365) <= start < end:
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
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, bars = sys.argv[1], Path(sys.argv[2])
    differences = 0
    with tempfile.TemporaryDirectory() as data:
        barkeep = [binary, "--data-dir", data]
        sim = subprocess.Popen(
            barkeep + ["market-sim", "--bars", str(bars), "--as-of", AS_OF, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            address = sim.stdout.readline().split()[-1]
            environment = {**os.environ, "APCA_API_DATA_URL": address}
            subprocess.run(barkeep + ["backfill", *SYMBOLS, "--as-of", AS_OF], check=True, env=environment)
            for symbol in SYMBOLS:
                for timeframe, step in TIMEFRAMES.items():
                    expected = resampled(bars / f"{symbol}.csv.gz", step)
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
