#!/usr/bin/env python3
"""Compares Barkeep's New York sessions with those of exchange_calendars, day by day.

In: the sessions of 1990 to 2027, by default from the example `sessions` of the package `barkeep-market`, or as a barkeep
binary prints them. Out: the days that differ, and their number in each year.
Exit code: 0 if there are no differences, 1 if there are, 2 if the comparison failed.

exchange_calendars is installed into a virtual environment, which is kept for the next run.
"""

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent.parent
FROM, TO = "1990-01-01", "2028-01-01"  # TO is not included
COLUMNS = ["date", "open_utc", "close_utc", "early"]
MIN_SESSIONS = 9_000  # 38 years of about 252: fewer would mean that something went wrong

REFERENCE = """
import sys, pandas, exchange_calendars
start, end = pandas.Timestamp(sys.argv[1]), pandas.Timestamp(sys.argv[2]) - pandas.Timedelta(days=1)
calendar = exchange_calendars.get_calendar("XNYS", start=start, end=end)
early = set(calendar.early_closes)
print("date,open_utc,close_utc,early")
for day, hours in calendar.schedule.iterrows():
    utc = [hours[column].strftime("%Y-%m-%dT%H:%M:%SZ") for column in ("open", "close")]
    print(f"{day.date()},{utc[0]},{utc[1]},{int(day in early)}")
"""


def main():
    arguments = parse_arguments()
    try:
        reference = sessions(reference_command(arguments.venv))
        ours = sessions(our_command(arguments.barkeep))
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"The comparison failed: {error}", file=sys.stderr)
        return 2
    differing = [day for day in sorted(reference.keys() | ours.keys()) if reference.get(day) != ours.get(day)]
    for day in differing:
        print(f"{day}: exchange_calendars {describe(reference.get(day))}, Barkeep {describe(ours.get(day))}")
    if differing:
        years = Counter(day[:4] for day in differing)
        print("Number of differing days: " + ", ".join(f"{count} in {year}" for year, count in sorted(years.items())))
        return 1
    half_days = sum(early == "1" for _, _, early in ours.values())
    print(f"All {len(ours)} sessions from {FROM} to {TO} are the same, including {half_days} half days.")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("barkeep", nargs="?", help="barkeep binary to use instead of the workspace's example")
    parser.add_argument(
        "--venv",
        type=Path,
        default=Path(tempfile.gettempdir()) / "barkeep-check-calendar",
        help="directory of the virtual environment (default: %(default)s)",
    )
    return parser.parse_args()


def our_command(barkeep):
    if barkeep:
        return [Path(barkeep).absolute(), "calendar", "XNYS", "--from", FROM, "--to", TO]
    return ["cargo", "run", "-q", "-p", "barkeep-market", "--example", "sessions", "--", "XNYS", FROM, TO]


def reference_command(folder):
    # Commands run in the workspace's directory. Links are not resolved: the environment's interpreter may be a link.
    folder = folder.absolute()
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    subprocess.run([*install, "exchange_calendars"], check=True)
    return [python, "-c", REFERENCE, FROM, TO]


def sessions(command):
    """What the command prints, as {date: (open, close, early)}."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=WORKSPACE)
    rows = csv.DictReader(io.StringIO(done.stdout))
    if rows.fieldnames != COLUMNS:
        raise ValueError(f"{command[0]} printed the columns {rows.fieldnames}, not {COLUMNS}")
    found = {row["date"]: (row["open_utc"], row["close_utc"], row["early"]) for row in rows}
    if len(found) < MIN_SESSIONS:
        raise ValueError(f"{command[0]} printed only {len(found)} sessions")
    return found


def describe(session):
    if session is None:
        return "closed"
    opens, closes, early = session
    return f"{opens} to {closes}" + (" (half day)" if early == "1" else "")


if __name__ == "__main__":
    sys.exit(main())
