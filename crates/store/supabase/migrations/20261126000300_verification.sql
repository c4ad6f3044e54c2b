-- What the last look at each series found: `barkeep verify`, and a light one each night.

create table barkeep.verifications (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    checked_at timestamptz not null default now(),
    -- Bars looked at, and of them fetched once more.
    checked bigint not null,
    sampled bigint not null,
    -- Kind, start of the bar, and what is wrong, of each finding.
    findings jsonb not null,
    primary key (symbol, timeframe)
);

revoke all on barkeep.verifications from public, anon, authenticated;
grant select, insert, update, delete on barkeep.verifications to service_role;
alter table barkeep.verifications enable row level security;
alter table barkeep.verifications force row level security;
do $$
begin
    execute format(
        'create policy service on barkeep.verifications for all to service_role, %I using (true) with check (true)',
        current_user
    );
end
$$;
