-- What somebody wanted bars of, how it is spelt, and the splits and dividends of stocks.

create table public.symbols (
    -- By the trigger symbol_from_directory.
    id uuid primary key,
    ticker text not null unique constraint symbols_ticker_form check (ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'),
    asset_type text not null default 'stock' check (asset_type in ('stock', 'etf', 'crypto')),
    description text not null default '',
    exchange text not null default '',
    calendar text not null default 'XNYS' references barkeep.market_calendars,
    -- Nothing is fetched for an inactive symbol.
    active boolean not null default true,
    -- The last look into the provider's asset list, and what it said.
    listing_checked_at timestamptz,
    listing text not null default 'unchecked' check (listing in ('unchecked', 'listed', 'unknown')),
    -- When a provider's list first lacked it. Its bars are kept, and nothing is asked for after it.
    delisted_at timestamptz,
    -- When somebody last set out to ask for its splits and dividends, and when somebody last knew: until then nobody can
    -- tell adjusted prices from those as traded.
    actions_checked_at timestamptz,
    actions_known_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One spelling for every alias: upper case, a pair's slash as a dash, a share class after a dot. Null: no ticker.
-- The same rule as `market::Ticker`. Letters are ASCII before they are made upper case: some locales make ASCII letters
-- of others.
create function barkeep.canonical_ticker(p_text text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when w.word !~ '^[A-Za-z0-9]([A-Za-z0-9./-]{0,14}[A-Za-z0-9])?$' or w.word ~ '/.*/' then null
        else regexp_replace(replace(upper(w.word collate "C"), '/', '-'), '^(.*)-([A-Z])$', '\1.\2')
    end
    from (
        -- White space as Unicode has it.
        select regexp_replace(
            p_text,
            '^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+'
            '|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$',
            '', 'g'
        ) as word
    ) w
$$;

-- `BTC-USD` is a pair, `BRK.B` is not.
create function barkeep.asset_type_of(p_ticker text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_ticker ~ '^.{2,}-[^-]{3,}$' then 'crypto' else 'stock' end
$$;

create function barkeep.calendar_of(p_asset_type text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case p_asset_type when 'crypto' then '24x7' else 'XNYS' end
$$;

-- Every exchange and market of US stocks and funds keeps New York's hours; pairs trade round the clock.
create function barkeep.calendar_of(p_asset_type text, p_exchange text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_asset_type = 'crypto' or p_exchange = 'CRYPTO' then '24x7' else 'XNYS' end
$$;

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
