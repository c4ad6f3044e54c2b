// Reorders a list, by buttons and by dragging rows.

import { post } from "./app.js";

const rows = document.getElementById("rows");
let dragged;

const symbols = body => [...body.querySelectorAll("tr[data-symbol]")].map(row => row.dataset.symbol);

function saveOrder(table) {
    return post("/watchlist/order", { list: table.dataset.list, order: symbols(table.tBodies[0]).join(" ") });
}

rows.addEventListener("click", async event => {
    const button = event.target.closest("button[data-move]");
    if (!button) return;
    const row = button.closest("tr");
    const isUp = button.dataset.move === "-1";
    const other = isUp ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (isUp) other.before(row);
    else other.after(row);
    button.focus();
    await saveOrder(row.closest("table"));
});

rows.addEventListener("pointerdown", event => {
    const row = event.target.closest("tr[data-symbol]");
    if (row) row.draggable = !event.target.closest("a, button");
});
rows.addEventListener("dragstart", event => {
    dragged = event.target.closest("tr[data-symbol]");
    event.dataTransfer.effectAllowed = "move";
});
rows.addEventListener("dragover", event => {
    const over = event.target.closest("tr[data-symbol]");
    if (!dragged || !over) return;
    event.preventDefault();
    if (over === dragged) return;
    const box = over.getBoundingClientRect();
    if (event.clientY < box.top + box.height / 2) over.before(dragged);
    else over.after(dragged);
});
rows.addEventListener("drop", event => event.preventDefault());
rows.addEventListener("dragend", () => {
    const table = dragged?.closest("table");
    dragged = undefined;
    if (table) saveOrder(table);
});
