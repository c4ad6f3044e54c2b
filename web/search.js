// The search combobox of every page, by the ARIA pattern: the field keeps the focus, the arrow keys change the active option.

import { post } from "./app.js";

const form = document.getElementById("search");
const field = document.getElementById("search-text");
const list = document.getElementById("search-options");
let active = -1;
/** The numbers of the last request and of the last response shown. */
let requested = 0;
let shown = 0;
let timer;

const options = () => [...list.querySelectorAll("[data-symbol]")];

function activate(n) {
    const all = options();
    active = all.length ? (n + all.length) % all.length : -1;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    if (active < 0) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", all[active].id);
    all[active].scrollIntoView({ block: "nearest" });
}

function setOpen(isOpen) {
    list.hidden = !isOpen;
    field.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) {
        active = -1;
        field.removeAttribute("aria-activedescendant");
    }
}

async function search() {
    const n = ++requested;
    try {
        const response = await fetch(`/search?options=true&q=${encodeURIComponent(field.value)}`,
            { headers: { "X-Barkeep": "1" }, cache: "no-store" });
        if (!response.ok || n < shown) return;
        // A slow response to an earlier query must not replace a later one.
        shown = n;
        list.innerHTML = await response.text();
        setOpen(document.activeElement === field);
        activate(field.value.trim() ? 0 : -1);
    } catch {
        list.innerHTML = "<div class=nothing role=option aria-disabled=true>Connection lost: search is unavailable.</div>";
        setOpen(true);
    }
}

async function pick(option) {
    setOpen(false);
    const response = await post("/search/pick", { symbol: option.dataset.symbol });
    if (response?.redirected) location.assign(response.url);
}

export function start() {
    form.addEventListener("submit", async event => {
        event.preventDefault();
        clearTimeout(timer);
        if (shown !== requested || list.hidden) await search();
        const option = options()[Math.max(active, 0)];
        if (option && field.value.trim()) pick(option);
        else if (active >= 0) pick(option);
    });
    field.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(search, 60);
    });
    field.addEventListener("focus", search);
    field.addEventListener("blur", () => setTimeout(() => setOpen(false), 150));
    field.addEventListener("keydown", event => {
        if (event.isComposing) return;
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            if (list.hidden) return void search();
            activate(active + (event.key === "ArrowDown" ? 1 : -1));
        } else if (event.key === "Escape") {
            if (!list.hidden) setOpen(false);
            else if (field.value) field.value = "";
            else field.blur();
        }
    });
    // On mousedown, because on click the field would have lost the focus.
    list.addEventListener("mousedown", event => {
        const option = event.target.closest("[data-symbol]");
        event.preventDefault();
        if (option) pick(option);
    });
    // A slash, or typing anywhere.
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
