-- Coverage: what a provider has answered for, by series.

create table public.coverage_status (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- The outer bounds of `covered`.
    from_ts timestamptz,
    to_ts timestamptz,
    -- The ranges a provider has answered for, with bars or verified as empty; extended through closed hours.
    covered tstzmultirange not null default '{}',
    -- The ranges that the provider can't supply, and why.
    unavailable tstzmultirange not null default '{}',
    unavailable_reason text,
    last_success_at timestamptz,
    last_rows_written bigint not null default 0,
    last_provider text,
    -- How many final bars of the series have changed: late trades, corrections, another provider.
    corrections bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (symbol, timeframe)
);
create index coverage_status_updated on public.coverage_status (updated_at);

-- Whole sessions that were returned without a bar: covered, but requested once more before that counts as verified.
create table barkeep.empty_sessions (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- On the market's clock.
    recheck_at timestamptz not null,
    ranges tstzmultirange not null,
    primary key (symbol, timeframe, recheck_at)
);

-- Sessions that were fetched before late trades were reported.
create table barkeep.rereads (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- On the market's clock.
    due_at timestamptz not null,
    ranges tstzmultirange not null,
    primary key (symbol, timeframe, due_at)
);

-- Coverage that shrinks, for whatever reason, makes its series due: the next round fills it again.
create function barkeep.coverage_shrank() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_shrunk uuid[];
begin
    if tg_op = 'DELETE' then
        select array_agg(d.id) into v_shrunk
        from public.job_definitions d
        join was b on b.symbol = d.symbol and b.timeframe = d.timeframe;
    else
        select array_agg(d.id) into v_shrunk
        from public.job_definitions d
        join was b on b.symbol = d.symbol and b.timeframe = d.timeframe
        join became a on a.symbol = b.symbol and a.timeframe = b.timeframe
        where not a.covered + a.unavailable @> b.covered + b.unavailable;
    end if;
    if v_shrunk is not null then
        perform barkeep.make_due(v_shrunk, 'its coverage has shrunk');
        perform pg_notify('barkeep_wake', '');
    end if;
    return null;
end
$$;

create trigger coverage_shrank_on_update
after update on public.coverage_status
referencing old table as was new table as became
for each statement execute function barkeep.coverage_shrank();

create trigger coverage_shrank_on_delete
after delete on public.coverage_status
referencing old table as was
for each statement execute function barkeep.coverage_shrank();
