-- Bars as traded (raw), one partition a timeframe. Prices are double precision: every decimal of up to 15 significant
-- digits comes back as sent.

create table public.ohlc_bars_v2 (
    symbol_id uuid not null references public.symbols on delete cascade,
    timeframe text not null check (timeframe in ('m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1', 'w1')),
    ts timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume double precision not null,
    vwap double precision,
    trade_count bigint,
    -- Provider and feed: alpaca/sip.
    provider text not null,
    data_status text not null default 'final' check (data_status in ('final', 'provisional')),
    fetched_at timestamptz not null default now(),
    primary key (symbol_id, timeframe, ts)
) partition by list (timeframe);

do $$
declare
    t text;
begin
    foreach t in array array['m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1', 'w1'] loop
        execute format(
            'create table public.%I partition of public.ohlc_bars_v2 for values in (%L)', 'ohlc_bars_v2_' || t, t
        );
    end loop;
end
$$;

-- `o.timestamp` for statements written when the column had that name. No SET clause: it would keep the function from
-- being inlined, and the plans from being those of `o.ts`.
create function public."timestamp"(public.ohlc_bars_v2) returns timestamptz
language sql immutable
as $$ select $1.ts $$;
