-- Who is at work, what the scheduler last did, and links that sign somebody in.

-- Every running part of Barkeep says every 20 s that it lives. Gone when it ends, or a day after it was last seen.
create table barkeep.processes (
    -- As the worker of its runs.
    name text primary key,
    parts text[] not null check (cardinality(parts) > 0 and parts <@ '{serve,plan,work,backfill}'::text[]),
    host text not null,
    pid int not null,
    version text not null,
    slots int not null default 0,
    -- Where it takes HTTP.
    address text,
    -- Whether notifications reach it; null: not known yet.
    hears boolean,
    started_at timestamptz not null default now(),
    last_seen timestamptz not null default now()
);

-- What the last round did, for whoever asked for it.
alter table public.orchestrator_heartbeat
add column rounds bigint not null default 0,
add column results jsonb;

-- A link works once and not for long. Kept as a digest: who reads this table can't sign in with it.
create table barkeep.sign_in_links (
    digest bytea primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    expires_at timestamptz not null
);
