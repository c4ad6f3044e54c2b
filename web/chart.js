// The chart of one symbol: candles, volume and missing bars; loads older bars on scrolling back and new ones as they are stored.

import * as charts from "./lightweight-charts.js";
import * as time from "./time.js";

const page = document.getElementById("chart-page");
const box = document.getElementById("chart");
const legend = document.getElementById("legend");
const chip = document.getElementById("chip");
const sourceText = document.getElementById("source");
const empty = document.getElementById("empty");
const unadjusted = document.getElementById("raw");
const table = document.getElementById("table");
const symbol = page.dataset.symbol;
const csrf = document.querySelector("meta[name=csrf]").content;

/** Bars by their start, oldest first: [start, open, high, low, close, volume, provisional]. */
let bars = new Map();
/** Missing bars by their start: "pending" or "failed". */
let missing = new Map();
let hasOlder = false;
let isLoadingOlder = false;
let timeframe = page.dataset.timeframe;
let adjust = page.dataset.adjust;
let decimals = 2;
/** Incremented on each change of timeframe or adjustment: responses to earlier requests are dropped. */
let generation = 0;

const isDaily = () => timeframe === "d1" || timeframe === "w1";
const zone = () => time.zone(page.dataset.zone);

const chart = charts.createChart(box, {
    autoSize: true,
    layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, panes: { enableResize: false } },
    crosshair: { mode: charts.CrosshairMode.Normal },
    timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 4, minBarSpacing: 0.5, tickMarkFormatter: formatTick },
    localization: { timeFormatter: secs => isDaily() ? time.date(secs, page.dataset.zone) : time.full(secs, zone()) },
    handleScroll: { vertTouchDrag: false },
});
const marks = chart.addSeries(charts.HistogramSeries, {
    priceScaleId: "marks", priceLineVisible: false, lastValueVisible: false, base: 0,
});
const candles = chart.addSeries(charts.CandlestickSeries, { priceLineStyle: charts.LineStyle.Dotted });
const volume = chart.addSeries(charts.HistogramSeries, {
    priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false,
});
chart.priceScale("marks").applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false });
chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 }, visible: false });
candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.22 } });

/** Labels of the time axis: intraday in the chosen time zone, days in the exchange's. */
function formatTick(secs, type) {
    const types = charts.TickMarkType;
    const timeZone = isDaily() ? page.dataset.zone : zone();
    if (type === types.Year) return time.year(secs, timeZone);
    if (type === types.Month) return time.month(secs, timeZone);
    if (type === types.DayOfMonth) return time.date(secs, timeZone).slice(5);
    return time.clock(secs, timeZone);
}

let colours;

function applyTheme() {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const [ink, dim, line, up, down] = ["--chart-ink", "--chart-dim", "--chart-line", "--chart-up", "--chart-down"].map(colour);
    colours = {
        up, down, upVolume: colour("--chart-up-volume"), downVolume: colour("--chart-down-volume"), forming: colour("--chart-forming"),
        pending: colour("--chart-pending"), failed: colour("--chart-failed"),
    };
    chart.applyOptions({
        layout: { background: { color: "transparent" }, textColor: ink },
        grid: { vertLines: { color: line }, horzLines: { color: line } },
        crosshair: { vertLine: { color: dim, labelBackgroundColor: dim }, horzLine: { color: dim, labelBackgroundColor: dim } },
        timeScale: { borderColor: line },
        rightPriceScale: { borderColor: line },
    });
    candles.applyOptions({
        upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
}

/** The times of all bars, stored and missing, in order. */
function times() {
    const all = [...bars.keys(), ...[...missing.keys()].filter(at => !bars.has(at))];
    return all.sort((a, b) => a - b);
}

let shownTimes = [];

/** Draws everything and keeps the visible range, or follows the newest bar if it was visible. */
function draw() {
    const before = shownTimes;
    const range = before.length ? chart.timeScale().getVisibleLogicalRange() : null;
    const wasAtEnd = range && range.to >= before.length - 1;
    shownTimes = times();
    candles.setData(shownTimes.map(at => {
        const bar = bars.get(at);
        if (!bar) return { time: at };
        const candle = { time: at, open: bar[1], high: bar[2], low: bar[3], close: bar[4] };
        return bar[6] ? { ...candle, color: colours.forming, borderColor: colours.forming, wickColor: colours.forming } : candle;
    }));
    volume.setData([...bars.values()].sort((a, b) => a[0] - b[0]).map(bar => ({
        time: bar[0], value: bar[5], color: bar[4] >= bar[1] ? colours.upVolume : colours.downVolume,
    })));
    marks.setData([...missing].filter(([at]) => !bars.has(at)).sort((a, b) => a[0] - b[0])
        .map(([at, state]) => ({ time: at, value: 1, color: colours[state] })));
    candles.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } });
    if (!range) return chart.timeScale().setVisibleLogicalRange({ from: shownTimes.length - 140, to: shownTimes.length + 4 });
    let shift = shownTimes.length - before.length;
    if (!wasAtEnd) {
        const anchor = Math.min(Math.max(Math.ceil(range.from), 0), before.length - 1);
        shift = indexOf(before[anchor]) - anchor;
    }
    // Always, because the library would keep the distance to the newest bar.
    chart.timeScale().setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
}

function indexOf(at) {
    let [low, high] = [0, shownTimes.length];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (shownTimes[middle] < at) low = middle + 1;
        else high = middle;
    }
    return low;
}

/** Shows the values of the bar under the crosshair, else of the newest. */
function showLegend(at) {
    const bar = bars.get(at) ?? [...bars.values()].reduce((last, bar) => !last || bar[0] > last[0] ? bar : last, undefined);
    legend.replaceChildren();
    if (!bar) return;
    const write = (label, text, name = "") => {
        const span = document.createElement("span");
        if (label) span.append(Object.assign(document.createElement("i"), { textContent: label }), " ");
        span.append(text);
        span.className = name;
        legend.append(span);
    };
    const price = value => value.toFixed(decimals);
    const [start, open, high, low, close, traded, isForming] = bar;
    let n = indexOf(start) - 1;
    while (n >= 0 && !bars.has(shownTimes[n])) n -= 1;
    const from = n >= 0 ? bars.get(shownTimes[n])[4] : open;
    const direction = close > from ? "up" : close < from ? "down" : "flat";
    write("", isDaily() ? time.date(start, page.dataset.zone) : time.full(start, zone()), "when");
    write("O", price(open));
    write("H", price(high));
    write("L", price(low));
    write("C", price(close), direction);
    write("", `${close >= from ? "+" : ""}${price(close - from)} (${((close / from - 1) * 100).toFixed(2)}%)`, direction);
    write("V", Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(traded));
    if (isForming) write("", "still forming", "provisional");
}

async function fetchBars(query) {
    const requested = generation;
    const params = new URLSearchParams({ tf: timeframe, adjust, ...query });
    const response = await fetch(`/chart/${symbol}/bars?${params}`, { headers: { "X-Barkeep": "1" }, cache: "no-store" });
    if (requested !== generation) return undefined;
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`the server returned ${response.status}`);
    const data = await response.json();
    return requested === generation ? data : undefined;
}

/** Merges data: all of it, or only from one instant on, or before one. */
function merge(data, { from = -Infinity, before = Infinity } = {}) {
    const keep = map => new Map([...map].filter(([at]) => at < from || at >= before));
    [bars, missing] = [keep(bars), keep(missing)];
    for (const bar of data.bars) bars.set(bar[0], bar);
    for (const [at, state] of data.holes) if (at >= from && at < before) missing.set(at, state);
    if (from === -Infinity) hasOlder = data.older;
    if (data.bars.length) decimals = data.decimals;
    chip.className = `chip ${data.state.class}`;
    chip.textContent = data.state.label;
    chip.title = data.state.sentence;
    if (from === -Infinity && before === Infinity || data.sources.length) sourceText.textContent = data.sources.join(", ");
    empty.hidden = bars.size > 0;
    if (!bars.size) empty.textContent = data.state.class === "unknown" || data.state.class === "failing" ? data.state.sentence
        : "Loading the first bars…";
    draw();
    showLegend();
    page.dataset.bars = bars.size;
    page.dataset.state = data.state.class;
    if (table.open) loadTable();
}

async function reload() {
    generation += 1;
    [bars, missing, shownTimes, hasOlder] = [new Map(), new Map(), [], false];
    page.setAttribute("aria-busy", "true");
    try {
        const data = await fetchBars({});
        if (data) merge(data);
    } catch {
        // The banner shows that the connection is lost; the chart refreshes after the reconnect.
    } finally {
        page.removeAttribute("aria-busy");
    }
}

async function loadOlder() {
    if (!hasOlder || isLoadingOlder || !bars.size) return;
    isLoadingOlder = true;
    const oldest = Math.min(...bars.keys());
    try {
        const data = await fetchBars({ before: oldest, limit: 2000 });
        if (data) {
            merge(data, { before: oldest });
            hasOlder = data.older;
        }
    } catch {
        // As above.
    } finally {
        isLoadingOlder = false;
    }
}

let isRefreshing = false;
let isDue = false;

/** Fetches what may have changed: the end of a complete series, else all loaded bars. */
async function refresh() {
    if (isRefreshing) return void (isDue = true);
    isRefreshing = true;
    isDue = false;
    try {
        const starts = [...bars.keys()].sort((a, b) => a - b);
        const from = missing.size || !starts.length || page.dataset.state !== "complete" ? starts[0] : starts.at(-3) ?? starts[0];
        const older = hasOlder;
        const isAll = from === undefined || !older && from === starts[0];
        const data = await fetchBars(isAll ? { limit: Math.max(starts.length * 2, 10000) } : { from });
        if (data) merge(data, isAll ? {} : { from });
    } catch {
        // The event stream triggers a refresh after the reconnect.
    } finally {
        isRefreshing = false;
        setTimeout(() => isDue && refresh(), 400);
    }
}

async function loadTable() {
    const params = new URLSearchParams({ tf: timeframe, adjust });
    const response = await fetch(`/chart/${symbol}/table?${params}`, { headers: { "X-Barkeep": "1" } });
    if (!response.ok) return;
    const rows = document.getElementById("table-rows");
    rows.innerHTML = await response.text();
    time.renderTimes(rows);
}

function updateUrl() {
    const params = new URLSearchParams({ tf: timeframe });
    if (adjust !== "splits") params.set("adjust", adjust);
    history.replaceState(null, "", `${location.pathname}?${params}`);
}

function selectTimeframe(selected) {
    if (selected === timeframe) return;
    timeframe = selected;
    for (const button of page.querySelectorAll("button[data-timeframe]")) {
        button.setAttribute("aria-pressed", String(button.dataset.timeframe === selected));
    }
    chart.applyOptions({ timeScale: { timeVisible: !isDaily() } });
    updateUrl();
    reload();
}

page.querySelector("[aria-label=Timeframe]").addEventListener("click", event => {
    const button = event.target.closest("button[data-timeframe]");
    if (button) selectTimeframe(button.dataset.timeframe);
});
document.addEventListener("keydown", event => {
    if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = page.querySelectorAll("button[data-timeframe]")[Number(event.key) - 1];
    if (button) selectTimeframe(button.dataset.timeframe);
});
unadjusted?.addEventListener("change", () => {
    adjust = unadjusted.checked ? "raw" : "splits";
    updateUrl();
    reload();
});
table.addEventListener("toggle", () => table.open && loadTable());

// Keyboard control of the chart.
box.addEventListener("keydown", event => {
    const scale = chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const width = range.to - range.from;
    const moves = {
        ArrowLeft: [-0.1, -0.1], ArrowRight: [0.1, 0.1], PageUp: [-1, -1], PageDown: [1, 1],
        "+": [0.1, -0.1], "-": [-0.15, 0.15],
    };
    const move = moves[event.key];
    if (event.key === "End") scale.scrollToRealTime();
    else if (event.key === "Home") scale.setVisibleLogicalRange({ from: 0, to: width });
    else if (move) scale.setVisibleLogicalRange({ from: range.from + move[0] * width, to: range.to + move[1] * width });
    else return;
    event.preventDefault();
});

chart.subscribeCrosshairMove(event => showLegend(event.time));
chart.timeScale().subscribeVisibleLogicalRangeChange(range => range && range.from < 50 && loadOlder());
chart.timeScale().subscribeVisibleTimeRangeChange(range => {
    if (range) page.dataset.view = `${range.from} ${range.to}`;
});
for (const name of ["barkeep:bars", "barkeep:back"]) {
    document.body.addEventListener(name, ({ detail }) => {
        const isOurs = !detail?.length || detail.some(change => change.symbol === symbol && change.timeframe === timeframe);
        if (isOurs) refresh();
    });
}
document.body.addEventListener("barkeep:work", () => page.dataset.state !== "complete" && refresh());
document.body.addEventListener("barkeep:theme", () => {
    applyTheme();
    if (bars.size) draw();
});
document.body.addEventListener("barkeep:zone", () => {
    chart.applyOptions({ localization: {} });
    draw();
    showLegend();
});

/** Records `chart_view` interest, once each time the page is opened. */
async function recordView() {
    try {
        await fetch(`/chart/${symbol}/visit`, { method: "POST", headers: { "X-CSRF-Token": csrf, "X-Barkeep": "1" } });
        if (!bars.size) refresh();
    } catch {
        // The banner shows that the connection is lost.
    }
}

applyTheme();
chart.applyOptions({ timeScale: { timeVisible: !isDaily() } });
const first = JSON.parse(document.getElementById("first").textContent);
if (first) {
    merge(first);
    // Milliseconds from the navigation until the candles were drawn.
    requestAnimationFrame(() => requestAnimationFrame(now => page.dataset.drawn = now));
}
recordView();
