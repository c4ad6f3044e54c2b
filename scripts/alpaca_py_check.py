#!/usr/bin/env python3
"""Checks a market data server with Alpaca's official Python client.

    python3 scripts/alpaca_py_check.py http://127.0.0.1:9100

Expects the simulator there, with a made-up market, that lets the keys "key" and "secret" in and no others. Uses alpaca-py
where it can be imported, else installs it into a temporary environment. Exit code 0: all is well; 1: something is
not; 77: the client could not be had, nothing was checked.
"""

import os
import subprocess
import sys
import tempfile
import venv
from datetime import datetime, timedelta, timezone

LEFT_OUT = 77


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        import alpaca  # noqa: F401
    except ImportError:
        sys.exit(in_environment_of_its_own())
    check(sys.argv[1].rstrip("/"))


def in_environment_of_its_own():
    if os.environ.get("ALPACA_PY_CHECK_INSTALLED"):
        print("alpaca-py was installed but can't be imported", file=sys.stderr)
        return LEFT_OUT
    with tempfile.TemporaryDirectory(prefix="alpaca-py-check-") as folder:
        python = os.path.join(folder, "Scripts" if os.name == "nt" else "bin", "python")
        try:
            venv.create(folder, with_pip=True)
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "alpaca-py"]
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=600)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"alpaca-py could not be installed: {error}\n{getattr(error, 'stderr', '')}", file=sys.stderr)
            return LEFT_OUT
        environment = dict(os.environ, ALPACA_PY_CHECK_INSTALLED="1")
        return subprocess.run([python, os.path.abspath(__file__), sys.argv[1]], env=environment).returncode


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
    quarter = TimeFrame(15, TimeFrameUnit.Minute)
    month = dict(start=datetime(2025, 3, 3, tzinfo=utc), end=datetime(2025, 3, 29, tzinfo=utc))

    # Pages of 10,000 rows: the first ends within the minutes of the first symbol.
    symbols = ["AAPL", "MSFT", "SPY"]
    request = StockBarsRequest(symbol_or_symbols=symbols, timeframe=TimeFrame.Minute, **month)
    minutes = stocks.get_stock_bars(request).data
    expect(sorted(minutes) == symbols, f"minutes of {symbols}, not {sorted(minutes)}")
    expect(sum(map(len, minutes.values())) > 20_000, "more than two pages of minutes")
    for symbol, bars in minutes.items():
        times = [bar.timestamp for bar in bars]
        expect(times == sorted(set(times)), f"{symbol} in order, each minute once")
        sane = (bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
        expect(all(sane), f"sane bars of {symbol}")

    request = StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=quarter, adjustment=Adjustment.SPLIT, feed=DataFeed.SIP, limit=100, **month
    )
    quarters = stocks.get_stock_bars(request)["AAPL"]
    expect(len(quarters) == 100, "as many bars as asked for")
    first, then = quarters[0], quarters[0].timestamp + timedelta(minutes=15)
    inside = [bar for bar in minutes["AAPL"] if first.timestamp <= bar.timestamp < then]
    expect(first.volume == sum(bar.volume for bar in inside), "a quarter has the volume of its minutes")
    expect(first.close == inside[-1].close, "a quarter closes as its last minute")
    expect(first.trade_count > 0 and first.vwap > 0, "trades are counted and weighted")

    crypto = CryptoHistoricalDataClient(url_override=url)
    request = CryptoBarsRequest(symbol_or_symbols=["BTC/USD", "ETH/USD"], timeframe=TimeFrame.Hour, **month)
    hours = crypto.get_crypto_bars(request).data
    expect(len(hours["BTC/USD"]) == len(hours["ETH/USD"]) == 26 * 24 + 1, "crypto round the clock, both ends included")

    trading = TradingClient("key", "secret", paper=True, url_override=url)
    listed = trading.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE, asset_class=AssetClass.US_EQUITY))
    expect(len(listed) > 30 and all(asset.asset_class == AssetClass.US_EQUITY for asset in listed), "a list of stocks")
    apple = trading.get_asset("AAPL")
    expect(apple.symbol == "AAPL" and apple.name.startswith("Apple") and apple.tradable, "AAPL as an asset")
    expect(trading.get_asset(str(apple.id)).symbol == "AAPL", "an asset by its id")
    expect(trading.get_asset("BTC/USD").asset_class == AssetClass.CRYPTO, "a pair as an asset")

    def refusal(question):
        try:
            question()
        except APIError as error:
            return error.status_code, error.message
        return None

    unknown = refusal(lambda: trading.get_asset("ZZTOP"))
    expect(unknown == (404, "asset not found for ZZTOP"), f"an unknown asset is refused, not {unknown}")
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame(15, TimeFrameUnit.Minute), **month)
    # The client checks the number when it is made, not when it is sent.
    request.timeframe.amount_value = 75
    bad = refusal(lambda: stocks.get_stock_bars(request))
    expect(bad == (400, "invalid timeframe: 75Min"), f"a bad timeframe is refused, not {bad}")
    request = StockBarsRequest(symbol_or_symbols="AA$PL", timeframe=TimeFrame.Day, **month)
    bad = refusal(lambda: stocks.get_stock_bars(request))
    expect(bad == (400, "invalid symbol: AA$PL"), f"a bad symbol is refused, not {bad}")
    stranger = StockHistoricalDataClient("key", "wrong", url_override=url)
    request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, **month)
    bad = refusal(lambda: stranger.get_stock_bars(request))
    expect(bad == (401, "unauthorized."), f"wrong keys are refused, not {bad}")
    print("alpaca-py gets what it expects")


def expect(holds, what):
    if not holds:
        sys.exit(f"Not so: {what}")


if __name__ == "__main__":
    main()
