-- Provider health: since when a provider fails, when its circuit is open, and which request probes it.

create table barkeep.provider_health (
    -- As in barkeep.budgets.
    account text primary key,
    provider text not null,
    -- Failures in a row, since when, and how many of the last of them were no answers at all: server errors, timeouts and
    -- refused connections.
    failures int not null default 0,
    failing_since timestamptz,
    unanswered int not null default 0,
    last_error text,
    last_failed_at timestamptz,
    last_good_at timestamptz,
    -- Whether the provider was unreachable at the last failure.
    unreachable boolean not null default false,
    -- While the circuit is open: no request before.
    resting_until timestamptz
);

-- Records a failed request that was the provider's fault. p_unanswered: it gave no answer at all. From the third failure in a
-- row on the circuit is open: after 2 s one request probes the provider, then one each 15 s. Returns the number of failures
-- in a row.
create function barkeep.provider_failed(
    p_account text, p_provider text, p_message text, p_unanswered boolean, p_unreachable boolean
) returns int
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into barkeep.provider_health as held
        (account, provider, failures, failing_since, unanswered, last_error, last_failed_at, unreachable)
    values (
        p_account, p_provider, 1, clock_timestamp(), p_unanswered::int, p_message, clock_timestamp(), p_unreachable
    )
    on conflict (account) do update
    set failures = held.failures + 1, failing_since = coalesce(held.failing_since, excluded.failing_since),
        unanswered = case when p_unanswered then held.unanswered + 1 else 0 end,
        last_error = excluded.last_error, last_failed_at = excluded.last_failed_at, unreachable = excluded.unreachable,
        resting_until = case
            when held.failures + 1 >= 3 then greatest(held.resting_until, clock_timestamp() + interval '2 seconds')
        end
    returning failures
$$;

-- Whether a request may be sent: while the circuit is open one request each 15 s probes the provider, and others follow
-- only if it succeeds.
create function barkeep.try_provider(p_account text) returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
    with tried as (
        update barkeep.provider_health
        set resting_until = clock_timestamp() + interval '15 seconds'
        where account = p_account and failures >= 3 and (resting_until is null or resting_until <= clock_timestamp())
        returning account
    )
    select exists (select from tried)
        or not exists (select from barkeep.provider_health h where h.account = p_account and h.failures >= 3)
$$;

-- The request that was to probe the provider was not sent: the next one may.
create function barkeep.provider_not_tried(p_account text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    update barkeep.provider_health set resting_until = clock_timestamp() where account = p_account and failures >= 3
$$;

-- Records a successful response.
create function barkeep.provider_answered(p_account text, p_provider text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into barkeep.provider_health as held (account, provider, last_good_at)
    values (p_account, p_provider, clock_timestamp())
    on conflict (account) do update
    set failures = 0, failing_since = null, unanswered = 0, last_good_at = excluded.last_good_at, resting_until = null
    where held.failures > 0 or held.last_good_at is null or held.last_good_at < clock_timestamp() - interval '10 seconds'
$$;
