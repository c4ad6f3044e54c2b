// The combobox in the head of every page, by the ARIA pattern: the field keeps the focus, the arrows move the chosen option.

import { post } from "./app.js";

const form = document.getElementById("search");
const field = document.getElementById("search-text");
const list = document.getElementById("search-options");
let chosen = -1;
let asked = 0;
let shown = 0;
let timer;

const options = () => [...list.querySelectorAll("[data-symbol]")];

function choose(n) {
    const all = options();
    chosen = all.length ? (n + all.length) % all.length : -1;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    if (chosen < 0) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", all[chosen].id);
    all[chosen].scrollIntoView({ block: "nearest" });
}

function open(isOpen) {
    list.hidden = !isOpen;
    field.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) {
        chosen = -1;
        field.removeAttribute("aria-activedescendant");
    }
}

async function ask() {
    const n = ++asked;
    try {
        const answer = await fetch(`/search?options=true&q=${encodeURIComponent(field.value)}`,
            { headers: { "X-Barkeep": "1" }, cache: "no-store" });
        if (!answer.ok || n < shown) return;
        // A slow answer to an earlier letter must not replace a later one.
        shown = n;
        list.innerHTML = await answer.text();
        open(document.activeElement === field);
        choose(field.value.trim() ? 0 : -1);
    } catch {
        list.innerHTML = "<div class=nothing role=option aria-disabled=true>The server is away: nothing can be searched.</div>";
        open(true);
    }
}

async function pick(option) {
    open(false);
    const answer = await post("/search/pick", { symbol: option.dataset.symbol });
    if (answer?.redirected) location.assign(answer.url);
}

export function start() {
    form.addEventListener("submit", async event => {
        event.preventDefault();
        clearTimeout(timer);
        if (shown !== asked || list.hidden) await ask();
        const option = options()[Math.max(chosen, 0)];
        if (option && field.value.trim()) pick(option);
        else if (chosen >= 0) pick(option);
    });
    field.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(ask, 60);
    });
    field.addEventListener("focus", ask);
    field.addEventListener("blur", () => setTimeout(() => open(false), 150));
    field.addEventListener("keydown", event => {
        if (event.isComposing) return;
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            if (list.hidden) return void ask();
            choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
        } else if (event.key === "Escape") {
            if (!list.hidden) open(false);
            else if (field.value) field.value = "";
            else field.blur();
        }
    });
    // Not on click: the field would lose the focus first.
    list.addEventListener("mousedown", event => {
        const option = event.target.closest("[data-symbol]");
        event.preventDefault();
        if (option) pick(option);
    });
    // A slash, or just typing.
    document.addEventListener("keydown", event => {
        const isElsewhere = event.target.closest("input, textarea, select, [contenteditable]");
        if (isElsewhere || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
        if (event.key === "/") {
            event.preventDefault();
            field.focus();
            field.select();
        } else if (/^\p{L}$/u.test(event.key)) {
            field.value = "";
            field.focus();
        }
    });
}
