-- The directory: what providers offer, tracked or not. `symbols` are those that were tracked at some time.

create table barkeep.directory (
    ticker text primary key
    constraint directory_ticker_form check (ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'),
    -- A symbol created from the entry keeps this id, so that search results stay valid.
    id uuid not null unique default gen_random_uuid(),
    asset_type text not null check (asset_type in ('stock', 'etf', 'crypto')),
    name text not null default '',
    exchange text not null default '',
    -- Nothing is ever deleted: delisted symbols still have history, and users know them by name.
    active boolean not null default true,
    -- When a provider's list first lacked it; null if unknown.
    delisted_at timestamptz,
    -- Its new ticker.
    renamed_to text,
    -- How well known, 1 before 2; null: after all others.
    rank int,
    -- The provider whose list contains it, or 'built-in'.
    source text not null,
    updated_at timestamptz not null default now(),
    constraint directory_pairs_are_crypto check ((asset_type = 'crypto') = (barkeep.asset_type_of(ticker) = 'crypto')),
    constraint directory_active_is_not_delisted check (not active or (delisted_at is null and renamed_to is null))
);

-- Which source's list was last fetched, by asset class.
create table barkeep.directory_lists (
    asset_class text primary key check (asset_class in ('stock', 'crypto')),
    source text not null,
    asked_at timestamptz not null default now(),
    entries int not null default 0,
    taken_at timestamptz
);

-- Incremented by every change that a search could show, so that a process knows when its index is outdated.
create table barkeep.directory_version (
    only_one boolean primary key default true check (only_one),
    version bigint not null default 0,
    changed_by xid8 not null default pg_current_xact_id()
);
insert into barkeep.directory_version default values;

-- A new symbol takes its details from the directory, unless the insert specifies them.
create function barkeep.symbol_from_directory() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry barkeep.directory;
begin
    select * into v_entry from barkeep.directory d where d.ticker = new.ticker;
    new.id := coalesce(new.id, v_entry.id, gen_random_uuid());
    if v_entry.ticker is null then
        return new;
    end if;
    if new.asset_type = 'stock' and v_entry.asset_type <> 'stock' then
        new.asset_type := v_entry.asset_type;
        new.calendar := barkeep.calendar_of(v_entry.asset_type, v_entry.exchange);
    end if;
    new.description := coalesce(nullif(new.description, ''), v_entry.name);
    new.exchange := coalesce(nullif(new.exchange, ''), v_entry.exchange);
    new.delisted_at := coalesce(new.delisted_at, v_entry.delisted_at);
    return new;
end
$$;

create trigger symbol_from_directory
before insert on public.symbols
for each row execute function barkeep.symbol_from_directory();

-- At the end of the transaction, after every other lock: a transaction that waits for this row holds nothing that its
-- holder needs. Once per transaction. As the owner, since deferred triggers run under the role of the transaction's
-- last statement.
create function barkeep.directory_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update barkeep.directory_version
    set version = version + 1, changed_by = pg_current_xact_id()
    where changed_by <> pg_current_xact_id();
    return null;
end
$$;

-- A symbol created from its directory entry changes nothing in searches.
create function barkeep.symbol_came() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from barkeep.directory d where d.ticker = new.ticker and d.id = new.id) then
        update barkeep.directory_version
        set version = version + 1, changed_by = pg_current_xact_id()
        where changed_by <> pg_current_xact_id();
    end if;
    return null;
end
$$;

create constraint trigger directory_grew
after insert or delete on barkeep.directory
deferrable initially deferred
for each row execute function barkeep.directory_changed();

create constraint trigger directory_changed
after update on barkeep.directory
deferrable initially deferred
for each row
when (
    (old.ticker, old.id, old.asset_type, old.name, old.exchange, old.active, old.renamed_to, old.rank)
    is distinct from
    (new.ticker, new.id, new.asset_type, new.name, new.exchange, new.active, new.renamed_to, new.rank)
)
execute function barkeep.directory_changed();

create constraint trigger directory_symbol_came
after insert on public.symbols
deferrable initially deferred
for each row execute function barkeep.symbol_came();

create constraint trigger directory_symbol_went
after delete on public.symbols
deferrable initially deferred
for each row execute function barkeep.directory_changed();

create constraint trigger directory_symbol_changed
after update on public.symbols
deferrable initially deferred
for each row
when (
    (old.ticker, old.id, old.asset_type, old.description, old.exchange, old.active, old.listing, old.delisted_at)
    is distinct from
    (new.ticker, new.id, new.asset_type, new.description, new.exchange, new.active, new.listing, new.delisted_at)
)
execute function barkeep.directory_changed();
