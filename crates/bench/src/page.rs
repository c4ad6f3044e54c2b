//! The chart page in Debian's Chromium: first paint of a stored chart, and frames while panning many bars.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sqlx::{Connection as _, PgConnection};
use thirtyfour::{ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver};

use crate::setup::{DataDir, SimulatedMarket, Up, summary};

/// A chart with many bars.
const LARGE_CHART: &str = "/chart/BTC-USD?tf=m15";

/// Adds bars of 15 minutes before the stored ones.
const OLDER: &str = "
    insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
    select s.id, 'm15', t, p, p * 1.002, p * 0.998, p * 1.001, 10, 'market-sim/sip'
    from symbols s
    cross join lateral (
        select min(o.ts) as first from ohlc_bars_v2 o where o.symbol_id = s.id and o.timeframe = 'm15'
    ) o
    cross join generate_series(1, $1) n
    cross join lateral (select o.first - n * interval '15 minutes' as t, 50000 + 5000 * sin(n / 300.0) as p) b
    where s.ticker = 'BTC-USD'
    on conflict do nothing";

/// Pans the chart to and fro for two seconds and returns the duration of each frame.
const FRAMES: &str = "
    const done = arguments[0];
    const box = document.getElementById('chart');
    const times = [];
    const until = performance.now() + 2000;
    box.focus();
    function frame(now) {
        times.push(now);
        box.dispatchEvent(new KeyboardEvent('keydown', { key: times.length % 40 < 20 ? 'ArrowLeft' : 'ArrowRight' }));
        if (now < until) requestAnimationFrame(frame);
        else done(times.slice(1).map((at, n) => at - times[n]));
    }
    requestAnimationFrame(frame);";

struct ChromeDriver(Child);

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn measure(market: &SimulatedMarket, runs: usize, bars: i64) -> anyhow::Result<()> {
    let data_dir = DataDir::new(market)?;
    let up = Up::start(&data_dir).await?;
    for symbol in ["KO", "BTC-USD"] {
        data_dir.output(&["track", symbol, "--timeframes", "m15,h1,h4,d1,w1"])?;
    }
    let mut sql = PgConnection::connect(&data_dir.output(&["db", "url"])?).await?;
    let open = "select count(*) from job_runs where status in ('queued', 'running')";
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(2)
        || sqlx::query_scalar::<_, i64>(open).fetch_one(&mut sql).await? > 0
    {
        ensure!(started.elapsed() < Duration::from_secs(120), "the bars aren't stored after two minutes");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sqlx::query(OLDER).bind(bars).execute(&mut sql).await?;

    let mut process = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("could not run chromedriver: apt-get install chromium chromium-driver")?;
    let output = process.stdout.take().context("chromedriver has no output")?;
    let _process = ChromeDriver(process);
    let port = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()))
        .context("chromedriver did not print its port")?;
    let profile = tempfile::tempdir()?;
    let mut capabilities = DesiredCapabilities::chrome();
    let folder = format!("--user-data-dir={}", profile.path().display());
    for argument in
        ["--headless=new", "--no-sandbox", "--disable-background-networking", "--window-size=1280,900", &folder]
    {
        capabilities.add_arg(argument)?;
    }
    let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await?;
    driver.goto(data_dir.output(&["sign-in"])?).await?;

    let (mut painted, mut drawn) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        driver.goto(format!("{}/chart/KO?tf=m15", up.url)).await?;
        // The page's own measurements, in milliseconds since navigation started.
        let first = wait(&driver, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime").await?;
        let canvas = "document.querySelector('#chart canvas') && document.getElementById('chart-page').dataset.drawn";
        painted.push(first / 1e3);
        drawn.push(wait(&driver, canvas).await? / 1e3);
    }
    println!("a stored chart: first paint after {}", summary(painted));
    println!("a stored chart: candles after {}", summary(drawn));

    driver.goto(format!("{}{LARGE_CHART}", up.url)).await?;
    let shown = "Number(document.getElementById('chart-page').dataset.bars)";
    let started = Instant::now();
    while wait(&driver, shown).await? < bars as f64 {
        ensure!(started.elapsed() < Duration::from_secs(60), "the bars were not loaded");
        let back = "document.getElementById('chart').dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' }))";
        driver.execute(back, Vec::new()).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let loaded = wait(&driver, shown).await?;
    let lengths: Vec<f64> = driver.execute_async(FRAMES, Vec::new()).await?.convert()?;
    let seconds: Vec<f64> = lengths.iter().map(|ms| ms / 1e3).collect();
    println!("panning {loaded} bars: {} frames in 2 s, each {}", seconds.len(), summary(seconds));
    driver.quit().await?;
    sql.close().await.context("could not close the connection")
}

async fn wait(driver: &WebDriver, value: &str) -> anyhow::Result<f64> {
    let started = Instant::now();
    loop {
        let found = driver.execute(format!("return {value}"), Vec::new()).await?;
        let json = found.json();
        if let Some(number) = json.as_f64().or_else(|| json.as_str()?.parse().ok()) {
            return Ok(number);
        }
        ensure!(started.elapsed() < Duration::from_secs(60), "the page has no value for {value}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
