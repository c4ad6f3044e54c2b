// The page's event stream, dispatched as events of <body>: barkeep:bars (with the series), barkeep:lists, barkeep:work, and
// barkeep:back after a reconnect. #connection shows the state of the connection.

const banner = document.getElementById("connection");
let source;
let wasDisconnected = false;
let retryDelay = 1000;
let timer;

function dispatch(name, detail) {
    document.body.dispatchEvent(new CustomEvent(`barkeep:${name}`, { detail }));
}

function showBanner(text, link) {
    banner.hidden = !text;
    banner.textContent = text ?? "";
    if (link) {
        const anchor = document.createElement("a");
        anchor.href = link;
        anchor.textContent = "Sign in";
        banner.append(" ", anchor);
    }
}

/** The session has ended: stops the stream and shows a link to sign in. */
export function signedOut() {
    source?.close();
    clearTimeout(timer);
    wasDisconnected = true;
    showBanner("You've been signed out.", "/sign-in");
}

function connectionLost() {
    source?.close();
    wasDisconnected = true;
    showBanner(navigator.onLine === false ? "You're offline. Waiting for the network…"
        : "Connection lost. Reconnecting…");
    clearTimeout(timer);
    timer = setTimeout(reconnect, retryDelay);
    retryDelay = Math.min(retryDelay * 2, 15000);
}

/** EventSource doesn't tell why it failed: a request does. */
async function reconnect() {
    clearTimeout(timer);
    try {
        const response = await fetch("/search?options=true", { headers: { "X-Barkeep": "1" }, cache: "no-store" });
        if (response.status === 401) signedOut();
        else if (response.ok) openStream();
        else connectionLost();
    } catch {
        connectionLost();
    }
}

function openStream() {
    source?.close();
    source = new EventSource("/live");
    source.addEventListener("hello", () => {
        showBanner(null);
        retryDelay = 1000;
        if (!wasDisconnected) return;
        wasDisconnected = false;
        for (const name of ["back", "lists", "work"]) dispatch(name);
        dispatch("bars", []);
    });
    source.addEventListener("change", event => {
        const change = JSON.parse(event.data);
        if (change.bars) dispatch("bars", change.bars);
        if (change.lists) dispatch("lists");
        if (change.work) dispatch("work");
    });
    source.onerror = connectionLost;
}

export function start() {
    openStream();
    addEventListener("online", reconnect);
    addEventListener("pagehide", () => source.close());
    // After a return from the back/forward cache the stream is closed, without an error event.
    addEventListener("pageshow", event => event.persisted && resume());
    // Browsers allow six connections per server: a hidden tab closes its stream, and catches up when it is shown.
    let hiddenTimer;
    let isPaused = false;
    document.addEventListener("visibilitychange", () => {
        clearTimeout(hiddenTimer);
        if (document.hidden) {
            hiddenTimer = setTimeout(() => {
                source.close();
                isPaused = true;
            }, 5000);
        } else if (isPaused) {
            isPaused = false;
            resume();
        }
    });
}

function resume() {
    wasDisconnected = true;
    reconnect();
}
