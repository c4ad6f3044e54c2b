// What every page does: theme, times, messages, the session's token on each write, search, and the stream of changes.

import * as live from "./live.js";
import * as search from "./search.js";
import * as time from "./time.js";

const csrf = document.querySelector("meta[name=csrf]").content;
const toasts = document.getElementById("toasts");

/** Says something for some seconds, and to those who listen. */
export function say(text) {
    const toast = document.createElement("p");
    toast.textContent = text;
    toasts.append(toast);
    setTimeout(() => toast.remove(), 8000);
}

/** Sends a form as the page would; undefined where it was not done, which has been said. */
export async function post(address, fields) {
    try {
        const answer = await fetch(address, {
            method: "POST",
            body: new URLSearchParams(fields),
            headers: { "X-CSRF-Token": csrf, "X-Barkeep": "1" },
        });
        if (answer.ok) return answer;
        complain(answer.status, answer.headers.get("x-barkeep-message"));
    } catch {
        complain(0);
    }
    return undefined;
}

function complain(status, message) {
    if (status === 401) live.signedOut();
    else if (status === 0) say("Not done: the server is away.");
    else say(message ?? `Not done: the server answered ${status}.`);
}

function theme(name) {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    document.body.dispatchEvent(new CustomEvent("barkeep:theme"));
}

function settings() {
    const themes = document.getElementById("theme");
    themes.value = localStorage.getItem("theme") ?? "";
    theme(themes.value);
    themes.addEventListener("change", () => {
        localStorage.setItem("theme", themes.value);
        theme(themes.value);
    });
    const zones = document.getElementById("zone");
    zones.value = time.choice();
    zones.addEventListener("change", () => {
        time.choose(zones.value);
        time.write(document);
    });
    const menu = document.querySelector("details.menu");
    document.addEventListener("click", event => menu.contains(event.target) || menu.removeAttribute("open"));
    menu.addEventListener("keydown", event => event.key === "Escape" && menu.removeAttribute("open"));
}

function htmxEvents() {
    document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
        ctx.request.headers["X-CSRF-Token"] = csrf;
    });
    document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
        const answer = ctx.response?.raw ?? ctx.response;
        complain(answer?.status, answer?.headers?.get?.("x-barkeep-message"));
    });
    // No answer at all: to what refreshes itself the banner says so already.
    document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
        if (ctx?.request?.method?.toUpperCase() === "POST") complain(0);
    });
    document.addEventListener("htmx:after:request", ({ detail: { ctx }, target }) => {
        const answer = ctx.response?.raw ?? ctx.response;
        if (answer?.ok === false) return;
        if (target.matches?.("form#add")) target.reset();
        if (target.matches?.("form#watch")) {
            target.replaceWith(Object.assign(document.createElement("span"), { className: "watched-mark", textContent: "On your watchlist" }));
        }
    });
    document.addEventListener("htmx:after:swap", () => time.write(document));
}

document.addEventListener("submit", event => {
    const sure = event.target.dataset.sure;
    if (sure && !confirm(sure)) event.preventDefault();
});

settings();
htmxEvents();
time.write(document);
search.start();
live.start();
