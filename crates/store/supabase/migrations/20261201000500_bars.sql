-- Bars, and everything that depends on how they are stored: other files read and delete them only through the functions
-- below (in Rust: the module store::bars). Changes of the storage are made here.

-- Bars as traded (raw), one partition per timeframe. Prices are double precision: every decimal of up to 15 significant
-- digits is returned as sent.
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

-- `o.timestamp` for statements from when the column had that name. No SET clause: it would prevent inlining, and the
-- plans would differ from those of `o.ts`.
create function public."timestamp"(public.ohlc_bars_v2) returns timestamptz
language sql immutable
as $$ select $1.ts $$;

-- The functions that return rows have no SET clause and are one plain statement each: so they are inlined, with the
-- plans of statements on the table itself, and row level security is the caller's.

-- Bars of a series that start in [p_from, p_to), unordered. Null: no bound.
create function barkeep.bars(p_symbol_id uuid, p_timeframe text, p_from timestamptz, p_to timestamptz)
returns table (
    ts timestamptz, open double precision, high double precision, low double precision, close double precision,
    volume double precision, vwap double precision, trade_count bigint, provider text, is_final boolean
)
language sql stable
as $$
    select o.ts, o.open, o.high, o.low, o.close, o.volume, o.vwap, o.trade_count, o.provider, o.data_status = 'final'
    from public.ohlc_bars_v2 o
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
        and o.ts >= coalesce(p_from, '-infinity') and o.ts < coalesce(p_to, 'infinity')
$$;

-- The newest p_count bars of a series, the newest first.
create function barkeep.latest_bars(p_symbol_id uuid, p_timeframe text, p_count bigint)
returns table (ts timestamptz, close double precision, provider text, is_final boolean)
language sql stable
as $$
    select o.ts, o.close, o.provider, o.data_status = 'final'
    from public.ohlc_bars_v2 o
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
    order by o.ts desc
    limit p_count
$$;

-- The number of stored bars of a series, the first and the last, and how many of them are final and in p_window: to be
-- compared with barkeep.expected_bars. A daily or weekly bar begins before its first session, at midnight.
create function barkeep.bars_stored(p_symbol_id uuid, p_timeframe text, p_calendar text, p_window tstzrange)
returns table (bars bigint, earliest timestamptz, latest timestamptz, stored bigint)
language sql stable
as $$
    select count(*), min(o.ts), max(o.ts),
        count(*) filter (
            where o.data_status = 'final' and o.ts < upper(p_window)
                and o.ts >= case
                    when p_timeframe = 'd1' then date_trunc('day', lower(p_window), k.time_zone)
                    when p_timeframe = 'w1' then date_trunc('week', lower(p_window), k.time_zone)
                    else lower(p_window)
                end
        )
    from public.ohlc_bars_v2 o, barkeep.market_calendars k
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe and k.calendar = p_calendar
$$;

-- Whether a symbol has any bar, in any timeframe.
create function barkeep.bars_exist(p_symbol_id uuid) returns boolean
language sql stable
as $$
    select exists (select from public.ohlc_bars_v2 o where o.symbol_id = p_symbol_id)
$$;

-- Deletes the bars of these series that start in p_ranges. Returns their number.
create function barkeep.delete_bars(p_symbol_ids uuid[], p_timeframes text[], p_ranges tstzmultirange) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        delete from public.ohlc_bars_v2 o
        where o.symbol_id = any (p_symbol_ids) and o.timeframe = any (p_timeframes) and o.ts <@ p_ranges
            -- For the index, which doesn't support multiranges.
            and o.ts >= coalesce(lower(p_ranges), '-infinity') and o.ts <= coalesce(upper(p_ranges), 'infinity')
        returning 1
    )
    select count(*) from gone
$$;

-- Quarantine: invalid bars as sent by a provider, for inspection, never mixed with the others.
create table barkeep.quarantined_bars (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    -- The base timeframe of the request, and the series that it was for.
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

-- The order of preference: bars of a lower rank replace those of a higher one, and never the reverse.
create table barkeep.feeds (
    -- A provenance (alpaca/iex), or all of a provider's (alpaca).
    feed text primary key,
    rank int not null
);

-- The rank of a bar's provenance; unranked ones come last.
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

-- Counts final bars that change, whatever changes them: by series, and for the transaction that stores them.
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
