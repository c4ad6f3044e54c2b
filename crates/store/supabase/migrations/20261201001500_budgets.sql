-- Request budgets of provider accounts, shared by all workers of all processes. Wall time throughout.

create table barkeep.budgets (
    -- Provider, host and the key's digest.
    account text primary key,
    provider text not null,
    requests_per_minute int not null check (requests_per_minute > 0),
    -- The configured limit; another one replaces what was learnt from responses.
    opened_with int not null,
    -- The requests left according to the endpoint, until its own window ends; the window's reset, in unix seconds as
    -- sent, distinguishes one window from the next.
    told_remaining int,
    told_reset bigint,
    told_until timestamptz,
    -- Nothing is sent before: the endpoint throttled a request, or rejected the key.
    blocked_until timestamptz,
    blocked_reason text check (blocked_reason in ('throttled', 'credentials')),
    blocked_message text,
    -- Throttled requests so far (429).
    turned_away bigint not null default 0,
    used_at timestamptz not null default now()
);

-- Requests in progress.
create table barkeep.budget_requests (
    id uuid primary key default gen_random_uuid(),
    account text not null references barkeep.budgets on delete cascade,
    sent_at timestamptz not null default clock_timestamp()
);
create index budget_requests_account on barkeep.budget_requests (account, sent_at);

-- Requests answered within the last minute, by the time at which their slots are released. In quarters of a second:
-- with a row per request there would be ten thousand to count each time.
create table barkeep.budget_slots (
    account text not null references barkeep.budgets on delete cascade,
    frees_at timestamptz not null,
    requests int not null check (requests > 0),
    primary key (account, frees_at)
);

-- Creates the account if it doesn't exist. What was learnt of its limit is kept, unless the configured limit has
-- changed.
create function barkeep.open_account(p_account text, p_provider text, p_requests_per_minute int) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into barkeep.budgets as held (account, provider, requests_per_minute, opened_with)
    values (p_account, p_provider, p_requests_per_minute, p_requests_per_minute)
    on conflict (account) do update
    set requests_per_minute = case
            when held.opened_with = excluded.opened_with then held.requests_per_minute
            else excluded.requests_per_minute
        end,
        opened_with = excluded.opened_with, used_at = now()
$$;

-- Requests end within 30 s; one without a response for this long, since its process died or the provider could not be
-- reached, counts as answered a minute ago.
create function barkeep.longest_request() returns interval
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select interval '90 seconds'
$$;

-- How long to wait before a request may be sent, at p_now; null: none. p_kept requests of the limit are reserved for
-- others.
--
-- A request reaches the endpoint between being sent and being answered, so its slot is occupied from the former until a
-- minute after the latter. That makes the limit hold as the endpoint counts it.
create function barkeep.budget_wait(p_budget barkeep.budgets, p_kept int, p_now timestamptz) returns interval
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_under_way int;
    v_answered int;
    v_excess int;
    v_until timestamptz := greatest(p_budget.blocked_until, p_now);
begin
    select count(*) into v_under_way
    from barkeep.budget_requests q where q.account = p_budget.account and q.sent_at > p_now - barkeep.longest_request();
    select coalesce(sum(s.requests), 0) into v_answered
    from barkeep.budget_slots s where s.account = p_budget.account and s.frees_at > p_now;
    if p_budget.told_until > p_now and p_budget.told_remaining <= v_under_way + p_kept then
        v_until := greatest(v_until, p_budget.told_until);
    end if;
    v_excess := v_under_way + v_answered - (p_budget.requests_per_minute - p_kept);
    if v_excess >= 0 then
        -- Beyond the answered ones: slots of requests in progress, released a minute after their response at the
        -- earliest.
        v_until := greatest(v_until, coalesce((
            select min(f.frees_at)
            from (
                select s.frees_at, sum(s.requests) over (order by s.frees_at) as free
                from barkeep.budget_slots s where s.account = p_budget.account and s.frees_at > p_now
            ) f
            where f.free > v_excess
        ), p_now + interval '1 minute'));
    end if;
    return nullif(v_until - p_now, interval '0');
end
$$;

-- A fifth of the limit is reserved for the foreground.
create function barkeep.budget_kept(p_requests_per_minute int) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select p_requests_per_minute / 5
$$;

-- A permit for one request (its id), or how long to wait before asking again, with the provider's message if it
-- rejected the key.
create function barkeep.take_request(
    p_account text, p_background boolean, out request_id uuid, out wait interval, out refused text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_budget barkeep.budgets;
    v_now timestamptz;
begin
    select * into v_budget from barkeep.budgets b where b.account = p_account for update;
    if not found then
        raise exception 'Account % does not exist', p_account;
    end if;
    v_now := clock_timestamp();
    delete from barkeep.budget_requests q
    where q.account = p_account and q.sent_at <= v_now - barkeep.longest_request();
    delete from barkeep.budget_slots s where s.account = p_account and s.frees_at <= v_now;
    wait := barkeep.budget_wait(
        v_budget, case when p_background then barkeep.budget_kept(v_budget.requests_per_minute) else 0 end, v_now
    );
    if wait is null then
        insert into barkeep.budget_requests (account, sent_at) values (p_account, v_now) returning id into request_id;
        update barkeep.budgets set used_at = v_now
        where account = p_account and used_at < v_now - interval '1 minute';
    elsif v_budget.blocked_until > v_now and v_budget.blocked_reason = 'credentials' then
        refused := coalesce(v_budget.blocked_message, '');
    end if;
end
$$;

-- Records a response and the budget that it states; null for what it doesn't say.
create function barkeep.request_answered(
    p_account text, p_request uuid, p_limit int, p_remaining int, p_reset bigint, p_reset_after interval,
    p_turned_away interval
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_budget barkeep.budgets;
    v_now timestamptz;
begin
    select * into v_budget from barkeep.budgets b where b.account = p_account for update;
    if not found then
        return;
    end if;
    v_now := clock_timestamp();
    delete from barkeep.budget_requests q where q.id = p_request;
    if found then
        insert into barkeep.budget_slots as held (account, frees_at, requests)
        values (
            p_account,
            date_bin('250 milliseconds', v_now + interval '60.25 seconds', '2000-01-01'), 1
        )
        on conflict (account, frees_at) do update set requests = held.requests + 1;
    end if;
    v_budget.requests_per_minute := coalesce(nullif(greatest(p_limit, 0), 0), v_budget.requests_per_minute);
    if p_remaining is not null then
        -- Responses overtake one another: within a window the smallest remainder is the newest.
        if v_budget.told_until > v_now and v_budget.told_reset = coalesce(p_reset, 0) then
            v_budget.told_remaining := least(v_budget.told_remaining, p_remaining);
        elsif v_budget.told_until is null or v_budget.told_until <= v_now
            or v_budget.told_reset < coalesce(p_reset, 0)
        then
            v_budget.told_remaining := p_remaining;
            v_budget.told_reset := coalesce(p_reset, 0);
            v_budget.told_until := v_now + least(coalesce(p_reset_after, interval '1 minute'), interval '1 minute');
        end if;
    end if;
    if p_turned_away is not null then
        v_budget.blocked_until := greatest(v_budget.blocked_until, v_now + least(p_turned_away, interval '1 day'));
        v_budget.blocked_reason := 'throttled';
        v_budget.blocked_message := null;
        v_budget.turned_away := v_budget.turned_away + 1;
    end if;
    update barkeep.budgets b
    set requests_per_minute = v_budget.requests_per_minute, told_remaining = v_budget.told_remaining,
        told_reset = v_budget.told_reset, told_until = v_budget.told_until, blocked_until = v_budget.blocked_until,
        blocked_reason = v_budget.blocked_reason, blocked_message = v_budget.blocked_message,
        turned_away = v_budget.turned_away
    where b.account = p_account and b is distinct from v_budget;
end
$$;

-- Blocks the account for p_wait: the provider rejected the key. A wait of null unblocks it. A longer wait from
-- throttling is kept.
create function barkeep.block_account(p_account text, p_wait interval, p_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    update barkeep.budgets
    set blocked_until = clock_timestamp() + p_wait,
        blocked_reason = case when p_wait is not null then 'credentials' end,
        blocked_message = p_message
    where account = p_account
        and (p_wait is not null or blocked_reason = 'credentials')
        and not coalesce(blocked_reason = 'throttled' and blocked_until > clock_timestamp() + p_wait, false)
$$;

-- How many foreground and background requests could be sent now, how long until the next of each (null: now), and why
-- nothing may be sent at all.
create function barkeep.budget_standing(p_account text)
returns table (
    account text, provider text, requests_per_minute int, left_now int, left_background int, wait_now interval,
    wait_background interval, blocked_until timestamptz, blocked_reason text, blocked_message text,
    turned_away bigint
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select b.account, b.provider, b.requests_per_minute,
        case when w.now is null then l.free else 0 end,
        case when w.background is null then l.free - barkeep.budget_kept(b.requests_per_minute) else 0 end,
        w.now, w.background, h.blocked_until,
        case when h.blocked_until is not null then b.blocked_reason end,
        case when h.blocked_until is not null then b.blocked_message end,
        b.turned_away
    from barkeep.budgets b
    cross join lateral (
        select barkeep.budget_wait(b, 0, clock_timestamp()) as now,
            barkeep.budget_wait(b, barkeep.budget_kept(b.requests_per_minute), clock_timestamp()) as background
    ) w
    cross join lateral (
        select b.requests_per_minute - u.under_way - coalesce((
                select sum(s.requests) from barkeep.budget_slots s
                where s.account = b.account and s.frees_at > clock_timestamp()
            ), 0) as by_count,
            case when b.told_until > clock_timestamp() then b.told_remaining - u.under_way end as as_told
        from (
            select count(*) as under_way from barkeep.budget_requests q
            where q.account = b.account and q.sent_at > clock_timestamp() - barkeep.longest_request()
        ) u
    ) c
    cross join lateral (select greatest(least(c.by_count, c.as_told), 0)::int as free) l
    cross join lateral (
        select case when b.blocked_until > clock_timestamp() then b.blocked_until end as blocked_until
    ) h
    where p_account is null or b.account = p_account
    order by b.used_at desc
$$;
