-- Symbols, their spelling, and the splits and dividends of stocks.

create table public.symbols (
    -- Set by the trigger symbol_from_directory.
    id uuid primary key,
    ticker text not null unique constraint symbols_ticker_form check (ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'),
    asset_type text not null default 'stock' check (asset_type in ('stock', 'etf', 'crypto')),
    description text not null default '',
    exchange text not null default '',
    calendar text not null default 'XNYS' references barkeep.market_calendars,
    -- No bars are fetched for an inactive symbol.
    active boolean not null default true,
    -- The last check of the providers' asset lists, and its result.
    listing_checked_at timestamptz,
    listing text not null default 'unchecked' check (listing in ('unchecked', 'listed', 'unknown')),
    -- When a provider's list first lacked it. Its bars are kept, and no bars after it are fetched.
    delisted_at timestamptz,
    -- When its splits and dividends were last due to be checked, and when they were last known: until then adjusted
    -- prices can't be told from prices as traded.
    actions_checked_at timestamptz,
    actions_known_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One spelling for every alias: upper case, a pair's slash as a dash, a share class after a dot. Null: not a ticker.
-- The same rule as `market::Ticker`. Only ASCII letters are accepted before they are converted to upper case: in some
-- locales other letters become ASCII ones.
create function barkeep.canonical_ticker(p_text text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when w.word !~ '^[A-Za-z0-9]([A-Za-z0-9./-]{0,14}[A-Za-z0-9])?$' or w.word ~ '/.*/' then null
        else regexp_replace(replace(upper(w.word collate "C"), '/', '-'), '^(.*)-([A-Z])$', '\1.\2')
    end
    from (
        -- White space as defined by Unicode.
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

-- All exchanges and markets of US stocks and funds have New York's hours; pairs trade around the clock.
create function barkeep.calendar_of(p_asset_type text, p_exchange text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_asset_type = 'crypto' or p_exchange = 'CRYPTO' then '24x7' else 'XNYS' end
$$;

-- Records of splits and cash dividends of stocks, of every source that has listed them, beside bars as traded. Which of
-- them are applied when bars are read follows from all of a stock's records and from its bars around their days (in Rust:
-- market::evidence): a record may be contradicted by the bars, or be one of several of the same event.
create table public.corporate_actions (
    id uuid primary key default gen_random_uuid(),
    symbol_id uuid not null references public.symbols on delete cascade,
    -- The first day of trading without it, in exchange time.
    ex_date date not null,
    kind text not null check (kind in ('split', 'dividend')),
    -- Of a split: old_shares became new_shares.
    old_shares double precision,
    new_shares double precision,
    -- Of a dividend: dollars per share, in the shares of that day. The sum, if there are several on a day.
    amount double precision,
    -- The provider that listed it; 'noticed' if it was detected in bars only.
    source text not null,
    -- Whether the source's latest list has it, and the last day on which a list had it, by the market's clock.
    listed boolean not null default true,
    last_listed date not null default current_date,
    seen_at timestamptz not null default now(),
    constraint corporate_actions_form check (
        case kind
            when 'split' then old_shares > 0 and new_shares > 0 and amount is null
            else amount > 0 and old_shares is null and new_shares is null
        end
    )
);

-- A source's dividends of a day are one record; its splits of a day are one each ratio.
create unique index corporate_actions_one_record
on public.corporate_actions (symbol_id, ex_date, kind, source, coalesce(new_shares / old_shares, 0));
