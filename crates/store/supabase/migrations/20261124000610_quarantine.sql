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
