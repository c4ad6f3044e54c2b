-- People who sign in with an e-mail address and a password, and browsers that are signed in.

-- Argon2's own text: parameters, salt and hash. Only where Barkeep keeps the users itself.
create table barkeep.passwords (
    user_id uuid primary key references auth.users (id) on delete cascade,
    hash text not null constraint passwords_are_argon2id check (hash like '$argon2id$%'),
    changed_at timestamptz not null default now()
);

-- Kept as digests: who reads this table can't use them.
create table barkeep.browser_sessions (
    digest bytea primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index browser_sessions_by_user on barkeep.browser_sessions (user_id);

-- Passwords that were wrong, by the digest of the address that was given with them.
create table barkeep.sign_in_failures (
    address bytea not null,
    at timestamptz not null default clock_timestamp()
);
create index sign_in_failures_by_address on barkeep.sign_in_failures (address, at);

do $$
declare
    t regclass;
begin
    foreach t in array array[
        'barkeep.passwords', 'barkeep.browser_sessions', 'barkeep.sign_in_failures'
    ]::regclass[] loop
        execute format('revoke all on %s from public, anon, authenticated', t);
        execute format('grant select, insert, update, delete on %s to service_role', t);
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format(
            'create policy service on %s for all to service_role, %I using (true) with check (true)', t, current_user
        );
    end loop;
end
$$;
