// Calls every function that clients know with Supabase's own client, and checks what comes back.
import assert from "node:assert/strict";
import { FunctionsClient } from "@supabase/functions-js";

const client = new FunctionsClient(`${process.env.SUPABASE_URL}/functions/v1`, {
    headers: { Authorization: `Bearer ${process.env.SUPABASE_ANON_KEY}` },
});

let called = 0;

async function call(name, options) {
    const { data, error } = await client.invoke(name, options);
    assert.equal(error, null, `${name}: ${error} ${await error?.context?.text?.()}`);
    called += 1;
    return data;
}

const synced = await call("sync-user-symbols", {
    body: { symbols: ["AAPL"], source: "watchlist", timeframes: ["m15", "h1", "h4"] },
});
assert.deepEqual(synced, {
    success: true, symbols_tracked: 1, symbols_requested: 1, timeframes: 3, jobs_updated: 3, priority: 300, source: "watchlist",
});
const found = await call("symbols-search?q=mu", { method: "GET" });
assert.equal(found[0].ticker, "MU");
const list = await call("watchlist-sync", { body: { action: "list" } });
assert.deepEqual(list.items.map(item => item.symbol), ["AAPL"]);
const ensured = await call("ensure-coverage", { body: { symbol: "AAPL", timeframe: "h1", window_days: 7 } });
assert.ok(["gaps_detected", "coverage_complete"].includes(ensured.status));
const chart = await call("chart", { body: { symbol: "AAPL", timeframe: "h1", days: 5 } });
assert.equal(chart.symbol, "AAPL");

// A refusal is an error with its status, and a body that says why.
const { error } = await client.invoke("sync-user-symbols", { body: { symbols: [], source: "watchlist" } });
assert.equal(error.context.status, 400);
assert.deepEqual(await error.context.json(), { error: "No symbols provided" });
console.log(`${called} functions called`);
