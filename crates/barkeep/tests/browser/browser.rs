//! Debian's Chromium, driven by its ChromeDriver, signed in to a running server.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, DesiredCapabilities, Key, WebDriver, WebElement, error::WebDriverResult,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    running::{PATIENCE, Served, eventually},
    shared::{self, Shared, Site},
};

/// How many are open at a time: each keeps a core busy while it loads a page. One test has two.
static OPEN: Semaphore = Semaphore::const_new(3);

/// Where that test's user is found.
pub(crate) fn email(who: &str) -> String {
    format!("{who}@example.com")
}

/// A browser that is this test's until it closes it; then it is another's.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    pub(crate) address: String,
    chromium: Chromium,
    _process: Arc<ChromeDriver>,
    idle: Arc<Idle>,
    _permit: SemaphorePermit<'static>,
}

/// Those that no test uses, kept for as long as any test has a browser or waits for one: to start one takes as long as a test
/// does with one.
type Idle = std::sync::Mutex<Vec<Chromium>>;

/// A running Chromium, gone when dropped.
struct Chromium {
    process: Child,
    profile: TempDir,
}

impl Chromium {
    fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--window-size=1280,900",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, profile }
    }

    /// Where it is driven, once it has said so.
    async fn address(&self) -> String {
        let file = self.profile.path().join("DevToolsActivePort");
        let port = eventually("Chromium has a port", async || {
            let written = std::fs::read_to_string(&file).ok()?;
            // The address of its socket follows.
            written.split_once('\n').map(|(port, _)| port.to_owned())
        })
        .await;
        format!("127.0.0.1:{port}")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct ChromeDriver {
    process: Child,
    port: u16,
}

impl ChromeDriver {
    /// The one that drives all browsers.
    async fn shared(program: &Path) -> Arc<Self> {
        static DRIVER: Shared<ChromeDriver> = Shared::new();
        DRIVER
            .get(async || (0..20).find_map(|_| Self::start(program)).expect("ChromeDriver finds a port, twenty times"))
            .await
    }

    /// On a free port. `None`: it took one that another program took at the same moment, and gave up.
    fn start(program: &Path) -> Option<Self> {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut started = Self { process, port: 0 };
        started.port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())?;
        // Read on, or the pipe fills and it stops.
        std::thread::spawn(move || lines.for_each(drop));
        Some(started)
    }
}

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where they are; on CI nothing may be left out for want of them.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let found = |name: &str| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
    };
    let both = found("chromedriver").zip(found("chromium"));
    if both.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI needs chromium and chromedriver for this test");
        eprintln!("left out: chromium and chromedriver are not both on this machine");
    }
    both
}

impl Browser {
    /// Signed in as the local user; `None` where the machine has no browser.
    pub(crate) async fn open(served: &Served) -> Option<Self> {
        Self::open_as(served, None).await
    }

    /// Of somebody of one's own, on the server that tests share.
    pub(crate) async fn of(who: &str) -> Option<(Arc<Site>, Self)> {
        let site = shared::site().await;
        let email = email(who);
        site.served.token(&email);
        let browser = Self::open_as(&site.served, Some(&email)).await?;
        Some((site, browser))
    }

    pub(crate) async fn open_as(served: &Served, email: Option<&str>) -> Option<Self> {
        let browser = Self::stranger(served).await?;
        browser.sign_in(served, email).await;
        Some(browser)
    }

    /// Not signed in.
    pub(crate) async fn stranger(served: &Served) -> Option<Self> {
        let (chromedriver, chromium) = programs()?;
        static IDLE: Shared<Idle> = Shared::new();
        let idle = IDLE.get(async || Idle::default()).await;
        let process = ChromeDriver::shared(&chromedriver).await;
        let permit = OPEN.acquire().await.unwrap();
        let kept = idle.lock().unwrap().pop();
        let chromium = kept.unwrap_or_else(|| Chromium::start(&chromium));
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_debugger_address(&chromium.address().await).unwrap();
        wanted.set_browser_log_level(thirtyfour::LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{}", process.port), wanted).await.unwrap();
        driver.set_script_timeout(PATIENCE).await.unwrap();
        let address = served.up.address.clone();
        let browser = Self { driver, address, chromium, _process: process, idle, _permit: permit };
        browser.forget().await;
        Some(browser)
    }

    /// Leaves nothing of the test that had it before.
    async fn forget(&self) {
        let driver = &self.driver;
        let windows = driver.windows().await.unwrap();
        let (kept, others) = windows.split_first().expect("a browser has a window");
        for window in others {
            driver.switch_to_window(window.clone()).await.unwrap();
            driver.close_window().await.unwrap();
        }
        driver.switch_to_window(kept.clone()).await.unwrap();
        driver.set_window_rect(0, 0, 1280, 900).await.unwrap();
        // What a browser keeps for an address goes by the page it is on.
        self.goto("/healthz").await;
        driver.delete_all_cookies().await.unwrap();
        self.script("localStorage.clear(); sessionStorage.clear()").await;
        driver.goto("about:blank").await.unwrap();
        driver.browser_log().await.unwrap();
    }

    pub(crate) async fn sign_in(&self, served: &Served, email: Option<&str>) {
        let mut args = vec!["sign-in", "--database-url", &served.database.url];
        args.extend(email.map(|email| ["--user", email]).iter().flatten());
        let link = served.place.printed(&args);
        self.driver.goto(link.trim()).await.unwrap();
    }

    pub(crate) async fn goto(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.address)).await.unwrap();
    }

    /// To the watchlist, of somebody who has looked at KO.
    pub(crate) async fn goto_watchlist(&self) {
        self.goto("/chart/KO").await;
        self.until_there("#chart-page[data-state=complete]").await;
        self.goto("/").await;
        self.until_there("#symbols").await;
    }

    async fn find(&self, css: &str) -> WebElement {
        let begun = Instant::now();
        loop {
            if let Ok(found) = self.driver.find(By::Css(css)).await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "nothing on the page is {css}: {}", self.said().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Does something with an element, anew where the page has put another in its place meanwhile.
    async fn with<T>(&self, css: &str, what: impl AsyncFn(WebElement) -> WebDriverResult<T>) -> T {
        let begun = Instant::now();
        loop {
            match what(self.find(css).await).await {
                Ok(done) => return done,
                Err(error) if begun.elapsed() > PATIENCE => panic!("{css}: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        self.with(css, async |element| element.click().await).await;
    }

    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        self.with(css, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    pub(crate) async fn focus(&self, css: &str) {
        self.with(css, async |element| element.focus().await).await;
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.with(css, async |element| element.text().await).await
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.unwrap().len()
    }

    /// All that the page says.
    pub(crate) async fn said(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn script(&self, code: &str) -> Value {
        self.driver.execute(code, Vec::new()).await.unwrap().json().clone()
    }

    /// Waits until what was done is drawn.
    pub(crate) async fn until_drawn(&self) {
        const TWO_FRAMES: &str =
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)))";
        self.driver.execute_async(TWO_FRAMES, Vec::new()).await.unwrap();
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, code: &str) {
        let begun = Instant::now();
        while self.script(code).await != Value::Bool(true) {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}; the page says: {}", self.said().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page says `text`.
    pub(crate) async fn until_said(&self, text: &str) {
        let code = format!("return document.body.innerText.includes({})", json!(text));
        self.until(&format!("it says '{text}'"), &code).await;
    }

    /// Waits until there is such an element on the page.
    pub(crate) async fn until_there(&self, css: &str) {
        self.until(css, &format!("return document.querySelector({}) !== null", json!(css))).await;
    }

    /// Types where the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    pub(crate) async fn key(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Ends with nothing on the console but what `allowed` names.
    pub(crate) async fn is_quiet_but_for(&self, allowed: &[&str]) {
        let complaints: Vec<String> = self
            .driver
            .browser_log()
            .await
            .unwrap()
            .into_iter()
            .filter(|entry| entry.level != "INFO" && entry.level != "DEBUG")
            .map(|entry| entry.message)
            .filter(|message| !allowed.iter().any(|allowed| message.contains(allowed)))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    pub(crate) async fn is_quiet(&self) {
        self.is_quiet_but_for(&[]).await;
    }

    pub(crate) async fn close(self) {
        let Self { driver, chromium, idle, .. } = self;
        // Ends the session, and not the browser, to which it was connected.
        driver.quit().await.unwrap();
        idle.lock().unwrap().push(chromium);
    }
}
