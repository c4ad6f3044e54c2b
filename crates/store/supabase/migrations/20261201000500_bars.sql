-- Bars, and everything that depends on how they are stored.

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

-- Bars that a provider sent and that can't be true: kept for people to look at, never among the others.
create table barkeep.quarantined_bars (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    -- The timeframe that was asked for, and the series that it was for.
    timeframe text not null,
    series text not null,
    ts timestamptz not null,
    provider text not null,
    reason text not null,
    -- As sent: open, high, low, close, volume.
    sent double precision[] not null,
    seen_at timestamptz not null default now(),
    primary key (symbol, series, timeframe, ts, provider)
);

-- In the order in which providers are asked: bars of the lower rank replace those of a higher one, and never the reverse.
create table barkeep.feeds (
    -- A provenance (alpaca/iex), or all of a provider's (alpaca).
    feed text primary key,
    rank int not null
);

-- The rank of a bar's provenance; what nobody has ranked comes last.
create function barkeep.feed_rank(p_provenance text) returns int
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select f.rank from barkeep.feeds f where f.feed = p_provenance),
        (select f.rank from barkeep.feeds f where f.feed = split_part(p_provenance, '/', 1)),
        1000000
    )
$$;

-- Counts final bars that become others, whatever made them: by series, and for whoever stores in this transaction.
create function barkeep.count_corrections() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    with changed as (
        select b.symbol_id, b.timeframe, count(*) as n
        from was b
        join became a on a.symbol_id = b.symbol_id and a.timeframe = b.timeframe and a.ts = b.ts
        where b.data_status = 'final'
            and (a.open, a.high, a.low, a.close, a.volume, a.vwap, a.trade_count)
                is distinct from (b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trade_count)
        group by b.symbol_id, b.timeframe
    ),
    counted as (
        update public.coverage_status c set corrections = c.corrections + changed.n
        from changed join public.symbols s on s.id = changed.symbol_id
        where c.symbol = s.ticker and c.timeframe = changed.timeframe
    )
    select coalesce(sum(n), 0) into v_count from changed;
    if v_count > 0 then
        perform set_config('barkeep.corrections', (
            v_count + coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint
        )::text, true);
    end if;
    return null;
end
$$;

create trigger ohlc_bars_corrections
after update on public.ohlc_bars_v2
referencing old table as was new table as became
for each statement execute function barkeep.count_corrections();
