-- Users who sign in with an e-mail address and a password, browser sessions, and watchlists.

-- Argon2's encoded text: parameters, salt and hash. Only where Barkeep keeps the users itself.
create table barkeep.passwords (
    user_id uuid primary key references auth.users (id) on delete cascade,
    hash text not null constraint passwords_are_argon2id check (hash like '$argon2id$%'),
    changed_at timestamptz not null default now()
);

-- Stored as digests: a reader of this table can't use them.
create table barkeep.browser_sessions (
    digest bytea primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index browser_sessions_by_user on barkeep.browser_sessions (user_id);

-- A link is valid once and for a short time. Stored as a digest: a reader of this table can't sign in with it.
create table barkeep.sign_in_links (
    digest bytea primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    expires_at timestamptz not null
);

-- Failed sign-ins, by the digest of the address.
create table barkeep.sign_in_failures (
    address bytea not null,
    at timestamptz not null default clock_timestamp()
);
create index sign_in_failures_by_address on barkeep.sign_in_failures (address, at);

-- Lists, and the order in each. user_symbol_tracking determines what is tracked: a symbol that a user tracks from a
-- watchlist is on at least one of the user's lists, and no other symbol is.
create table barkeep.watchlists (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users (id) on delete cascade,
    name text not null constraint watchlists_name_length check (char_length(name) between 1 and 60),
    -- The first list is the default for new symbols.
    position int not null default 0,
    created_at timestamptz not null default now(),
    constraint watchlists_name_once unique (user_id, name)
);

create table barkeep.watchlist_items (
    watchlist_id uuid not null references barkeep.watchlists (id) on delete cascade,
    symbol_id uuid not null references public.symbols (id) on delete cascade,
    position int not null default 0,
    added_at timestamptz not null default now(),
    primary key (watchlist_id, symbol_id)
);
create index watchlist_items_by_symbol on barkeep.watchlist_items (symbol_id);

-- Puts newly tracked symbols on a list of their user: the one that the transaction names (barkeep.watchlist), else the
-- first, which is created if there is none. Runs as its owner: clients that don't know lists track symbols too.
create function barkeep.put_on_watchlist() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_named uuid := nullif(current_setting('barkeep.watchlist', true), '');
begin
    insert into barkeep.watchlists (user_id, name)
    select distinct c.user_id, 'Watchlist'
    from changed c
    where c.source = 'watchlist' and not exists (select from barkeep.watchlists l where l.user_id = c.user_id)
    on conflict (user_id, name) do nothing;

    insert into barkeep.watchlist_items (watchlist_id, symbol_id, position)
    select l.id, c.symbol_id, l.last + row_number() over (partition by l.id order by s.ticker)
    from changed c
    join public.symbols s on s.id = c.symbol_id
    cross join lateral (
        select w.id, coalesce((select max(i.position) from barkeep.watchlist_items i where i.watchlist_id = w.id), 0) as last
        from barkeep.watchlists w
        where w.user_id = c.user_id
        order by w.id is not distinct from v_named desc, w.position, w.created_at, w.id
        limit 1
    ) l
    where c.source = 'watchlist'
    on conflict (watchlist_id, symbol_id) do nothing;
    return null;
end
$$;

create function barkeep.take_off_watchlists() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from barkeep.watchlist_items i
    using changed c
    join barkeep.watchlists l on l.user_id = c.user_id
    where c.source = 'watchlist' and i.watchlist_id = l.id and i.symbol_id = c.symbol_id;
    return null;
end
$$;

create trigger watchlists_on_insert
after insert on public.user_symbol_tracking
referencing new table as changed
for each statement execute function barkeep.put_on_watchlist();

create trigger watchlists_on_delete
after delete on public.user_symbol_tracking
referencing old table as changed
for each statement execute function barkeep.take_off_watchlists();
