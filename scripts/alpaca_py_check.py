#!/usr/bin/env python3
"""Checks a market data server with Alpaca's official Python client.

    python3 scripts/alpaca_py_check.py http://127.0.0.1:9100 [FOLDER]

Expects the simulator at that address, with synthetic bars, accepting only the keys "key" and "secret". Uses alpaca-py if it
can be imported, else installs it into FOLDER, where the next run finds it (without FOLDER into a temporary one). Exit code
0: all checks passed; 1: a check failed; 77: the client could not be installed, so nothing was checked.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from datetime import datetime, timedelta, timezone

SKIPPED = 77


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        import alpaca  # noqa: F401
    except ImportError:
        sys.exit(run_with_installed_client())
    check(sys.argv[1].rstrip("/"))


def run_with_installed_client():
    if os.environ.get("ALPACA_PY_CHECK_INSTALLED"):
        print("alpaca-py was installed but can't be imported", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="alpaca-py-check-") as temporary:
        folder = os.path.abspath(sys.argv[2] if len(sys.argv) == 3 else os.path.join(temporary, "kept"))
        # Packages with compiled parts fit one version of Python.
        packages = os.path.join(folder, f"python-{sys.version_info.major}.{sys.version_info.minor}")
        try:
            if not os.path.isdir(packages):
                install(temporary, packages)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"alpaca-py could not be installed: {error}\n{getattr(error, 'stderr', '')}", file=sys.stderr)
            return SKIPPED
        environment = dict(os.environ, ALPACA_PY_CHECK_INSTALLED="1", PYTHONPATH=packages)
        return subprocess.run([sys.executable, os.path.abspath(__file__), sys.argv[1]], env=environment).returncode


def install(temporary, packages):
    """Installs alpaca-py into the folder `packages`, which appears when all of it is there."""
    os.makedirs(os.path.dirname(packages), exist_ok=True)
    python = sys.executable
    if importlib.util.find_spec("pip") is None:
        # As in Debian, where pip is a package of its own.
        pip_home = os.path.join(temporary, "pip")
        venv.create(pip_home, with_pip=True)
        python = os.path.join(pip_home, "Scripts" if os.name == "nt" else "bin", "python")
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=os.path.dirname(packages)) as unfinished:
        filled = os.path.join(unfinished, "packages")
        # Most of the packages is never imported: what is, is compiled then.
        options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--target", filled]
        command = [python, "-m", "pip", "install", *options, "alpaca-py"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        try:
            os.rename(filled, packages)
        except OSError:
            # Another run was first.
            if not os.path.isdir(packages):
                raise


def check(url):
    from alpaca.common.exceptions import APIError
    from alpaca.data.enums import Adjustment, DataFeed
    from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
    from alpaca.data.requests import CryptoBarsRequest, StockBarsRequest
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import AssetClass, AssetStatus
    from alpaca.trading.requests import GetAssetsRequest

    utc = timezone.utc
    stocks = StockHistoricalDataClient("key", "secret", url_override=url)
    fifteen_minutes = TimeFrame(15, TimeFrameUnit.Minute)
    month = dict(start=datetime(2025, 3, 3, tzinfo=utc), end=datetime(2025, 3, 29, tzinfo=utc))

    # Pages have 10,000 rows: the first one ends in the middle of the first symbol's minutes.
    symbols = ["AAPL", "MSFT", "SPY"]
    request = StockBarsRequest(symbol_or_symbols=symbols, timeframe=TimeFrame.Minute, **month)
    minutes = stocks.get_stock_bars(request).data
    expect(sorted(minutes) == symbols, f"minutes of {symbols}, not {sorted(minutes)}")
    expect(sum(map(len, minutes.values())) > 20_000, "more than two pages of minutes")
    for symbol, bars in minutes.items():
        times = [bar.timestamp for bar in bars]
        expect(times == sorted(set(times)), f"{symbol} in order, each minute once")
        valid = (bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
        expect(all(valid), f"valid bars of {symbol}")

    request = StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=fifteen_minutes, adjustment=Adjustment.SPLIT, feed=DataFeed.SIP, limit=100, **month
    )
    bars_15m = stocks.get_stock_bars(request)["AAPL"]
    expect(len(bars_15m) == 100, "as many bars as asked for")
    first, then = bars_15m[0], bars_15m[0].timestamp + timedelta(minutes=15)
    inside = [bar for bar in minutes["AAPL"] if first.timestamp <= bar.timestamp < then]
    expect(first.volume == sum(bar.volume for bar in inside), "a 15-minute bar has the volume of its minutes")
    expect(first.close == inside[-1].close, "a 15-minute bar closes at its last minute's close")
    expect(first.trade_count > 0 and first.vwap > 0, "trade count and VWAP are set")

    crypto = CryptoHistoricalDataClient(url_override=url)
    request = CryptoBarsRequest(symbol_or_symbols=["BTC/USD", "ETH/USD"], timeframe=TimeFrame.Hour, **month)
    hours = crypto.get_crypto_bars(request).data
    expect(len(hours["BTC/USD"]) == len(hours["ETH/USD"]) == 26 * 24 + 1, "crypto bars around the clock, including both ends")

    trading = TradingClient("key", "secret", paper=True, url_override=url)
    listed = trading.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE, asset_class=AssetClass.US_EQUITY))
    expect(len(listed) > 30 and all(asset.asset_class == AssetClass.US_EQUITY for asset in listed), "a list of stocks")
    apple = trading.get_asset("AAPL")
    expect(apple.symbol == "AAPL" and apple.name.startswith("Apple") and apple.tradable, "AAPL as an asset")
    expect(trading.get_asset(str(apple.id)).symbol == "AAPL", "an asset by its id")
    expect(trading.get_asset("BTC/USD").asset_class == AssetClass.CRYPTO, "a pair as an asset")

    def api_error(request):
        try:
            request()
        except APIError as error:
            return error.status_code, error.message
        return None

    unknown = api_error(lambda: trading.get_asset("ZZTOP"))
    expect(unknown == (404, "asset not found for ZZTOP"), f"an unknown asset is refused, not {unknown}")
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame(15, TimeFrameUnit.Minute), **month)
    # The client checks the number when it is made, not when it is sent.
    request.timeframe.amount_value = 75
    bad = api_error(lambda: stocks.get_stock_bars(request))
    expect(bad == (400, "invalid timeframe: 75Min"), f"a bad timeframe is refused, not {bad}")
    request = StockBarsRequest(symbol_or_symbols="AA$PL", timeframe=TimeFrame.Day, **month)
    bad = api_error(lambda: stocks.get_stock_bars(request))
    expect(bad == (400, "invalid symbol: AA$PL"), f"a bad symbol is refused, not {bad}")
    wrong_keys = StockHistoricalDataClient("key", "wrong", url_override=url)
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, **month)
    bad = api_error(lambda: wrong_keys.get_stock_bars(request))
    expect(bad == (401, "unauthorized."), f"wrong keys are refused, not {bad}")
    print("All checks with alpaca-py passed")


def expect(holds, what):
    if not holds:
        sys.exit(f"Check failed: {what}")


if __name__ == "__main__":
    main()
