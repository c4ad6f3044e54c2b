-- Provider health: when a circuit is open, and which request probes the provider.

create table barkeep.provider_health (
    -- As in barkeep.budgets.
    account text primary key,
    provider text not null,
    -- Failures in a row.
    failures int not null default 0,
    last_error text,
    last_failed_at timestamptz,
    last_good_at timestamptz,
    -- Whether the provider was unreachable at the last failure.
    unreachable boolean not null default false,
    -- The end of the circuit's open period.
    resting_until timestamptz,
    -- A probe is in progress until then.
    probed_until timestamptz
);

-- Records a failed request that was the provider's fault. From the third in a row on the circuit opens: for 2 s, 4 s,
-- ... up to 2 minutes. Requests that were in progress then don't count. Returns the number of failures in a row.
create function barkeep.provider_failed(p_account text, p_provider text, p_message text, p_unreachable boolean)
returns int
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into barkeep.provider_health as held (account, provider, failures, last_error, last_failed_at, unreachable)
    values (p_account, p_provider, 1, p_message, clock_timestamp(), p_unreachable)
    on conflict (account) do update
    set failures = held.failures + 1, last_error = excluded.last_error, last_failed_at = excluded.last_failed_at,
        unreachable = excluded.unreachable, probed_until = null,
        resting_until = case
            when held.failures + 1 >= 3 then clock_timestamp()
                + least(interval '2 seconds' * power(2, least(held.failures - 2, 10)), interval '2 minutes')
        end
    where held.resting_until is null or held.resting_until <= clock_timestamp() or held.probed_until is not null;
    select h.failures from barkeep.provider_health h where h.account = p_account
$$;

-- Whether a request may be sent: after the open period one request probes the provider, and others follow only if it
-- succeeds.
create function barkeep.try_provider(p_account text) returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
    with tried as (
        update barkeep.provider_health
        set probed_until = clock_timestamp() + interval '5 seconds'
        where account = p_account and failures >= 3
            and (probed_until is null or probed_until <= clock_timestamp())
        returning account
    )
    select exists (select from tried)
        or not exists (select from barkeep.provider_health h where h.account = p_account and h.failures >= 3)
$$;

-- Records a successful response.
create function barkeep.provider_answered(p_account text, p_provider text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into barkeep.provider_health as held (account, provider, last_good_at)
    values (p_account, p_provider, clock_timestamp())
    on conflict (account) do update
    set failures = 0, last_good_at = excluded.last_good_at, resting_until = null, probed_until = null
    where held.failures > 0 or held.last_good_at is null or held.last_good_at < clock_timestamp() - interval '10 seconds'
$$;
