// One stream of changes for the page, told on as events of <body>: barkeep:bars (with the series), barkeep:lists, barkeep:work,
// and barkeep:back after the server was away. What the connection is at stands in #connection.

const banner = document.getElementById("connection");
let source;
let wasAway = false;
let pause = 1000;
let timer;

function tell(name, detail) {
    document.body.dispatchEvent(new CustomEvent(`barkeep:${name}`, { detail }));
}

function say(text, link) {
    banner.hidden = !text;
    banner.textContent = text ?? "";
    if (link) {
        const anchor = document.createElement("a");
        anchor.href = link;
        anchor.textContent = "Sign in";
        banner.append(" ", anchor);
    }
}

/** The session has ended: nothing here is true for long, and nothing can be done but to sign in. */
export function signedOut() {
    source?.close();
    clearTimeout(timer);
    wasAway = true;
    say("You are not signed in any more.", "/sign-in");
}

function lost() {
    source?.close();
    wasAway = true;
    say(navigator.onLine === false ? "This machine is offline. The page goes on when it is back."
        : "The server is away. Reconnecting…");
    clearTimeout(timer);
    timer = setTimeout(reconnect, pause);
    pause = Math.min(pause * 2, 15000);
}

/** A stream that is refused doesn't say why: this does. */
async function reconnect() {
    clearTimeout(timer);
    try {
        const answer = await fetch("/search?options=true", { headers: { "X-Barkeep": "1" }, cache: "no-store" });
        if (answer.status === 401) signedOut();
        else if (answer.ok) listen();
        else lost();
    } catch {
        lost();
    }
}

function listen() {
    source?.close();
    source = new EventSource("/live");
    source.addEventListener("hello", () => {
        say(null);
        pause = 1000;
        if (!wasAway) return;
        wasAway = false;
        for (const name of ["back", "lists", "work"]) tell(name);
        tell("bars", []);
    });
    source.addEventListener("change", event => {
        const change = JSON.parse(event.data);
        if (change.bars) tell("bars", change.bars);
        if (change.lists) tell("lists");
        if (change.work) tell("work");
    });
    source.onerror = lost;
}

export function start() {
    listen();
    addEventListener("online", reconnect);
    addEventListener("pagehide", () => source.close());
    // Back from the browser's store of pages the stream is dead without having said so.
    addEventListener("pageshow", event => event.persisted && again());
    // Browsers allow six streams to one server: a tab that nobody looks at leaves its place to others, and catches up later.
    let rest;
    let isResting = false;
    document.addEventListener("visibilitychange", () => {
        clearTimeout(rest);
        if (document.hidden) {
            rest = setTimeout(() => {
                source.close();
                isResting = true;
            }, 5000);
        } else if (isResting) {
            isResting = false;
            again();
        }
    });
}

function again() {
    wasAway = true;
    reconnect();
}
