// A client by the types that were made of the description: it compiles where the description says what it needs.
import type { components, paths } from "./api";

type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : never;
type Answer<P extends keyof paths, M extends "get" | "post"> = paths[P][M] extends { responses: { 200: infer R } } ? Json<R> : never;

const bars: Answer<"/api/v1/bars", "get"> = {
    symbol: "AAPL",
    timeframe: "m15",
    adjustment: "splits",
    bars: [{ ts: "2026-11-23T14:30:00Z", open: 1, high: 2, low: 1, close: 2, volume: 10, provider: "alpaca/sip", final: true }],
};
export const close: number = bars.bars[0].close;

declare const chart: Answer<"/functions/v1/chart", "post">;
export const status: string = chart.meta.dataStatus;

const history: Answer<"/udf/history", "get"> = { s: "no_data", nextTime: 1 };
export const next: number | null | undefined = history.nextTime;

declare const run: components["schemas"]["Run"];
export const reason: string | null | undefined = run.error_message;

declare const ensured: Answer<"/functions/v1/ensure-coverage", "post">;
export const gaps: number = ensured.coverage_status.gaps_found;

declare const found: Answer<"/functions/v1/symbols-search", "get">;
export const asset: string = found[0].asset_type;

declare const symbol: Answer<"/udf/symbols", "get">;
export const session: string = symbol.session;

// @ts-expect-error A field that isn't described is none.
bars.nothing;
