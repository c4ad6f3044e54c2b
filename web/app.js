// The script of every page: theme, times, toasts, the CSRF token on each write, search, and the event stream.

import * as live from "./live.js";
import * as search from "./search.js";
import * as time from "./time.js";

const csrf = document.querySelector("meta[name=csrf]").content;
const toasts = document.getElementById("toasts");

/** Shows a message for some seconds. */
function showToast(text) {
    const toast = document.createElement("p");
    toast.textContent = text;
    toasts.append(toast);
    setTimeout(() => toast.remove(), 8000);
}

/** Posts a form; undefined if it failed, after showing the error. */
export async function post(url, fields) {
    try {
        const response = await fetch(url, {
            method: "POST",
            body: new URLSearchParams(fields),
            headers: { "X-CSRF-Token": csrf, "X-Barkeep": "1" },
        });
        if (response.ok) return response;
        showError(response.status, response.headers.get("x-barkeep-message"));
    } catch {
        showError(0);
    }
    return undefined;
}

function showError(status, message) {
    if (status === 401) live.signedOut();
    else if (status === 0) showToast("Connection lost. Try again.");
    else showToast(message ?? `Request failed: the server returned ${status}.`);
}

function applyTheme(name) {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    document.body.dispatchEvent(new CustomEvent("barkeep:theme"));
}

function initSettings() {
    const themes = document.getElementById("theme");
    themes.value = localStorage.getItem("theme") ?? "";
    applyTheme(themes.value);
    themes.addEventListener("change", () => {
        localStorage.setItem("theme", themes.value);
        applyTheme(themes.value);
    });
    const zones = document.getElementById("zone");
    zones.value = time.zoneChoice();
    zones.addEventListener("change", () => {
        time.setZoneChoice(zones.value);
        time.renderTimes(document);
    });
    const menu = document.querySelector("details.menu");
    document.addEventListener("click", event => menu.contains(event.target) || menu.removeAttribute("open"));
    menu.addEventListener("keydown", event => event.key === "Escape" && menu.removeAttribute("open"));
}

function initHtmx() {
    document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
        ctx.request.headers["X-CSRF-Token"] = csrf;
    });
    document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
        const response = ctx.response?.raw ?? ctx.response;
        showError(response?.status, response?.headers?.get?.("x-barkeep-message"));
    });
    // No response at all: for background refreshes the banner already shows it.
    document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
        if (ctx?.request?.method?.toUpperCase() === "POST") showError(0);
    });
    document.addEventListener("htmx:after:request", ({ detail: { ctx }, target }) => {
        const response = ctx.response?.raw ?? ctx.response;
        if (response?.ok === false) return;
        if (target.matches?.("form#add")) target.reset();
        if (target.matches?.("form#watch")) {
            target.replaceWith(Object.assign(document.createElement("span"), { className: "watched-mark", textContent: "On your watchlist" }));
        }
    });
    document.addEventListener("htmx:after:swap", () => time.renderTimes(document));
}

document.addEventListener("submit", event => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
});

initSettings();
initHtmx();
time.renderTimes(document);
search.start();
live.start();
