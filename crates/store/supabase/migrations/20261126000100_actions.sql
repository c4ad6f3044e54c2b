-- Splits and cash dividends of stocks, beside bars as traded: they are applied when bars are read.

create table public.corporate_actions (
    symbol_id uuid not null references public.symbols on delete cascade,
    -- The exchange's day on which trading without it begins.
    ex_date date not null,
    kind text not null check (kind in ('split', 'dividend')),
    -- Of a split: so many shares became so many new ones.
    old_shares double precision,
    new_shares double precision,
    -- Of a dividend: dollars a share, in the shares of that day.
    amount double precision,
    -- The provider that told of it; 'noticed' where bars alone did.
    source text not null,
    seen_at timestamptz not null default now(),
    primary key (symbol_id, ex_date, kind),
    constraint corporate_actions_form check (
        case kind
            when 'split' then old_shares > 0 and new_shares > 0 and amount is null
            else amount > 0 and old_shares is null and new_shares is null
        end
    )
);

-- When somebody last set out to ask for them, and when somebody last knew: until then nobody can tell adjusted prices from
-- those as traded.
alter table public.symbols add column actions_checked_at timestamptz, add column actions_known_at timestamptz;

revoke all on public.corporate_actions from public, anon, authenticated;
grant select, insert, update, delete on public.corporate_actions to service_role;
grant select on public.corporate_actions to authenticated;
alter table public.corporate_actions enable row level security;
alter table public.corporate_actions force row level security;
do $$
begin
    execute format(
        'create policy service on public.corporate_actions for all to service_role, %I using (true) with check (true)',
        current_user
    );
end
$$;
create policy readable on public.corporate_actions for select to authenticated using (true);
