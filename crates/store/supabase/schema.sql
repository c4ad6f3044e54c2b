-- Generated: what a database has when every migration is applied (PostgreSQL 15, owner barkeep). Read it, don't edit
-- it. To make it anew: BARKEEP_WRITE_SCHEMA=1 cargo test -p barkeep-store --test it schema

CREATE SCHEMA auth;

COMMENT ON SCHEMA auth IS 'Users, in the shape that Supabase gives them. Made by Barkeep.';

CREATE SCHEMA barkeep;

CREATE SCHEMA cron;

COMMENT ON SCHEMA cron IS 'Barkeep''s own schedule in pg_cron''s shape. Made by Barkeep.';

CREATE SCHEMA public;

COMMENT ON SCHEMA public IS 'standard public schema';

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid
        $$;

CREATE FUNCTION barkeep.asset_type_of(p_ticker text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select case when p_ticker ~ '^.{2,}-[^-]{3,}$' then 'crypto' else 'stock' end
$_$;

CREATE FUNCTION barkeep.bars(p_symbol_id uuid, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) RETURNS TABLE(ts timestamp with time zone, open double precision, high double precision, low double precision, close double precision, volume double precision, vwap double precision, trade_count bigint, provider text, is_final boolean)
    LANGUAGE sql STABLE
    AS $$
    select o.ts, o.open, o.high, o.low, o.close, o.volume, o.vwap, o.trade_count, o.provider, o.data_status = 'final'
    from public.ohlc_bars_v2 o
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
        and o.ts >= coalesce(p_from, '-infinity') and o.ts < coalesce(p_to, 'infinity')
$$;

CREATE FUNCTION barkeep.bars_exist(p_symbol_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select exists (select from public.ohlc_bars_v2 o where o.symbol_id = p_symbol_id)
$$;

CREATE FUNCTION barkeep.bars_stored(p_symbol_id uuid, p_timeframe text, p_calendar text, p_window tstzrange) RETURNS TABLE(bars bigint, earliest timestamp with time zone, latest timestamp with time zone, stored bigint)
    LANGUAGE sql STABLE
    AS $$
    select count(*), min(o.ts), max(o.ts),
        count(*) filter (
            where o.data_status = 'final' and o.ts < upper(p_window)
                and o.ts >= case
                    when p_timeframe = 'd1' then date_trunc('day', lower(p_window), k.time_zone)
                    when p_timeframe = 'w1' then date_trunc('week', lower(p_window), k.time_zone)
                    else lower(p_window)
                end
        )
    from public.ohlc_bars_v2 o, barkeep.market_calendars k
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe and k.calendar = p_calendar
$$;

CREATE FUNCTION barkeep.block_account(p_account text, p_wait interval, p_message text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    update barkeep.budgets
    set blocked_until = clock_timestamp() + p_wait,
        blocked_reason = case when p_wait is not null then 'credentials' end,
        blocked_message = p_message
    where account = p_account
        and (p_wait is not null or blocked_reason = 'credentials')
        and not coalesce(blocked_reason = 'throttled' and blocked_until > clock_timestamp() + p_wait, false)
$$;

CREATE FUNCTION barkeep.budget_kept(p_requests_per_minute integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p_requests_per_minute / 5
$$;

CREATE FUNCTION barkeep.budget_standing(p_account text) RETURNS TABLE(account text, provider text, requests_per_minute integer, left_now integer, left_background integer, wait_now interval, wait_background interval, blocked_until timestamp with time zone, blocked_reason text, blocked_message text, turned_away bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE TABLE barkeep.budgets (
    account text NOT NULL,
    provider text NOT NULL,
    requests_per_minute integer NOT NULL,
    opened_with integer NOT NULL,
    told_remaining integer,
    told_reset bigint,
    told_until timestamp with time zone,
    blocked_until timestamp with time zone,
    blocked_reason text,
    blocked_message text,
    turned_away bigint DEFAULT 0 NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT budgets_blocked_reason_check CHECK ((blocked_reason = ANY (ARRAY['throttled'::text, 'credentials'::text]))),
    CONSTRAINT budgets_requests_per_minute_check CHECK ((requests_per_minute > 0))
);

ALTER TABLE ONLY barkeep.budgets FORCE ROW LEVEL SECURITY;

CREATE FUNCTION barkeep.budget_wait(p_budget barkeep.budgets, p_kept integer, p_now timestamp with time zone) RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.calendar_of(p_asset_type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case p_asset_type when 'crypto' then '24x7' else 'XNYS' end
$$;

CREATE FUNCTION barkeep.calendar_of(p_asset_type text, p_exchange text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case when p_asset_type = 'crypto' or p_exchange = 'CRYPTO' then '24x7' else 'XNYS' end
$$;

CREATE FUNCTION barkeep.canonical_ticker(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE TABLE public.job_runs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    job_def_id uuid NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    job_type text NOT NULL,
    slice_from timestamp with time zone NOT NULL,
    slice_to timestamp with time zone NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    progress_percent integer DEFAULT 0 NOT NULL,
    rows_written bigint DEFAULT 0 NOT NULL,
    provider text,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    unanswered integer DEFAULT 0 NOT NULL,
    unanswered_at timestamp with time zone,
    error_message text,
    error_code text,
    triggered_by text DEFAULT 'cron'::text NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    by_interest boolean DEFAULT false NOT NULL,
    rank_at timestamp with time zone DEFAULT now() NOT NULL,
    run_after timestamp with time zone DEFAULT now() NOT NULL,
    worker text,
    lease_until timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_runs_check CHECK ((slice_from < slice_to)),
    CONSTRAINT job_runs_progress_percent_check CHECK (((progress_percent >= 0) AND (progress_percent <= 100))),
    CONSTRAINT job_runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'success'::text, 'failed'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY public.job_runs FORCE ROW LEVEL SECURITY;

CREATE FUNCTION barkeep.claim_chosen(p_worker text, p_lease interval, p_runs uuid[]) RETURNS SETOF public.job_runs
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with free as (
        select r.id from public.job_runs r
        where r.id = any (p_runs) and r.status = 'queued'
        order by r.id
        for update skip locked
    )
    update public.job_runs r
    set status = 'running', attempt = r.attempt + 1, worker = p_worker, started_at = clock_timestamp(),
        lease_until = clock_timestamp() + p_lease, error_message = null, error_code = null,
        updated_at = clock_timestamp()
    from free
    where r.id = free.id
    returning r.*
$$;

CREATE FUNCTION barkeep.claim_runs(p_worker text, p_limit integer, p_lease interval, p_background_first boolean, p_symbols text[]) RETURNS SETOF public.job_runs
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_id uuid;
begin
    for n in 1..p_limit loop
        if p_background_first then
            select r.id into v_id from public.job_runs r
            where r.status = 'queued' and r.run_after <= clock_timestamp()
                and (p_symbols is null or r.symbol = any (p_symbols))
            order by r.by_interest, r.rank_at, r.slice_to desc, r.id
            limit 1
            for update skip locked;
        else
            select r.id into v_id from public.job_runs r
            where r.status = 'queued' and r.run_after <= clock_timestamp()
                and (p_symbols is null or r.symbol = any (p_symbols))
            order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
            limit 1
            for update skip locked;
        end if;
        exit when not found;
        return query
        update public.job_runs r
        set status = 'running', attempt = r.attempt + 1, worker = p_worker, started_at = clock_timestamp(),
            lease_until = clock_timestamp() + p_lease, error_message = null, error_code = null,
            updated_at = clock_timestamp()
        where r.id = v_id
        returning r.*;
    end loop;
end
$$;

CREATE FUNCTION barkeep.count_corrections() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_count bigint;
begin
    with changed as (
        select b.symbol_id, b.timeframe, count(*) as n
        from was b
        join became a on a.symbol_id = b.symbol_id and a.timeframe = b.timeframe and a.ts = b.ts
        where b.data_status = 'final'
            and (a.open, a.high, a.low, a.close, a.volume, a.vwap, a.trade_count)
                is distinct from (b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trade_count)
        group by b.symbol_id, b.timeframe
    ),
    counted as (
        update public.coverage_status c set corrections = c.corrections + changed.n
        from changed join public.symbols s on s.id = changed.symbol_id
        where c.symbol = s.ticker and c.timeframe = changed.timeframe
    )
    select coalesce(sum(n), 0) into v_count from changed;
    if v_count > 0 then
        perform set_config('barkeep.corrections', (
            v_count + coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint
        )::text, true);
    end if;
    return null;
end
$$;

CREATE FUNCTION barkeep.coverage_of_symbols(p_symbols text[]) RETURNS TABLE(n bigint, place bigint, timeframe text, bars_count bigint, earliest_bar timestamp with time zone, latest_bar timestamp with time zone, coverage_days numeric, last_fetch timestamp with time zone, job_enabled boolean, job_priority integer, expected_bars bigint, stored_bars bigint, missing_bars bigint, completeness numeric, state text, reason text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    with symbol as materialized (
        select p.n, s.id, s.ticker, s.calendar, s.delisted_at, s.listing, barkeep.canonical_ticker(p.symbol) as name
        from unnest(p_symbols) with ordinality as p (symbol, n)
        left join public.symbols s on s.ticker = barkeep.canonical_ticker(p.symbol)
    ),
    shown as materialized (
        select s.n, f.n as place, s.id, s.ticker, s.calendar, s.delisted_at, s.listing, f.timeframe, d.id as def_id,
            d.enabled, d.priority, d.suspended_at, d.suspended_reason,
            coalesce(d.window_days, barkeep.window_days(f.timeframe)) as window_days
        from symbol s
        cross join unnest('{m1,m5,m15,m30,h1,h4,d1,w1}'::text[]) with ordinality as f (timeframe, n)
        left join public.job_definitions d
            on d.symbol = s.name and d.timeframe = f.timeframe and d.job_type = barkeep.job_type(f.timeframe)
        where f.timeframe in ('m15', 'h1', 'h4') or d.id is not null
    ),
    -- The same for most series: computed once each.
    common as materialized (
        select k.calendar, k.timeframe, k.window_days, w.span,
            case when not isempty(w.span) then
                barkeep.expected_bars(k.calendar, k.timeframe, lower(w.span), upper(w.span))
            end as expected
        from (select distinct calendar, timeframe, window_days from shown where id is not null) k
        cross join lateral (select barkeep.window_of(k.calendar, k.timeframe, k.window_days) as span offset 0) w
    )
    select
        w.n, w.place, w.timeframe, coalesce(b.bars, 0), b.earliest, b.latest,
        coalesce(round((extract(epoch from b.latest - b.earliest) / 86400)::numeric, 2), 0),
        c.last_success_at, coalesce(w.enabled, false), coalesce(w.priority, 0),
        coalesce(e.expected, 0), coalesce(b.stored, 0), coalesce(g.missing, 0),
        case when coalesce(e.expected, 0) = 0 then 0 else round(1 - coalesce(g.missing, 0)::numeric / e.expected, 4) end,
        case
            when w.id is null or w.def_id is null then 'not tracked'
            when w.suspended_at is not null then case when w.delisted_at is null then 'unknown' else 'delisted' end
            when not w.enabled then 'paused'
            when r.failed > 0 then 'failing'
            when g.missing > 0 and not k.provided then 'failing'
            when g.missing > 0 then 'filling'
            when w.delisted_at is not null then 'delisted'
            when w.listing <> 'listed' and not barkeep.bars_exist(w.id) then 'unchecked'
            else 'complete'
        end,
        coalesce(
            w.suspended_reason,
            case when g.missing > 0 and not k.provided then 'no provider is set up for ' || case w.calendar when '24x7' then 'crypto' else 'stocks' end end,
            r.error_message, q.reason, c.unavailable_reason,
            'not listed since ' || w.delisted_at::date
                || coalesce((select ', now ' || d.renamed_to from barkeep.directory d where d.ticker = w.ticker), '')
        )
    from shown w
    left join barkeep.market_calendars k on k.calendar = w.calendar
    left join common m
        on m.calendar = w.calendar and m.timeframe = w.timeframe and m.window_days = w.window_days and w.id is not null
    left join public.coverage_status c on c.symbol = w.ticker and c.timeframe = w.timeframe
    left join lateral (
        select m.span * tstzrange(null, w.delisted_at) as span where w.id is not null offset 0
    ) v on true
    left join lateral barkeep.bars_stored(w.id, w.timeframe, w.calendar, v.span) b on true
    left join lateral (
        select case
            when v.span = m.span and (c.unavailable is null or not c.unavailable && v.span) then m.expected
            else (
                select coalesce(sum(barkeep.expected_bars(w.calendar, w.timeframe, lower(part), upper(part))), 0)::bigint
                from unnest(tstzmultirange(v.span) - coalesce(c.unavailable, '{}')) as part
            )
        end as expected
        where w.id is not null
        offset 0
    ) e on true
    left join lateral (
        -- A completely covered window has no gap; get_coverage_gaps defines what one is.
        select case
            when v.span <@ (c.covered + c.unavailable) and not exists (
                select from barkeep.empty_sessions x
                where x.symbol = w.ticker and x.timeframe = w.timeframe and x.recheck_at <= barkeep.market_now()
            ) then 0
            else (
                select coalesce(
                    sum(barkeep.expected_bars(w.calendar, w.timeframe, gap.gap_from, gap.gap_to)), 0
                )::bigint
                from public.get_coverage_gaps(w.ticker, w.timeframe, w.window_days) gap
            )
        end as missing
        where w.id is not null
        offset 0
    ) g on true
    left join lateral (
        -- Also the last error of queued runs.
        select count(*) filter (where j.status = 'failed') as failed, max(j.error_message) as error_message
        from public.job_runs j
        where j.job_def_id = w.def_id
            and (j.status = 'failed' or (j.status = 'queued' and j.error_code <> 'stopped'))
    ) r on true
    left join lateral (
        select format('%s invalid bars from the provider are quarantined (barkeep.quarantined_bars)', count(*))
            as reason
        from barkeep.quarantined_bars x
        where x.symbol = w.ticker and x.ts >= lower(v.span) and x.series = w.timeframe
        having count(*) > 0
    ) q on true
    order by w.n, w.place
$$;

CREATE FUNCTION barkeep.coverage_shrank() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_shrunk uuid[];
begin
    if tg_op = 'DELETE' then
        select array_agg(d.id) into v_shrunk
        from public.job_definitions d
        join was b on b.symbol = d.symbol and b.timeframe = d.timeframe;
    else
        select array_agg(d.id) into v_shrunk
        from public.job_definitions d
        join was b on b.symbol = d.symbol and b.timeframe = d.timeframe
        join became a on a.symbol = b.symbol and a.timeframe = b.timeframe
        where not a.covered + a.unavailable @> b.covered + b.unavailable;
    end if;
    if v_shrunk is not null then
        perform barkeep.make_due(v_shrunk, 'its coverage has shrunk');
        perform pg_notify('barkeep_wake', '');
    end if;
    return null;
end
$$;

CREATE FUNCTION barkeep.delete_bars(p_symbol_ids uuid[], p_timeframes text[], p_ranges tstzmultirange) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with gone as (
        delete from public.ohlc_bars_v2 o
        where o.symbol_id = any (p_symbol_ids) and o.timeframe = any (p_timeframes) and o.ts <@ p_ranges
            -- For the index, which doesn't support multiranges.
            and o.ts >= coalesce(lower(p_ranges), '-infinity') and o.ts <= coalesce(upper(p_ranges), 'infinity')
        returning 1
    )
    select count(*) from gone
$$;

CREATE FUNCTION barkeep.directory_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update barkeep.directory_version
    set version = version + 1, changed_by = pg_current_xact_id()
    where changed_by <> pg_current_xact_id();
    return null;
end
$$;

CREATE FUNCTION barkeep.expected_bars(p_calendar text, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case
        when p_timeframe = 'd1' then count(*)
        when p_timeframe = 'w1' then count(distinct date_trunc('week', s.session_date))
        else coalesce(sum(ceil(
            extract(epoch from least(s.close_at, p_to) - greatest(s.open_at, p_from)) / k.step
        )), 0)
    end::bigint
    from (select extract(epoch from barkeep.timeframe_step(p_timeframe)) as step offset 0) k
    cross join barkeep.market_sessions s
    where s.calendar = p_calendar and s.close_at > p_from and s.open_at < p_to
        and s.open_at > p_from - interval '24 hours'
$$;

CREATE FUNCTION barkeep.expire_interest() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_tickers text[];
    v_gone int;
begin
    select array_agg(s.ticker) into v_tickers
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    where not barkeep.is_live(t.source, t.updated_at);
    if v_tickers is null then
        return 0;
    end if;
    perform barkeep.lock_interest(v_tickers);
    delete from public.user_symbol_tracking t
    using public.symbols s
    where t.symbol_id = s.id and s.ticker = any (v_tickers) and not barkeep.is_live(t.source, t.updated_at);
    get diagnostics v_gone = row_count;
    return v_gone;
end
$$;

CREATE FUNCTION barkeep.feed_rank(p_provenance text) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(
        (select f.rank from barkeep.feeds f where f.feed = p_provenance),
        (select f.rank from barkeep.feeds f where f.feed = split_part(p_provenance, '/', 1)),
        1000000
    )
$$;

CREATE FUNCTION barkeep.final_until(p_calendar text, p_timeframe text, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    -- Branches, so that a call plans only the query that it needs, once per database session.
    if p_timeframe = 'd1' then
        return (
            select max(s.close_at) from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at <= p_at
        );
    elsif p_timeframe = 'w1' then
        return (
            select s.close_at from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at <= p_at
                and not exists (
                    select from barkeep.market_sessions n
                    where n.calendar = p_calendar
                        and n.session_date > s.session_date
                        and n.session_date < date_trunc('week', s.session_date)::date + 7
                )
            order by s.close_at desc
            limit 1
        );
    end if;
    return (
        select case
            when p_at >= s.close_at then s.close_at
            else date_bin(barkeep.timeframe_step(p_timeframe), p_at, s.open_at)
        end
        from barkeep.market_sessions s
        where s.calendar = p_calendar and s.open_at <= p_at
        order by s.open_at desc
        limit 1
    );
end
$$;

CREATE FUNCTION barkeep.finish_runs(p_worker text, p_runs uuid[], p_attempts integer[], p_from timestamp with time zone[], p_to timestamp with time zone[], p_rows bigint[], p_requests integer[], p_provider text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    v_now timestamptz := barkeep.market_now();
    v_ended int;
begin
    update public.job_runs r
    set status = 'success', progress_percent = 100, rows_written = u.n, provider = p_provider,
        requests = r.requests + u.requests, lease_until = null, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    from unnest(p_runs, p_attempts, p_rows, p_requests) as u (id, attempt, n, requests)
    where r.id = u.id and barkeep.has_lease(r, p_worker, u.attempt);
    get diagnostics v_ended = row_count;
    if v_ended < cardinality(p_runs) then
        return false;
    end if;

    insert into public.coverage_status (symbol, timeframe)
    select distinct r.symbol, r.timeframe from public.job_runs r where r.id = any (p_runs)
    order by 1, 2
    on conflict (symbol, timeframe) do nothing;

    with answered as materialized (
        select r.symbol, r.timeframe, s.id as symbol_id, s.calendar, k.time_zone, sum(u.n) as n,
            coalesce(range_agg(tstzrange(u.f, u.t)), '{}') as ranges,
            coalesce(
                range_agg(barkeep.through_closed_hours(s.calendar, tstzrange(u.f, u.t))) filter (where u.f < u.t), '{}'
            ) as closed
        from unnest(p_runs, p_from, p_to, p_rows) as u (id, f, t, n)
        join public.job_runs r on r.id = u.id
        join public.symbols s on s.ticker = r.symbol
        join barkeep.market_calendars k on k.calendar = s.calendar
        group by r.symbol, r.timeframe, s.id, s.calendar, k.time_zone
    ),
    series as materialized (
        select a.*,
            (
                select c.covered + a.closed from public.coverage_status c
                where c.symbol = a.symbol and c.timeframe = a.timeframe
            ) as covered,
            coalesce((
                select range_agg(e.ranges) from barkeep.empty_sessions e
                where e.symbol = a.symbol and e.timeframe = a.timeframe
            ), '{}') as noted
        from answered a
    ),
    -- Sessions that were requested a second time and are empty again count as verified; those not yet due keep their
    -- due time.
    believed_in_part as (
        update barkeep.empty_sessions e
        set ranges = e.ranges - a.closed
        from series a
        where e.symbol = a.symbol and e.timeframe = a.timeframe and not isempty(a.noted)
            and e.recheck_at <= v_now and e.ranges && a.closed and not e.ranges <@ a.closed
    ),
    believed as (
        delete from barkeep.empty_sessions e
        using series a
        where e.symbol = a.symbol and e.timeframe = a.timeframe and not isempty(a.noted)
            and e.recheck_at <= v_now and e.ranges <@ a.closed
    ),
    -- Sessions that are completely covered now, though this response may have covered only the last of their bars, and
    -- in which no bar starts. Written so that each lookup uses its index whatever the statistics say: the tables may
    -- have been filled a second ago.
    empty as (
        select a.symbol, a.timeframe, range_agg(s.session) - a.noted as ranges
        from series a
        cross join unnest(a.closed) as piece
        cross join lateral (
            select tstzrange(m.open_at, m.close_at) as session, m.session_date::timestamp at time zone a.time_zone as day
            from barkeep.market_sessions m
            where m.calendar = a.calendar
                and m.open_at < upper(piece) and m.open_at > lower(piece) - interval '24 hours'
            offset 0
        ) s
        where a.timeframe <> 'w1' and a.ranges && s.session and a.covered @> s.session
            and (
                select b.ts from barkeep.bars(a.symbol_id, a.timeframe, s.day, upper(s.session)) b limit 1
            ) is null
        group by a.symbol, a.timeframe, a.noted
    ),
    note_empty as (
        insert into barkeep.empty_sessions (symbol, timeframe, recheck_at, ranges)
        select m.symbol, m.timeframe, v_now + interval '1 day', m.ranges from empty m where not isempty(m.ranges)
        on conflict (symbol, timeframe, recheck_at) do update set ranges = empty_sessions.ranges + excluded.ranges
    )
    update public.coverage_status c
    set covered = a.covered,
        from_ts = lower(a.covered),
        to_ts = upper(a.covered),
        last_success_at = clock_timestamp(),
        last_rows_written = a.n,
        last_provider = p_provider,
        updated_at = clock_timestamp()
    from series a
    where c.symbol = a.symbol and c.timeframe = a.timeframe;

    -- What the response left uncovered is planned again soon, not only when the next bar is due.
    perform barkeep.make_due(
        array(
            select r.job_def_id
            from unnest(p_runs, p_from, p_to) as u (id, f, t)
            join public.job_runs r on r.id = u.id
            where u.f = u.t or u.t < r.slice_to
        ),
        'a response was incomplete', v_now + interval '1 minute'
    );
    return true;
end
$$;

CREATE FUNCTION barkeep.has_lease(p_run public.job_runs, p_worker text, p_attempt integer) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p_run.status = 'running' and p_run.worker = p_worker and p_run.attempt = p_attempt
        and p_run.lease_until > clock_timestamp()
$$;

CREATE FUNCTION barkeep.install_schedule() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    v_foreign boolean := coalesce(
        obj_description(to_regnamespace('cron'), 'pg_namespace') not like '%Made by Barkeep.',
        to_regnamespace('cron') is not null
    );
begin
    if exists (select from pg_available_extensions where name = 'pg_cron') then
        begin
            if not exists (select from pg_extension where extname = 'pg_cron') then
                if not v_foreign then
                    drop schema if exists cron cascade;
                end if;
                create extension pg_cron;
            end if;
            execute $cron$select cron.schedule('orchestrator-tick', '* * * * *', 'select barkeep.wake()')$cron$;
            return 'pg_cron';
        exception
            -- No privilege, or not preloaded, or pg_cron runs in another database: Barkeep's own schedule does the
            -- same. The block's rollback restores the view.
            when others then
                raise notice 'pg_cron is available but could not be used: %', sqlerrm;
        end;
    end if;
    if exists (select from pg_extension where extname = 'pg_cron') then
        return 'pg_cron, without the job';
    end if;
    if v_foreign then
        return 'in-process, and not shown: the schema cron is another''s';
    end if;
    create schema if not exists cron;
    comment on schema cron is 'Barkeep''s own schedule in pg_cron''s shape. Made by Barkeep.';
    create or replace view cron.job with (security_invoker = true) as
    select
        1::bigint as jobid,
        '* * * * *'::text as schedule,
        'plan what is due'::text as command,
        'localhost'::text as nodename,
        coalesce(inet_server_port(), current_setting('port')::int) as nodeport,
        current_database()::text as database,
        current_user::text as username,
        coalesce(h.last_seen > now() - interval '3 minutes', false) as active,
        h.name as jobname
    from public.orchestrator_heartbeat h
    where h.name = 'orchestrator-tick';
    revoke all on schema cron from public, anon, authenticated;
    revoke all on cron.job from public, anon, authenticated;
    grant usage on schema cron to service_role;
    grant select on cron.job to service_role;
    return 'in-process';
end
$_$;

CREATE FUNCTION barkeep.is_live(p_source text, p_updated_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p_source = 'watchlist'
        or p_updated_at > now() - case p_source when 'chart_view' then interval '30 days' else interval '7 days' end
$$;

CREATE FUNCTION barkeep.job_type(p_timeframe text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case when p_timeframe in ('d1', 'w1') then 'fetch_historical' else 'fetch_intraday' end
$$;

CREATE FUNCTION barkeep.latest_bars(p_symbol_id uuid, p_timeframe text, p_count bigint) RETURNS TABLE(ts timestamp with time zone, close double precision, provider text, is_final boolean)
    LANGUAGE sql STABLE
    AS $$
    select o.ts, o.close, o.provider, o.data_status = 'final'
    from public.ohlc_bars_v2 o
    where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
    order by o.ts desc
    limit p_count
$$;

CREATE FUNCTION barkeep.lock_due(p_definitions uuid[]) RETURNS TABLE(id uuid, window_days integer)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    v_series record;
begin
    for v_series in
        select d.symbol, d.timeframe from public.job_definitions d where d.id = any (p_definitions)
        order by d.symbol, d.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
    end loop;
    return query
    select d.id, d.window_days from public.job_definitions d
    where d.id = any (p_definitions)
        and d.enabled and d.suspended_at is null and d.next_due_at <= barkeep.market_now()
    order by d.id
    for no key update;
end
$$;

CREATE FUNCTION barkeep.lock_interest(p_symbols text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_symbol text;
begin
    for v_symbol in select distinct s from unnest(p_symbols) s order by s loop
        perform pg_advisory_xact_lock(hashtextextended('barkeep interest ' || v_symbol, 0));
    end loop;
end
$$;

CREATE FUNCTION barkeep.lock_runs(p_worker text, p_runs uuid[], p_attempts integer[]) RETURNS SETOF uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_series record;
    v_held uuid[];
begin
    for v_series in
        select distinct r.symbol, r.timeframe from public.job_runs r where r.id = any (p_runs)
        order by r.symbol, r.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
    end loop;
    with locked as (
        select r.id, r as run from public.job_runs r where r.id = any (p_runs) order by r.id for update
    )
    select array_agg(l.id) into v_held
    from locked l
    join unnest(p_runs, p_attempts) as u (id, attempt) on u.id = l.id
    where barkeep.has_lease(l.run, p_worker, u.attempt);
    perform from public.job_definitions d
    where d.id in (select r.job_def_id from public.job_runs r where r.id = any (v_held))
    order by d.id
    for no key update;
    return query select unnest(v_held);
end
$$;

CREATE FUNCTION barkeep.lock_series(p_symbol text, p_timeframe text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pg_advisory_xact_lock(hashtextextended('barkeep series ' || p_symbol || ' ' || p_timeframe, 0))
$$;

CREATE FUNCTION barkeep.lock_sessions_shared() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('barkeep sessions', 0));
    -- A separate statement, so that it sees what was committed while this one waited.
    return (select e.edition from barkeep.session_edition e);
end
$$;

CREATE FUNCTION barkeep.lock_user(p_user uuid) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pg_advisory_xact_lock(hashtextextended('barkeep user ' || p_user, 0))
$$;

CREATE FUNCTION barkeep.longest_request() RETURNS interval
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select interval '90 seconds'
$$;

CREATE FUNCTION barkeep.make_due(p_definitions uuid[], p_reason text, p_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_sooner int;
begin
    -- Locked first, by a separate statement: a planner that holds one is about to set its next due time. Always in this
    -- order, for every transaction that changes several of them.
    perform from public.job_definitions d where d.id = any (p_definitions) order by d.id for no key update;
    update public.job_definitions d
    set next_due_at = p_at, due_reason = p_reason
    where d.id = any (p_definitions) and d.next_due_at > p_at;
    get diagnostics v_sooner = row_count;
    return v_sooner;
end
$$;

CREATE FUNCTION barkeep.market_now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(as_of + (now() - set_at), now()) from barkeep.market_clock
$$;

CREATE FUNCTION barkeep.next_bar_due(p_calendar text, p_timeframe text, p_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select c.grace + case
        when p_timeframe = 'd1' then (
            select min(s.close_at) from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at > p_at - c.grace
        )
        when p_timeframe = 'w1' then (
            select s.close_at from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at > p_at - c.grace
                and not exists (
                    select from barkeep.market_sessions n
                    where n.calendar = p_calendar
                        and n.session_date > s.session_date
                        and n.session_date < date_trunc('week', s.session_date)::date + 7
                )
            order by s.close_at
            limit 1
        )
        else (
            select least(
                s.close_at,
                barkeep.timeframe_step(p_timeframe)
                + case
                    when p_at - c.grace <= s.open_at then s.open_at
                    else date_bin(barkeep.timeframe_step(p_timeframe), p_at - c.grace, s.open_at)
                end
            )
            from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at > p_at - c.grace
            order by s.close_at
            limit 1
        )
    end
    from barkeep.market_calendars c
    where c.calendar = p_calendar
$$;

CREATE FUNCTION barkeep.note_rereads(p_symbols text[], p_timeframes text[], p_froms timestamp with time zone[], p_tos timestamp with time zone[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    v_now timestamptz := barkeep.market_now();
    v_noted int;
begin
    if exists (select from barkeep.rereads r where r.symbol = any (p_symbols) and r.due_at <= v_now) then
        update barkeep.rereads r
        set ranges = r.ranges - a.ranges
        from (
            select u.s, u.t, range_agg(tstzrange(u.f, u.e)) as ranges
            from unnest(p_symbols, p_timeframes, p_froms, p_tos) as u (s, t, f, e)
            where u.f < u.e
            group by u.s, u.t
        ) a
        where r.symbol = a.s and r.timeframe = a.t and r.due_at <= v_now and r.ranges && a.ranges;
        delete from barkeep.rereads where symbol = any (p_symbols) and isempty(ranges);
    end if;

    -- The few current sessions first, before any series: most responses are of older ones.
    with of_now as materialized (
        select m.*
        from barkeep.market_calendars k
        cross join lateral (
            select s.calendar, s.open_at, s.close_at, s.close_at + k.reread_after as due_at
            from barkeep.market_sessions s
            where s.calendar = k.calendar
                and s.open_at <= v_now and s.open_at > v_now - k.reread_after - interval '24 hours'
            offset 0
        ) m
        where m.due_at > v_now
    ),
    noted as (
        insert into barkeep.rereads (symbol, timeframe, due_at, ranges)
        select distinct u.s, u.t, m.due_at, tstzmultirange(tstzrange(m.open_at, m.close_at))
        from of_now m
        join unnest(p_symbols, p_timeframes, p_froms, p_tos) as u (s, t, f, e)
            on m.open_at < u.e and m.close_at > u.f and u.f < u.e
        join public.symbols s on s.ticker = u.s and s.calendar = m.calendar
        on conflict (symbol, timeframe, due_at) do nothing
        returning symbol, timeframe, due_at
    )
    select count(barkeep.make_due(n.definitions, 'a session is due for a reread', n.due_at)) into v_noted
    from (
        select noted.due_at, array_agg(d.id) as definitions
        from noted join public.job_definitions d on d.symbol = noted.symbol and d.timeframe = noted.timeframe
        group by noted.due_at
    ) n;

    return coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint;
end
$$;

CREATE FUNCTION barkeep.open_account(p_account text, p_provider text, p_requests_per_minute integer) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    insert into barkeep.budgets as held (account, provider, requests_per_minute, opened_with)
    values (p_account, p_provider, p_requests_per_minute, p_requests_per_minute)
    on conflict (account) do update
    set requests_per_minute = case
            when held.opened_with = excluded.opened_with then held.requests_per_minute
            else excluded.requests_per_minute
        end,
        opened_with = excluded.opened_with, used_at = now()
$$;

CREATE FUNCTION barkeep.pack_candidates(p_by_interest boolean, p_symbols text[], p_crypto boolean) RETURNS TABLE(place text, id uuid, symbol text, symbol_id uuid, calendar text, timeframe text, slice_from timestamp with time zone, slice_to timestamp with time zone, by_interest boolean, priority integer, failures integer)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    v_head public.job_runs;
    v_calendar text;
    v_own uuid[];
    v_alike uuid[];
    v_next uuid[];
    v_at timestamptz;
begin
    -- If there is no such run, no lock is taken.
    if not exists (
        select from public.job_runs r
        where r.status = 'queued' and r.by_interest = p_by_interest and r.run_after <= clock_timestamp()
            and (p_symbols is null or r.symbol = any (p_symbols))
            and (p_crypto is null or (barkeep.asset_type_of(r.symbol) = 'crypto') = p_crypto)
    ) then
        return;
    end if;
    perform pg_advisory_xact_lock(
        hashtextextended(case when p_by_interest then 'barkeep claim, interest' else 'barkeep claim' end, 0)
    );
    v_at := clock_timestamp();
    select r.* into v_head from public.job_runs r
    where r.status = 'queued' and r.by_interest = p_by_interest and r.run_after <= v_at
        and (p_symbols is null or r.symbol = any (p_symbols))
        and (p_crypto is null or (barkeep.asset_type_of(r.symbol) = 'crypto') = p_crypto)
    order by r.rank_at, r.slice_to desc, r.id
    limit 1
    for update skip locked;
    if not found then
        return;
    end if;
    select s.calendar into v_calendar from public.symbols s where s.ticker = v_head.symbol;

    select array_agg(o.id order by o.away, o.slice_to desc, o.timeframe) into v_own
    from (
        select r.id, r.slice_to, r.timeframe,
            greatest(r.slice_from - v_head.slice_to, v_head.slice_from - r.slice_to) as away
        from public.job_runs r
        where r.status = 'queued' and r.symbol = v_head.symbol and r.id <> v_head.id
            and r.run_after <= v_at and r.failures = v_head.failures
        order by away, r.slice_to desc, r.timeframe
        limit 200
    ) o;

    select array_agg(a.id order by a.by_interest desc, a.rank_at, a.id) into v_alike
    from (
        select r.id, r.by_interest, r.rank_at from public.job_runs r
        where r.status = 'queued' and r.symbol <> v_head.symbol
            and r.run_after <= v_at and r.failures = v_head.failures
            and (p_symbols is null or r.symbol = any (p_symbols))
            and r.slice_to in (
                select v_head.slice_to
                union
                select o.slice_to from public.job_runs o
                where o.id = any (v_own) and o.slice_from < v_head.slice_to and o.slice_to > v_head.slice_from
            )
        order by r.by_interest desc, r.rank_at, r.id
        limit 1000
    ) a;

    select array_agg(q.id) into v_next
    from (
        select r.id from public.job_runs r
        where r.status = 'queued' and r.run_after <= v_at
            and (p_symbols is null or r.symbol = any (p_symbols))
        order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
        limit 100
    ) q;

    -- Selected by id first, for the same reason: rather than by symbol.
    return query
    with runs as materialized (
        select r.* from public.job_runs r
        where r.id = any (array[v_head.id] || v_own || v_alike || v_next)
    )
    select p.place, r.id, r.symbol, s.id, s.calendar, r.timeframe, r.slice_from, r.slice_to, r.by_interest, r.priority,
        r.failures
    from (
        select distinct on (c.id) c.place, c.id, c.rank, c.n
        from (
            select 'head' as place, v_head.id as id, 0 as rank, 1::bigint as n
            union all
            select 'own', o.id, 1, o.n from unnest(v_own) with ordinality as o (id, n)
            union all
            select 'alike', a.id, 2, a.n from unnest(v_alike) with ordinality as a (id, n)
            union all
            select 'next', q.id, 3, q.n from unnest(v_next) with ordinality as q (id, n)
        ) c
        order by c.id, c.rank
    ) p
    join runs r on r.id = p.id
    join public.symbols s on s.ticker = r.symbol
    where s.calendar = v_calendar and r.failures = v_head.failures
    order by p.rank, p.n;
end
$$;

CREATE FUNCTION barkeep.provider_answered(p_account text, p_provider text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    insert into barkeep.provider_health as held (account, provider, last_good_at)
    values (p_account, p_provider, clock_timestamp())
    on conflict (account) do update
    set failures = 0, failing_since = null, unanswered = 0, last_good_at = excluded.last_good_at, resting_until = null
    where held.failures > 0 or held.last_good_at is null or held.last_good_at < clock_timestamp() - interval '10 seconds'
$$;

CREATE FUNCTION barkeep.provider_failed(p_account text, p_provider text, p_message text, p_unanswered boolean, p_unreachable boolean) RETURNS integer
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.provider_not_tried(p_account text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    update barkeep.provider_health set resting_until = clock_timestamp() where account = p_account and failures >= 3
$$;

CREATE FUNCTION barkeep.put_on_watchlist() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.readmit_failed() RETURNS integer
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with ripe as (
        select r.id
        from public.job_runs r
        join public.job_definitions d on d.id = r.job_def_id and d.enabled and d.suspended_at is null
        where r.status = 'failed'
            and r.finished_at < clock_timestamp() - case
                when r.error_code in ('refused', 'unavailable', 'worker_lost') then interval '1 day'
                else interval '5 minutes'
            end
            -- Another run may have been queued for the same range since.
            and not exists (
                select from public.job_runs o
                where o.job_def_id = r.job_def_id and o.id <> r.id
                    and tstzrange(o.slice_from, o.slice_to) && tstzrange(r.slice_from, r.slice_to)
                    and (o.status in ('queued', 'running')
                        or (o.status = 'failed' and (o.finished_at, o.id) > (r.finished_at, r.id)))
            )
            and not coalesce((
                select c.covered @> tstzrange(r.slice_from, r.slice_to)
                from public.coverage_status c
                where c.symbol = r.symbol and c.timeframe = r.timeframe
            ), false)
        for update of r skip locked
    ),
    readmitted as (
        update public.job_runs r
        set status = 'queued', failures = least(r.failures, 4), run_after = clock_timestamp(), finished_at = null,
            updated_at = clock_timestamp()
        from ripe
        where r.id = ripe.id
        returning r.id
    )
    select count(*)::int from readmitted
$$;

CREATE FUNCTION barkeep.record_failure(p_run uuid, p_worker text, p_attempt integer, p_code text, p_message text, p_retry_after interval, p_counts boolean, p_unanswered text, p_in_part boolean, p_final boolean, p_requests integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_run public.job_runs;
    v_over boolean;
    -- The provider has answered others since this run's last request.
    v_alone boolean := false;
begin
    select * into v_run from public.job_runs where id = p_run for update;
    if not found or not barkeep.has_lease(v_run, p_worker, p_attempt) then
        return false;
    end if;
    if p_unanswered is not null then
        v_alone := p_in_part or exists (
            select from barkeep.provider_health h
            where h.account = p_unanswered and h.last_good_at > coalesce(v_run.unanswered_at, v_run.started_at)
        );
        p_counts := v_run.unanswered + v_alone::int >= 3;
    end if;
    v_over := p_final or (p_counts and v_run.failures + 1 >= 5);
    update public.job_runs
    set status = case when v_over then 'failed' else 'queued' end,
        failures = failures + p_counts::int,
        unanswered = unanswered + v_alone::int,
        unanswered_at = case when p_unanswered is null then unanswered_at else clock_timestamp() end,
        attempt = attempt - (not p_counts and not v_over)::int,
        error_code = p_code,
        error_message = p_message,
        requests = requests + p_requests,
        worker = null,
        lease_until = null,
        run_after = case when v_over then run_after else clock_timestamp() + p_retry_after end,
        finished_at = case when v_over then clock_timestamp() end,
        updated_at = clock_timestamp()
    where id = p_run;
    return true;
end
$$;

CREATE FUNCTION barkeep.refresh_definitions(p_symbols text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_resumed uuid[];
begin
    -- Locks rows in one order, as every transaction that changes several of them does.
    perform from public.job_definitions d where d.symbol = any (p_symbols) order by d.id for no key update;
    with wanted as (
        select d.id, d.enabled, s.active, d.base_priority, max(t.priority) as interest
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        left join public.user_symbol_tracking t
            on t.symbol_id = s.id
            and d.timeframe = any (t.timeframes)
            and barkeep.is_live(t.source, t.updated_at)
        where d.symbol = any (p_symbols)
        group by d.id, s.active
    ),
    settled as (
        select w.id, w.enabled as was_enabled,
            coalesce(w.interest, w.base_priority, 0) as priority,
            w.active and coalesce(w.interest, w.base_priority) is not null as enabled,
            w.interest is not null as by_interest
        from wanted w
    ),
    changed as (
        update public.job_definitions d
        set priority = n.priority, enabled = n.enabled, by_interest = n.by_interest, updated_at = now()
        from settled n
        where d.id = n.id
            and (d.priority, d.enabled, d.by_interest) is distinct from (n.priority, n.enabled, n.by_interest)
    )
    select array_agg(n.id) into v_resumed from settled n where n.enabled and not n.was_enabled;
    -- They were not planned while they were paused.
    perform barkeep.make_due(v_resumed, 'it is tracked again');

    update public.job_runs r
    set priority = d.priority,
        by_interest = d.by_interest,
        rank_at = r.created_at - d.priority * interval '6 seconds',
        status = case when d.enabled then r.status else 'cancelled' end,
        error_message = case when d.enabled then r.error_message else 'No user tracks this series any more' end,
        finished_at = case when d.enabled then r.finished_at else now() end,
        updated_at = now()
    from public.job_definitions d
    where d.symbol = any (p_symbols)
        and r.job_def_id = d.id
        and r.status = 'queued'
        and (not d.enabled or (r.priority, r.by_interest) is distinct from (d.priority, d.by_interest));
end
$$;

CREATE FUNCTION barkeep.release_leases(p_worker_prefix text DEFAULT NULL::text) RETURNS integer
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with freed as (
        update public.job_runs
        set status = case when attempt >= 25 then 'failed' else 'queued' end,
            error_code = case when attempt >= 25 then 'worker_lost' end,
            error_message = case
                when attempt >= 25 then 'No worker finished it in 25 claims; "barkeep backfill" with the symbol queues it again'
            end,
            finished_at = case when attempt >= 25 then clock_timestamp() end,
            worker = null, lease_until = null, run_after = clock_timestamp(), updated_at = clock_timestamp()
        where status = 'running'
            and (lease_until < clock_timestamp() or starts_with(worker, p_worker_prefix))
        returning id
    )
    select count(*)::int from freed
$$;

CREATE FUNCTION barkeep.renew_leases(p_worker text, p_lease interval, p_runs uuid[], p_attempts integer[]) RETURNS SETOF uuid
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with held as (
        select r.id
        from unnest(p_runs, p_attempts) as u (id, attempt)
        join public.job_runs r on r.id = u.id
        where r.worker = p_worker and r.attempt = u.attempt and r.status = 'running'
            and r.lease_until > clock_timestamp()
        order by r.id
        for update of r
    )
    update public.job_runs r
    set lease_until = clock_timestamp() + p_lease, updated_at = clock_timestamp()
    from held
    where r.id = held.id
    returning r.id
$$;

CREATE FUNCTION barkeep.replace_sessions(p_calendar text, p_dates text[], p_opens timestamp with time zone[], p_closes timestamp with time zone[], p_earlies boolean[]) RETURNS TABLE(days_changed integer, bars_outside bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    v_opened tstzmultirange;
    v_closed tstzmultirange;
    v_moved tstzmultirange;
    v_off_grid text[];
    v_anew text[];
    v_changed int;
    v_outside bigint := 0;
    v_symbols uuid[];
begin
    with new as (
        select d::date as day, o, c
        from unnest(p_dates, p_opens, p_closes) as n (d, o, c)
    ),
    changed as (
        select
            case when new.o is null then '{}' else tstzmultirange(tstzrange(new.o, new.c)) end as hours_after,
            case when m.open_at is null then '{}' else tstzmultirange(tstzrange(m.open_at, m.close_at)) end as hours_before,
            new.o - m.open_at as later
        from new
        full join (select * from barkeep.market_sessions where calendar = p_calendar) m on m.session_date = new.day
        where (new.o, new.c) is distinct from (m.open_at, m.close_at)
    )
    select range_agg(hours_after - hours_before), range_agg(hours_before - hours_after), count(*),
        range_agg(hours_after + hours_before) filter (where later <> interval '0')
    into v_opened, v_closed, v_changed, v_moved
    from changed;
    if v_changed = 0 then
        return query select 0, 0::bigint;
        return;
    end if;
    v_opened := coalesce(v_opened, '{}');
    v_closed := coalesce(v_closed, '{}');
    -- Their bars began at the open, which is 5 h 30 min earlier or later now.
    v_off_grid := case when v_moved is null then '{}' else array['h1', 'h4'] end;
    v_anew := case
        when isempty(v_opened) then v_off_grid
        when v_moved is not null then array['m1', 'm5', 'm15', 'm30', 'h1', 'h4']
        else '{}'
    end;

    delete from barkeep.market_sessions where calendar = p_calendar;
    insert into barkeep.market_sessions (calendar, session_date, open_at, close_at, early)
    select p_calendar, d::date, o, c, e
    from unnest(p_dates, p_opens, p_closes, p_earlies) as s (d, o, c, e);

    -- Runs before coverage before definitions, the order in which all transactions lock them.
    update public.job_runs r
    set status = 'cancelled', error_code = null, error_message = 'The market is closed in this slice',
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    from (
        select r.id from public.job_runs r
        join public.symbols s on s.ticker = r.symbol and s.calendar = p_calendar
        where r.status in ('queued', 'failed') and v_closed && tstzrange(r.slice_from, r.slice_to)
            and not exists (
                select from barkeep.market_sessions m
                where m.calendar = p_calendar and m.close_at > r.slice_from and m.open_at < r.slice_to
                    and m.open_at > r.slice_from - interval '24 hours'
            )
        order by r.id
        for update of r
    ) closed
    where r.id = closed.id;

    -- Slices were cut by the old grid: running ones too are planned again, and their workers' outcomes rejected.
    update public.job_runs r
    set status = 'cancelled', error_code = null, error_message = 'Session opening times have changed',
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    from (
        select r.id from public.job_runs r
        join public.symbols s on s.ticker = r.symbol and s.calendar = p_calendar
        where r.status in ('queued', 'failed', 'running') and r.timeframe = any (v_anew)
        order by r.id
        for update of r
    ) cut
    where r.id = cut.id;

    if v_moved is not null then
        v_symbols := array(select s.id from public.symbols s where s.calendar = p_calendar);
        perform barkeep.delete_bars(v_symbols, v_off_grid, v_moved);
        perform barkeep.delete_bars(v_symbols, '{m1,m5,m15,m30}', v_closed);
    end if;

    update barkeep.empty_sessions e
    set ranges = e.ranges - v_closed - v_opened
    from public.symbols s
    where s.ticker = e.symbol and s.calendar = p_calendar and e.ranges && (v_closed + v_opened);
    delete from barkeep.empty_sessions where isempty(ranges);

    with cut as (
        -- By timeframe the last bars of sessions that now end earlier, within a bar.
        select f.timeframe, range_agg(tstzrange(date_bin(f.step, m.close_at, m.open_at), m.close_at)) as ranges
        from (
            select t.timeframe, barkeep.timeframe_step(t.timeframe) as step
            from unnest(array['m1', 'm5', 'm15', 'm30', 'h1', 'h4']) as t (timeframe)
        ) f
        join barkeep.market_sessions m on m.calendar = p_calendar
            and m.close_at in (select lower(r) from unnest(v_closed) as r)
            and date_bin(f.step, m.close_at, m.open_at) < m.close_at
        group by f.timeframe
    ),
    next as (
        select c.symbol, c.timeframe, case
            -- What has to be fetched for every day is fetched as one range: nights would cut it into hundreds.
            when c.timeframe = any (v_anew) then c.covered - tstzmultirange(tstzrange(lower(v_moved), upper(v_moved)))
            -- Daily and weekly bars are the same in any hours.
            when v_moved is not null and c.timeframe in ('d1', 'w1') then c.covered
            else c.covered - v_opened - coalesce(cut.ranges, '{}') + coalesce((
            -- Only where it fills the time between covered sessions, or continues one.
            select range_agg(r) from unnest(v_closed) as r
            where c.covered && tstzrange(lower(r) - interval '1 microsecond', upper(r) + interval '1 microsecond')
            ), '{}')
        end as covered
        from public.coverage_status c
        join public.symbols s on s.ticker = c.symbol and s.calendar = p_calendar
        left join cut on cut.timeframe = c.timeframe
    )
    update public.coverage_status c
    set covered = next.covered, from_ts = lower(next.covered), to_ts = upper(next.covered),
        -- A provider without extended hours may have regular ones.
        unavailable = c.unavailable - coalesce(v_moved, '{}'), updated_at = now()
    from next
    where next.symbol = c.symbol and next.timeframe = c.timeframe
        and (next.covered <> c.covered or c.unavailable && v_moved);

    -- Series without coverage of it too, and series whose next bar is due at another time now.
    perform barkeep.make_due(array(
        select d.id from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol and s.calendar = p_calendar
        where d.enabled
            and upper(v_opened + v_closed) > barkeep.market_now() - make_interval(days => d.window_days + 8)
    ), 'its sessions have changed');

    -- By series, for the index. A daily bar begins at its midnight, before the session.
    if not isempty(v_closed) and v_moved is null then
        select coalesce(sum(found.n), 0) into v_outside
        from public.symbols s
        join barkeep.market_calendars k on k.calendar = s.calendar
        cross join unnest(array['m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1']) as t (timeframe)
        cross join unnest(v_closed) as closed (r)
        cross join lateral (
            select date_trunc('day', lower(closed.r), k.time_zone) as at
        ) midnight
        cross join lateral (
            select count(*) as n
            from barkeep.bars(
                s.id, t.timeframe,
                case when t.timeframe = 'd1' then midnight.at else lower(closed.r) end,
                case when t.timeframe = 'd1' then midnight.at + interval '1 microsecond' else upper(closed.r) end
            )
        ) found
        where s.calendar = p_calendar
            and (t.timeframe <> 'd1' or not exists (
                select from barkeep.market_sessions m
                where m.calendar = p_calendar and m.session_date = (lower(closed.r) at time zone k.time_zone)::date
            ));
    end if;
    perform pg_notify('barkeep_wake', '');
    return query select v_changed, v_outside;
end
$$;

CREATE FUNCTION barkeep.request_answered(p_account text, p_request uuid, p_limit integer, p_remaining integer, p_reset bigint, p_reset_after interval, p_turned_away interval) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.requeue() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_definition public.job_definitions;
begin
    select * into v_definition from public.job_definitions where id = new.job_def_id;
    new.priority := v_definition.priority;
    new.by_interest := v_definition.by_interest;
    new.rank_at := new.created_at - v_definition.priority * interval '6 seconds';
    if not v_definition.enabled or v_definition.suspended_at is not null then
        new.status := 'cancelled';
        new.error_message := coalesce(v_definition.suspended_reason, 'No user tracks this series any more');
        new.finished_at := clock_timestamp();
    end if;
    return new;
end
$$;

CREATE FUNCTION barkeep.reread_failed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_again timestamptz := barkeep.market_now() + interval '1 hour';
begin
    new.status := 'cancelled';
    new.error_message := 'The reread failed: ' || coalesce(new.error_message, 'no reason given');
    with over as (
        delete from barkeep.rereads r
        where r.symbol = new.symbol and r.timeframe = new.timeframe and r.due_at <= barkeep.market_now()
            and r.ranges && tstzrange(new.slice_from, new.slice_to)
        returning r.ranges
    )
    insert into barkeep.rereads (symbol, timeframe, due_at, ranges)
    select new.symbol, new.timeframe, v_again, range_agg(over.ranges)
    from over
    where upper(over.ranges) > barkeep.market_now() - interval '1 day'
    having count(*) > 0
    on conflict (symbol, timeframe, due_at) do update set ranges = rereads.ranges + excluded.ranges;
    perform barkeep.make_due(array[new.job_def_id], 'a reread failed', v_again);
    return new;
end
$$;

CREATE FUNCTION barkeep.reread_is_queued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if exists (
        select from barkeep.rereads r
        join public.coverage_status c on c.symbol = r.symbol and c.timeframe = r.timeframe
        where r.symbol = new.symbol and r.timeframe = new.timeframe and r.due_at <= barkeep.market_now()
            and r.ranges && tstzrange(new.slice_from, new.slice_to)
            and c.covered @> tstzrange(new.slice_from, new.slice_to)
    ) then
        new.by_interest := false;
        new.triggered_by := 'reread';
    end if;
    return new;
end
$$;

CREATE FUNCTION barkeep.resume_symbol(p_symbol text, p_description text, p_exchange text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_resumed uuid[];
begin
    perform barkeep.lock_interest(array[p_symbol]);
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
    update public.symbols
    set listing = 'listed', listing_checked_at = now(), updated_at = now(),
        description = case when description = '' then coalesce(p_description, '') else description end,
        exchange = case when exchange = '' then coalesce(p_exchange, '') else exchange end
    where ticker = p_symbol;
    with resumed as (
        update public.job_definitions
        set suspended_at = null, suspended_reason = null, updated_at = now()
        where symbol = p_symbol and suspended_at is not null
        returning id
    )
    select array_agg(id) into v_resumed from resumed;
    perform barkeep.make_due(v_resumed, 'a provider lists its symbol now');
end
$$;

CREATE FUNCTION barkeep.retry_failed(p_symbols text[] DEFAULT NULL::text[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_series record;
    v_taken tstzmultirange;
    v_covered tstzmultirange;
    v_run record;
    v_count int := 0;
begin
    for v_series in
        select distinct r.symbol, r.timeframe, r.job_def_id
        from public.job_runs r
        join public.job_definitions d on d.id = r.job_def_id and d.enabled and d.suspended_at is null
        where r.status = 'failed' and (p_symbols is null or r.symbol = any (p_symbols))
        order by r.symbol, r.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
        select coalesce(range_agg(tstzrange(r.slice_from, r.slice_to)), '{}') into v_taken
        from public.job_runs r
        where r.job_def_id = v_series.job_def_id and r.status in ('queued', 'running');
        select c.covered into v_covered
        from public.coverage_status c
        where c.symbol = v_series.symbol and c.timeframe = v_series.timeframe;
        for v_run in
            select r.id, tstzrange(r.slice_from, r.slice_to) as slice
            from public.job_runs r
            where r.job_def_id = v_series.job_def_id and r.status = 'failed'
            order by r.finished_at desc, r.id
        loop
            if not v_taken && v_run.slice and not coalesce(v_covered @> v_run.slice, false) then
                update public.job_runs
                set status = 'queued', failures = 0, unanswered = 0, attempt = 0, run_after = clock_timestamp(), finished_at = null,
                    updated_at = clock_timestamp()
                where id = v_run.id;
                v_taken := v_taken + tstzmultirange(v_run.slice);
                v_count := v_count + 1;
            end if;
        end loop;
    end loop;
    return v_count;
end
$$;

CREATE FUNCTION barkeep.source_priority(p_source text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case p_source when 'watchlist' then 300 when 'chart_view' then 200 when 'recent_search' then 100 end
$$;

CREATE FUNCTION barkeep.suspend_symbol(p_symbol text, p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    -- In one order, as every transaction that changes several of them does.
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
    update public.symbols
    set listing = case when delisted_at is null then 'unknown' else listing end,
        listing_checked_at = now(), updated_at = now()
    where ticker = p_symbol;
    update public.job_definitions
    set suspended_at = now(), suspended_reason = p_reason, updated_at = now()
    where symbol = p_symbol;
    update public.job_runs
    set status = 'cancelled', error_code = 'unknown_symbol', error_message = p_reason, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    where symbol = p_symbol and status = 'queued';
    perform pg_notify('barkeep_events', '');
end
$$;

CREATE FUNCTION barkeep.symbol_came() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not exists (select from barkeep.directory d where d.ticker = new.ticker and d.id = new.id) then
        update barkeep.directory_version
        set version = version + 1, changed_by = pg_current_xact_id()
        where changed_by <> pg_current_xact_id();
    end if;
    return null;
end
$$;

CREATE FUNCTION barkeep.symbol_from_directory() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.symbols_allowed(p_user uuid) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case p_user when '00000000-0000-4000-8000-00000000a000' then 50 else 500 end
$$;

CREATE FUNCTION barkeep.take_off_watchlists() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    delete from barkeep.watchlist_items i
    using changed c
    join barkeep.watchlists l on l.user_id = c.user_id
    where c.source = 'watchlist' and i.watchlist_id = l.id and i.symbol_id = c.symbol_id;
    return null;
end
$$;

CREATE FUNCTION barkeep.take_request(p_account text, p_background boolean, OUT request_id uuid, OUT wait interval, OUT refused text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION barkeep.through_closed_hours(p_calendar text, p_range tstzrange) RETURNS tstzrange
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select tstzrange(
        coalesce((
            select max(s.close_at) from barkeep.market_sessions s
            where s.calendar = p_calendar and s.close_at <= lower(p_range)
                and not exists (
                    select from barkeep.market_sessions i
                    where i.calendar = p_calendar and i.open_at < lower(p_range) and i.close_at > lower(p_range)
                        and i.open_at > lower(p_range) - interval '24 hours'
                )
        ), lower(p_range)),
        coalesce((
            select min(s.open_at) from barkeep.market_sessions s
            where s.calendar = p_calendar and s.open_at >= upper(p_range)
                and not exists (
                    select from barkeep.market_sessions i
                    where i.calendar = p_calendar and i.open_at < upper(p_range) and i.close_at > upper(p_range)
                        and i.open_at > upper(p_range) - interval '24 hours'
                )
        ), upper(p_range))
    )
$$;

CREATE FUNCTION barkeep.timeframe_step(p_timeframe text) RETURNS interval
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case p_timeframe
        when 'm1' then interval '1 minute'
        when 'm5' then interval '5 minutes'
        when 'm15' then interval '15 minutes'
        when 'm30' then interval '30 minutes'
        when 'h1' then interval '1 hour'
        when 'h4' then interval '4 hours'
    end
$$;

CREATE FUNCTION barkeep.try_provider(p_account text) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with tried as (
        update barkeep.provider_health
        set resting_until = clock_timestamp() + interval '15 seconds'
        where account = p_account and failures >= 3 and (resting_until is null or resting_until <= clock_timestamp())
        returning account
    )
    select exists (select from tried)
        or not exists (select from barkeep.provider_health h where h.account = p_account and h.failures >= 3)
$$;

CREATE FUNCTION barkeep.wake() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pg_notify('barkeep_wake', '')
$$;

CREATE FUNCTION barkeep.window_days(p_timeframe text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case p_timeframe
        when 'm1' then 7
        when 'm5' then 14
        when 'm15' then 30
        when 'm30' then 60
        when 'h1' then 90
        when 'h4' then 365
        when 'd1' then 730
        when 'w1' then 730
    end
$$;

CREATE FUNCTION barkeep.window_of(p_calendar text, p_timeframe text, p_window_days integer) RETURNS tstzrange
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_now timestamptz := barkeep.market_now();
    v_day date;
    v_from timestamptz;
    v_to timestamptz;
begin
    select ((v_now at time zone c.time_zone) - make_interval(days => p_window_days))::date,
        barkeep.final_until(c.calendar, p_timeframe, v_now - c.grace)
    into v_day, v_to
    from barkeep.market_calendars c where c.calendar = p_calendar;
    if p_timeframe = 'w1' then
        v_day := date_trunc('week', v_day)::date;
    end if;
    -- Without sessions every series would look complete.
    if not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at > v_now)
        or not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at <= v_now)
    then
        raise exception 'The sessions of calendar % do not reach %', p_calendar, v_now
        using hint = 'Run "barkeep migrate", which fills barkeep.market_sessions from the calendar.';
    end if;
    -- By date: min(open_at) would read every earlier session.
    select open_at into v_from from barkeep.market_sessions
    where calendar = p_calendar and session_date >= v_day
    order by session_date
    limit 1;
    if v_to is null or v_from >= v_to then
        return 'empty';
    end if;
    return tstzrange(v_from, v_to);
end
$$;

CREATE FUNCTION public.auto_create_jobs_for_tracked_symbols() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_symbols text[];
    v_user uuid;
begin
    if tg_op = 'INSERT' then
        -- Users are capped, so that one user can't fill the queue for all.
        for v_user in select distinct user_id from changed order by user_id loop
            perform barkeep.lock_user(v_user);
            if (select count(distinct symbol_id) from public.user_symbol_tracking where user_id = v_user)
                > barkeep.symbols_allowed(v_user)
            then
                raise exception 'At most % symbols per user', barkeep.symbols_allowed(v_user)
                using errcode = 'BK001', hint = 'Remove some symbols first.';
            end if;
        end loop;
    end if;

    select array_agg(distinct s.ticker) into v_symbols
    from changed c join public.symbols s on s.id = c.symbol_id;
    if v_symbols is null then
        return null;
    end if;
    perform barkeep.lock_interest(v_symbols);

    if tg_op <> 'DELETE' then
        insert into public.job_definitions (symbol, timeframe, job_type, window_days, enabled)
        select distinct s.ticker, f.timeframe, barkeep.job_type(f.timeframe), barkeep.window_days(f.timeframe), s.active
        from changed c
        join public.symbols s on s.id = c.symbol_id
        cross join unnest(c.timeframes) as f (timeframe)
        order by 1, 2
        on conflict (symbol, timeframe, job_type) do nothing;
    end if;
    perform barkeep.refresh_definitions(v_symbols);
    -- A hint without content: a process that misses it finds the same at its next tick.
    perform pg_notify('barkeep_wake', '');
    return null;
end
$$;

CREATE FUNCTION public.claim_queued_job() RETURNS TABLE(job_run_id uuid, symbol text, timeframe text, job_type text, slice_from timestamp with time zone, slice_to timestamp with time zone)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.id, r.symbol, r.timeframe, r.job_type, r.slice_from, r.slice_to
    from barkeep.claim_runs('claim_queued_job', 1, interval '10 minutes', false, null) r
$$;

CREATE FUNCTION public.enqueue_job_slices(p_job_def_id uuid, p_symbol text, p_timeframe text, p_job_type text, p_slices jsonb, p_triggered_by text DEFAULT 'cron'::text) RETURNS TABLE(inserted_count integer)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    v_definition public.job_definitions;
    v_taken tstzmultirange;
    v_count int;
begin
    perform barkeep.lock_series(p_symbol, p_timeframe);
    -- Locked, so that a concurrent change of its interest finds the new runs and ranks them too.
    select * into v_definition
    from public.job_definitions d
    where d.id = p_job_def_id
        and d.symbol = p_symbol and d.timeframe = p_timeframe and d.job_type = p_job_type
        and d.enabled and d.suspended_at is null
    for no key update;
    if not found then
        return query select 0;
        return;
    end if;
    select coalesce(range_agg(tstzrange(r.slice_from, r.slice_to)), '{}') into v_taken
    from public.job_runs r
    where r.job_def_id = p_job_def_id
        and r.status in ('queued', 'running', 'failed');

    insert into public.job_runs (
        job_def_id, symbol, timeframe, job_type, slice_from, slice_to, triggered_by, priority, by_interest, rank_at
    )
    with slices as (
        select e.n, tstzrange(
            coalesce(e.j ->> 'from', e.j ->> 'slice_from')::timestamptz,
            coalesce(e.j ->> 'to', e.j ->> 'slice_to')::timestamptz
        ) as slice
        from jsonb_array_elements(p_slices) with ordinality as e (j, n)
    ),
    fresh as (
        select tstzmultirange(s.slice) - v_taken - coalesce(
            range_agg(s.slice) over (order by s.n rows between unbounded preceding and 1 preceding), '{}'
        ) as pieces
        from slices s
    )
    select v_definition.id, v_definition.symbol, v_definition.timeframe, v_definition.job_type, lower(piece),
        upper(piece), p_triggered_by, v_definition.priority, v_definition.by_interest,
        now() - v_definition.priority * interval '6 seconds'
    from fresh cross join unnest(fresh.pieces) as piece;
    get diagnostics v_count = row_count;
    return query select v_count;
end
$$;

CREATE FUNCTION public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer DEFAULT 7) RETURNS TABLE(gap_from timestamp with time zone, gap_to timestamp with time zone, gap_hours numeric)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    v_calendar text;
    v_delisted_at timestamptz;
    v_window tstzrange;
    v_answered tstzmultirange;
begin
    select s.calendar, s.delisted_at into v_calendar, v_delisted_at
    from public.symbols s where s.ticker = barkeep.canonical_ticker(p_symbol);
    if not found or barkeep.window_days(p_timeframe) is null then
        return;
    end if;
    v_window := barkeep.window_of(v_calendar, p_timeframe, p_window_days) * tstzrange(null, v_delisted_at);
    select c.covered - coalesce((
        select range_agg(e.ranges) from barkeep.empty_sessions e
        where e.symbol = c.symbol and e.timeframe = c.timeframe and e.recheck_at <= barkeep.market_now()
    ), '{}') + c.unavailable
    into v_answered
    from public.coverage_status c
    where c.symbol = barkeep.canonical_ticker(p_symbol) and c.timeframe = p_timeframe;

    return query
    select trimmed.f, trimmed.t,
        round((
            select sum(extract(epoch from least(s.close_at, trimmed.t) - greatest(s.open_at, trimmed.f)))
            from barkeep.market_sessions s
            where s.calendar = v_calendar and s.close_at > trimmed.f and s.open_at < trimmed.t
                and s.open_at > trimmed.f - interval '24 hours'
        ) / 3600, 2)
    from unnest(tstzmultirange(v_window) - coalesce(v_answered, '{}')) as missing (r)
    cross join lateral (
        select
            greatest(lower(missing.r), (
                select min(s.open_at) from barkeep.market_sessions s
                where s.calendar = v_calendar
                    and s.close_at = (
                        select min(n.close_at) from barkeep.market_sessions n
                        where n.calendar = v_calendar and n.close_at > lower(missing.r)
                    )
            )) as f,
            least(upper(missing.r), (
                select max(s.close_at) from barkeep.market_sessions s
                where s.calendar = v_calendar
                    and s.open_at = (
                        select max(n.open_at) from barkeep.market_sessions n
                        where n.calendar = v_calendar and n.open_at < upper(missing.r)
                    )
            )) as t
    ) trimmed
    where trimmed.f < trimmed.t
    order by trimmed.f;
end
$$;

CREATE FUNCTION public.get_symbol_timeframe_coverage(p_symbol text) RETURNS TABLE(timeframe text, bars_count bigint, earliest_bar timestamp with time zone, latest_bar timestamp with time zone, coverage_days numeric, last_fetch timestamp with time zone, job_enabled boolean, job_priority integer, expected_bars bigint, stored_bars bigint, missing_bars bigint, completeness numeric, state text, reason text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select c.timeframe, c.bars_count, c.earliest_bar, c.latest_bar, c.coverage_days, c.last_fetch, c.job_enabled,
        c.job_priority, c.expected_bars, c.stored_bars, c.missing_bars, c.completeness, c.state, c.reason
    from barkeep.coverage_of_symbols(array[p_symbol]) c
    order by c.place
$$;

CREATE FUNCTION public.get_timeframe_job_stats(p_hours integer DEFAULT 1) RETURNS TABLE(timeframe text, total_jobs bigint, queued bigint, running bigint, success bigint, failed bigint, total_bars_written bigint, avg_duration_seconds numeric)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.timeframe, count(*),
        count(*) filter (where r.status = 'queued'),
        count(*) filter (where r.status = 'running'),
        count(*) filter (where r.status = 'success'),
        count(*) filter (where r.status = 'failed'),
        coalesce(sum(r.rows_written), 0)::bigint,
        round(avg(extract(epoch from r.finished_at - r.started_at)) filter (where r.status = 'success'), 3)
    from public.job_runs r
    where r.created_at > now() - make_interval(hours => p_hours)
    group by r.timeframe
    order by r.timeframe
$$;

CREATE FUNCTION public.get_user_tracked_symbols_status(p_user_id text) RETURNS TABLE(symbol text, source text, priority integer, tracked_at timestamp with time zone, m15_bars bigint, h1_bars bigint, h4_bars bigint, jobs_pending bigint, jobs_running bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select * from public.get_user_tracked_symbols_status(
        case when p_user_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then p_user_id::uuid end
    )
$_$;

CREATE FUNCTION public.get_user_tracked_symbols_status(p_user_id uuid) RETURNS TABLE(symbol text, source text, priority integer, tracked_at timestamp with time zone, m15_bars bigint, h1_bars bigint, h4_bars bigint, jobs_pending bigint, jobs_running bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select s.ticker, t.source, t.priority, t.created_at, bars.m15, bars.h1, bars.h4, jobs.pending, jobs.running
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    cross join lateral (
        select (select count(*) from barkeep.bars(s.id, 'm15', null, null)) as m15,
            (select count(*) from barkeep.bars(s.id, 'h1', null, null)) as h1,
            (select count(*) from barkeep.bars(s.id, 'h4', null, null)) as h4
    ) bars
    cross join lateral (
        select count(*) filter (where r.status = 'queued') as pending,
            count(*) filter (where r.status = 'running') as running
        from public.job_runs r
        where r.symbol = s.ticker and r.status in ('queued', 'running')
    ) jobs
    where t.user_id = p_user_id
    order by t.priority desc, s.ticker
$$;

CREATE FUNCTION public.reset_stale_running_jobs(p_minutes integer DEFAULT 60, p_max_attempts integer DEFAULT 5) RETURNS TABLE(reset_count integer)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with freed as (
        update public.job_runs r
        set status = case when r.failures >= p_max_attempts then 'failed' else 'queued' end,
            finished_at = case when r.failures >= p_max_attempts then clock_timestamp() end,
            error_code = case when r.failures >= p_max_attempts then 'worker_lost' else r.error_code end,
            error_message = case
                when r.failures >= p_max_attempts then 'Its worker was lost, and it had failed too often before'
                else r.error_message
            end,
            worker = null, lease_until = null, run_after = clock_timestamp(), updated_at = clock_timestamp()
        where r.status = 'running'
            and (r.lease_until < clock_timestamp()
                or r.started_at < clock_timestamp() - make_interval(mins => p_minutes))
        returning r.id
    )
    select count(*)::int from freed
$$;

CREATE FUNCTION public.sync_user_symbols(p_symbols text[], p_source text, p_timeframes text[] DEFAULT '{m15,h1,h4}'::text[]) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_user uuid := auth.uid();
    v_tickers text[];
    v_bad text;
    v_updated int;
begin
    if v_user is null then
        raise exception 'Not signed in' using errcode = '28000', hint = 'Send a token whose sub is a user.';
    end if;
    if coalesce(cardinality(p_symbols), 0) = 0 then
        raise exception 'No symbols provided' using errcode = '22023';
    end if;
    if barkeep.source_priority(p_source) is null then
        raise exception 'Invalid source. Must be: watchlist, recent_search, or chart_view' using errcode = '22023';
    end if;
    select f into v_bad from unnest(p_timeframes) f where barkeep.window_days(f) is null limit 1;
    if found or coalesce(cardinality(p_timeframes), 0) = 0 then
        raise exception 'Invalid timeframe: %', coalesce(v_bad, 'none given')
        using errcode = '22023', hint = 'Valid timeframes are m1, m5, m15, m30, h1, h4, d1 and w1.';
    end if;
    select s into v_bad from unnest(p_symbols) s where barkeep.canonical_ticker(s) is null limit 1;
    if found then
        raise exception 'Invalid symbol: %', coalesce(left(v_bad, 40), 'null') using errcode = '22023';
    end if;
    select array_agg(t order by t) into v_tickers
    from (select distinct barkeep.canonical_ticker(s) as t from unnest(p_symbols) s) d;
    -- The trigger enforces the limit; this check keeps one call from taking all of the server's locks.
    if cardinality(v_tickers) > barkeep.symbols_allowed(v_user) then
        raise exception 'At most % symbols per user', barkeep.symbols_allowed(v_user) using errcode = 'BK001';
    end if;

    -- The user before the symbols, as in the trigger.
    perform barkeep.lock_user(v_user);
    perform barkeep.lock_interest(v_tickers);
    insert into public.symbols (ticker, asset_type, calendar)
    select t, barkeep.asset_type_of(t), barkeep.calendar_of(barkeep.asset_type_of(t))
    from unnest(v_tickers) t
    on conflict (ticker) do nothing;

    insert into public.user_symbol_tracking as held (user_id, symbol_id, source, priority, timeframes)
    select v_user, s.id, p_source, barkeep.source_priority(p_source), w.timeframes
    from public.symbols s
    cross join (select array_agg(distinct f) as timeframes from unnest(p_timeframes) f) w
    where s.ticker = any (v_tickers)
    order by s.ticker
    on conflict (user_id, symbol_id, source) do update
    set timeframes = (select array_agg(distinct f) from unnest(held.timeframes || excluded.timeframes) f),
        updated_at = now();

    select count(*) into v_updated
    from public.job_definitions d
    where d.symbol = any (v_tickers) and d.timeframe = any (p_timeframes);

    return jsonb_build_object(
        'success', true,
        'symbols_tracked', cardinality(v_tickers),
        'symbols_requested', cardinality(p_symbols),
        'timeframes', (select count(distinct f) from unnest(p_timeframes) f),
        'jobs_updated', v_updated,
        'priority', barkeep.source_priority(p_source),
        'source', p_source
    );
end
$$;

CREATE TABLE public.ohlc_bars_v2 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
)
PARTITION BY LIST (timeframe);

ALTER TABLE ONLY public.ohlc_bars_v2 FORCE ROW LEVEL SECURITY;

CREATE FUNCTION public."timestamp"(public.ohlc_bars_v2) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $_$ select $1.ts $_$;

CREATE FUNCTION public.untrack_user_symbols(p_symbols text[], p_source text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_tickers text[];
    v_gone int;
begin
    select array_agg(s.ticker) into v_tickers
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    where t.user_id = auth.uid() and s.ticker in (select barkeep.canonical_ticker(p) from unnest(p_symbols) p);
    -- Before the rows, as a concurrent call that tracks the same symbols does.
    perform barkeep.lock_interest(v_tickers);
    with gone as (
        delete from public.user_symbol_tracking t
        using public.symbols s
        where t.user_id = auth.uid()
            and t.symbol_id = s.id
            and s.ticker = any (v_tickers)
            and (p_source is null or t.source = p_source)
        returning t.symbol_id
    )
    select count(distinct symbol_id) into v_gone from gone;
    return v_gone;
end
$$;

CREATE TABLE auth.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE barkeep.browser_sessions (
    digest bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY barkeep.browser_sessions FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.budget_requests (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    account text NOT NULL,
    sent_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE ONLY barkeep.budget_requests FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.budget_slots (
    account text NOT NULL,
    frees_at timestamp with time zone NOT NULL,
    requests integer NOT NULL,
    CONSTRAINT budget_slots_requests_check CHECK ((requests > 0))
);

ALTER TABLE ONLY barkeep.budget_slots FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.directory (
    ticker text NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    asset_type text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    exchange text DEFAULT ''::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    delisted_at timestamp with time zone,
    renamed_to text,
    rank integer,
    source text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT directory_active_is_not_delisted CHECK (((NOT active) OR ((delisted_at IS NULL) AND (renamed_to IS NULL)))),
    CONSTRAINT directory_asset_type_check CHECK ((asset_type = ANY (ARRAY['stock'::text, 'etf'::text, 'crypto'::text]))),
    CONSTRAINT directory_pairs_are_crypto CHECK (((asset_type = 'crypto'::text) = (barkeep.asset_type_of(ticker) = 'crypto'::text))),
    CONSTRAINT directory_ticker_form CHECK ((ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'::text))
);

ALTER TABLE ONLY barkeep.directory FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.directory_lists (
    asset_class text NOT NULL,
    source text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    entries integer DEFAULT 0 NOT NULL,
    taken_at timestamp with time zone,
    CONSTRAINT directory_lists_asset_class_check CHECK ((asset_class = ANY (ARRAY['stock'::text, 'crypto'::text])))
);

ALTER TABLE ONLY barkeep.directory_lists FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.directory_version (
    only_one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    changed_by xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT directory_version_only_one_check CHECK (only_one)
);

ALTER TABLE ONLY barkeep.directory_version FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.empty_sessions (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    recheck_at timestamp with time zone NOT NULL,
    ranges tstzmultirange NOT NULL
);

ALTER TABLE ONLY barkeep.empty_sessions FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.feeds (
    feed text NOT NULL,
    rank integer NOT NULL
);

ALTER TABLE ONLY barkeep.feeds FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.installation (
    only_row boolean DEFAULT true NOT NULL,
    bars text,
    endpoint text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT installation_bars_check CHECK ((bars = ANY (ARRAY['simulated'::text, 'real'::text]))),
    CONSTRAINT installation_only_row_check CHECK (only_row)
);

ALTER TABLE ONLY barkeep.installation FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.market_calendars (
    calendar text NOT NULL,
    time_zone text NOT NULL,
    grace interval DEFAULT '00:01:00'::interval NOT NULL,
    reread_after interval,
    provided boolean DEFAULT true NOT NULL,
    CONSTRAINT market_calendars_grace_check CHECK ((grace >= '00:00:00'::interval)),
    CONSTRAINT market_calendars_reread_after_check CHECK ((reread_after > '00:00:00'::interval))
);

ALTER TABLE ONLY barkeep.market_calendars FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.market_clock (
    only_row boolean DEFAULT true NOT NULL,
    as_of timestamp with time zone,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT market_clock_as_of_check CHECK (isfinite(as_of)),
    CONSTRAINT market_clock_only_row_check CHECK (only_row)
);

ALTER TABLE ONLY barkeep.market_clock FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.market_sessions (
    calendar text NOT NULL,
    session_date date NOT NULL,
    open_at timestamp with time zone NOT NULL,
    close_at timestamp with time zone NOT NULL,
    early boolean DEFAULT false NOT NULL,
    CONSTRAINT market_sessions_check CHECK (((open_at < close_at) AND ((close_at - open_at) <= '24:00:00'::interval)))
);

ALTER TABLE ONLY barkeep.market_sessions FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.migrations (
    version text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    compatible boolean DEFAULT false NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY barkeep.migrations FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.passwords (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT passwords_are_argon2id CHECK ((hash ~~ '$argon2id$%'::text))
);

ALTER TABLE ONLY barkeep.passwords FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.processes (
    name text NOT NULL,
    parts text[] NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    slots integer DEFAULT 0 NOT NULL,
    address text,
    hears boolean,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT processes_parts_check CHECK (((cardinality(parts) > 0) AND (parts <@ '{serve,plan,work,backfill}'::text[])))
);

ALTER TABLE ONLY barkeep.processes FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.provider_health (
    account text NOT NULL,
    provider text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    unanswered integer DEFAULT 0 NOT NULL,
    last_error text,
    last_failed_at timestamp with time zone,
    last_good_at timestamp with time zone,
    unreachable boolean DEFAULT false NOT NULL,
    resting_until timestamp with time zone
);

ALTER TABLE ONLY barkeep.provider_health FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.quarantined_bars (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    series text NOT NULL,
    ts timestamp with time zone NOT NULL,
    provider text NOT NULL,
    reason text NOT NULL,
    sent double precision[] NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY barkeep.quarantined_bars FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.rereads (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    ranges tstzmultirange NOT NULL
);

ALTER TABLE ONLY barkeep.rereads FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.session_edition (
    only_row boolean DEFAULT true NOT NULL,
    edition bigint DEFAULT 0 NOT NULL,
    stock_hours text DEFAULT 'regular'::text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT session_edition_only_row_check CHECK (only_row),
    CONSTRAINT session_edition_stock_hours_check CHECK ((stock_hours = ANY (ARRAY['regular'::text, 'extended'::text])))
);

ALTER TABLE ONLY barkeep.session_edition FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.session_exceptions (
    calendar text NOT NULL,
    session_date date NOT NULL,
    early_close time without time zone
);

ALTER TABLE ONLY barkeep.session_exceptions FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.sign_in_failures (
    address bytea NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE ONLY barkeep.sign_in_failures FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.sign_in_links (
    digest bytea NOT NULL,
    user_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY barkeep.sign_in_links FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.verifications (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    checked_at timestamp with time zone DEFAULT now() NOT NULL,
    checked bigint NOT NULL,
    sampled bigint NOT NULL,
    findings jsonb NOT NULL
);

ALTER TABLE ONLY barkeep.verifications FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.watchlist_items (
    watchlist_id uuid NOT NULL,
    symbol_id uuid NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY barkeep.watchlist_items FORCE ROW LEVEL SECURITY;

CREATE TABLE barkeep.watchlists (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    "position" integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT watchlists_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 60)))
);

ALTER TABLE ONLY barkeep.watchlists FORCE ROW LEVEL SECURITY;

CREATE TABLE public.orchestrator_heartbeat (
    name text NOT NULL,
    last_seen timestamp with time zone,
    status text DEFAULT 'never ran'::text NOT NULL,
    message text,
    rounds bigint DEFAULT 0 NOT NULL,
    results jsonb,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.orchestrator_heartbeat FORCE ROW LEVEL SECURITY;

CREATE VIEW cron.job WITH (security_invoker='true') AS
 SELECT (1)::bigint AS jobid,
    '* * * * *'::text AS schedule,
    'plan what is due'::text AS command,
    'localhost'::text AS nodename,
    COALESCE(inet_server_port(), (current_setting('port'::text))::integer) AS nodeport,
    (current_database())::text AS database,
    (CURRENT_USER)::text AS username,
    COALESCE((h.last_seen > (now() - '00:03:00'::interval)), false) AS active,
    h.name AS jobname
   FROM public.orchestrator_heartbeat h
  WHERE (h.name = 'orchestrator-tick'::text);

CREATE TABLE public.corporate_actions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    symbol_id uuid NOT NULL,
    ex_date date NOT NULL,
    kind text NOT NULL,
    old_shares double precision,
    new_shares double precision,
    amount double precision,
    source text NOT NULL,
    listed boolean DEFAULT true NOT NULL,
    last_listed date DEFAULT CURRENT_DATE NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT corporate_actions_form CHECK (
CASE kind
    WHEN 'split'::text THEN ((old_shares > (0)::double precision) AND (new_shares > (0)::double precision) AND (amount IS NULL))
    ELSE ((amount > (0)::double precision) AND (old_shares IS NULL) AND (new_shares IS NULL))
END),
    CONSTRAINT corporate_actions_kind_check CHECK ((kind = ANY (ARRAY['split'::text, 'dividend'::text])))
);

ALTER TABLE ONLY public.corporate_actions FORCE ROW LEVEL SECURITY;

CREATE TABLE public.coverage_status (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    from_ts timestamp with time zone,
    to_ts timestamp with time zone,
    covered tstzmultirange DEFAULT '{}'::tstzmultirange NOT NULL,
    unavailable tstzmultirange DEFAULT '{}'::tstzmultirange NOT NULL,
    unavailable_reason text,
    last_success_at timestamp with time zone,
    last_rows_written bigint DEFAULT 0 NOT NULL,
    last_provider text,
    corrections bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.coverage_status FORCE ROW LEVEL SECURITY;

CREATE TABLE public.job_definitions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    job_type text NOT NULL,
    window_days integer NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    base_priority integer,
    by_interest boolean DEFAULT false NOT NULL,
    suspended_at timestamp with time zone,
    suspended_reason text,
    next_due_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    due_reason text DEFAULT 'new series'::text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_definitions_base_priority_check CHECK (((base_priority >= 0) AND (base_priority <= 1000))),
    CONSTRAINT job_definitions_job_type_check CHECK ((job_type = ANY (ARRAY['fetch_intraday'::text, 'fetch_historical'::text]))),
    CONSTRAINT job_definitions_next_due_at_check CHECK (isfinite(next_due_at)),
    CONSTRAINT job_definitions_priority_check CHECK (((priority >= 0) AND (priority <= 1000))),
    CONSTRAINT job_definitions_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text]))),
    CONSTRAINT job_definitions_window_days_check CHECK (((window_days >= 1) AND (window_days <= 36600)))
);

ALTER TABLE ONLY public.job_definitions FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_d1 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_d1 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_h1 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_h1 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_h4 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_h4 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_m1 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_m1 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_m15 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_m15 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_m30 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_m30 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_m5 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_m5 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ohlc_bars_v2_w1 (
    symbol_id uuid NOT NULL,
    timeframe text NOT NULL,
    ts timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision,
    trade_count bigint,
    provider text NOT NULL,
    data_status text DEFAULT 'final'::text NOT NULL,
    fetched_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ohlc_bars_v2_data_status_check CHECK ((data_status = ANY (ARRAY['final'::text, 'provisional'::text]))),
    CONSTRAINT ohlc_bars_v2_timeframe_check CHECK ((timeframe = ANY (ARRAY['m1'::text, 'm5'::text, 'm15'::text, 'm30'::text, 'h1'::text, 'h4'::text, 'd1'::text, 'w1'::text])))
);

ALTER TABLE ONLY public.ohlc_bars_v2_w1 FORCE ROW LEVEL SECURITY;

CREATE TABLE public.symbols (
    id uuid NOT NULL,
    ticker text NOT NULL,
    asset_type text DEFAULT 'stock'::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    exchange text DEFAULT ''::text NOT NULL,
    calendar text DEFAULT 'XNYS'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    listing_checked_at timestamp with time zone,
    listing text DEFAULT 'unchecked'::text NOT NULL,
    delisted_at timestamp with time zone,
    actions_checked_at timestamp with time zone,
    actions_known_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT symbols_asset_type_check CHECK ((asset_type = ANY (ARRAY['stock'::text, 'etf'::text, 'crypto'::text]))),
    CONSTRAINT symbols_listing_check CHECK ((listing = ANY (ARRAY['unchecked'::text, 'listed'::text, 'unknown'::text]))),
    CONSTRAINT symbols_ticker_form CHECK ((ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'::text))
);

ALTER TABLE ONLY public.symbols FORCE ROW LEVEL SECURITY;

CREATE TABLE public.user_symbol_tracking (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    symbol_id uuid NOT NULL,
    source text NOT NULL,
    priority integer NOT NULL,
    timeframes text[] DEFAULT '{m15,h1,h4}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_symbol_tracking_priority CHECK ((priority =
CASE source
    WHEN 'watchlist'::text THEN 300
    WHEN 'chart_view'::text THEN 200
    WHEN 'recent_search'::text THEN 100
    ELSE NULL::integer
END)),
    CONSTRAINT user_symbol_tracking_source CHECK ((source = ANY (ARRAY['watchlist'::text, 'chart_view'::text, 'recent_search'::text]))),
    CONSTRAINT user_symbol_tracking_timeframes_check CHECK (((cardinality(timeframes) > 0) AND (timeframes <@ '{m1,m5,m15,m30,h1,h4,d1,w1}'::text[])))
);

ALTER TABLE ONLY public.user_symbol_tracking FORCE ROW LEVEL SECURITY;

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_d1 FOR VALUES IN ('d1');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_h1 FOR VALUES IN ('h1');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_h4 FOR VALUES IN ('h4');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_m1 FOR VALUES IN ('m1');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_m15 FOR VALUES IN ('m15');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_m30 FOR VALUES IN ('m30');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_m5 FOR VALUES IN ('m5');

ALTER TABLE ONLY public.ohlc_bars_v2 ATTACH PARTITION public.ohlc_bars_v2_w1 FOR VALUES IN ('w1');

ALTER TABLE ONLY auth.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY auth.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY barkeep.browser_sessions
    ADD CONSTRAINT browser_sessions_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY barkeep.budget_requests
    ADD CONSTRAINT budget_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY barkeep.budget_slots
    ADD CONSTRAINT budget_slots_pkey PRIMARY KEY (account, frees_at);

ALTER TABLE ONLY barkeep.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (account);

ALTER TABLE ONLY barkeep.directory
    ADD CONSTRAINT directory_id_key UNIQUE (id);

ALTER TABLE ONLY barkeep.directory_lists
    ADD CONSTRAINT directory_lists_pkey PRIMARY KEY (asset_class);

ALTER TABLE ONLY barkeep.directory
    ADD CONSTRAINT directory_pkey PRIMARY KEY (ticker);

ALTER TABLE ONLY barkeep.directory_version
    ADD CONSTRAINT directory_version_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY barkeep.empty_sessions
    ADD CONSTRAINT empty_sessions_pkey PRIMARY KEY (symbol, timeframe, recheck_at);

ALTER TABLE ONLY barkeep.feeds
    ADD CONSTRAINT feeds_pkey PRIMARY KEY (feed);

ALTER TABLE ONLY barkeep.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY barkeep.market_calendars
    ADD CONSTRAINT market_calendars_pkey PRIMARY KEY (calendar);

ALTER TABLE ONLY barkeep.market_clock
    ADD CONSTRAINT market_clock_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY barkeep.market_sessions
    ADD CONSTRAINT market_sessions_pkey PRIMARY KEY (calendar, session_date);

ALTER TABLE ONLY barkeep.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY barkeep.passwords
    ADD CONSTRAINT passwords_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY barkeep.processes
    ADD CONSTRAINT processes_pkey PRIMARY KEY (name);

ALTER TABLE ONLY barkeep.provider_health
    ADD CONSTRAINT provider_health_pkey PRIMARY KEY (account);

ALTER TABLE ONLY barkeep.quarantined_bars
    ADD CONSTRAINT quarantined_bars_pkey PRIMARY KEY (symbol, series, timeframe, ts, provider);

ALTER TABLE ONLY barkeep.rereads
    ADD CONSTRAINT rereads_pkey PRIMARY KEY (symbol, timeframe, due_at);

ALTER TABLE ONLY barkeep.session_edition
    ADD CONSTRAINT session_edition_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY barkeep.session_exceptions
    ADD CONSTRAINT session_exceptions_pkey PRIMARY KEY (calendar, session_date);

ALTER TABLE ONLY barkeep.sign_in_links
    ADD CONSTRAINT sign_in_links_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY barkeep.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (symbol, timeframe);

ALTER TABLE ONLY barkeep.watchlist_items
    ADD CONSTRAINT watchlist_items_pkey PRIMARY KEY (watchlist_id, symbol_id);

ALTER TABLE ONLY barkeep.watchlists
    ADD CONSTRAINT watchlists_name_once UNIQUE (user_id, name);

ALTER TABLE ONLY barkeep.watchlists
    ADD CONSTRAINT watchlists_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.corporate_actions
    ADD CONSTRAINT corporate_actions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.coverage_status
    ADD CONSTRAINT coverage_status_pkey PRIMARY KEY (symbol, timeframe);

ALTER TABLE ONLY public.job_definitions
    ADD CONSTRAINT job_definitions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.job_definitions
    ADD CONSTRAINT job_definitions_symbol_timeframe_job_type_key UNIQUE (symbol, timeframe, job_type);

ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ohlc_bars_v2
    ADD CONSTRAINT ohlc_bars_v2_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_d1
    ADD CONSTRAINT ohlc_bars_v2_d1_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_h1
    ADD CONSTRAINT ohlc_bars_v2_h1_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_h4
    ADD CONSTRAINT ohlc_bars_v2_h4_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_m15
    ADD CONSTRAINT ohlc_bars_v2_m15_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_m1
    ADD CONSTRAINT ohlc_bars_v2_m1_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_m30
    ADD CONSTRAINT ohlc_bars_v2_m30_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_m5
    ADD CONSTRAINT ohlc_bars_v2_m5_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.ohlc_bars_v2_w1
    ADD CONSTRAINT ohlc_bars_v2_w1_pkey PRIMARY KEY (symbol_id, timeframe, ts);

ALTER TABLE ONLY public.orchestrator_heartbeat
    ADD CONSTRAINT orchestrator_heartbeat_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.symbols
    ADD CONSTRAINT symbols_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.symbols
    ADD CONSTRAINT symbols_ticker_key UNIQUE (ticker);

ALTER TABLE ONLY public.user_symbol_tracking
    ADD CONSTRAINT user_symbol_tracking_once UNIQUE (user_id, symbol_id, source);

ALTER TABLE ONLY public.user_symbol_tracking
    ADD CONSTRAINT user_symbol_tracking_pkey PRIMARY KEY (id);

CREATE INDEX browser_sessions_by_user ON barkeep.browser_sessions USING btree (user_id);

CREATE INDEX budget_requests_account ON barkeep.budget_requests USING btree (account, sent_at);

CREATE UNIQUE INDEX market_sessions_close ON barkeep.market_sessions USING btree (calendar, close_at);

CREATE UNIQUE INDEX market_sessions_open ON barkeep.market_sessions USING btree (calendar, open_at);

CREATE INDEX sign_in_failures_by_address ON barkeep.sign_in_failures USING btree (address, at);

CREATE INDEX watchlist_items_by_symbol ON barkeep.watchlist_items USING btree (symbol_id);

CREATE UNIQUE INDEX corporate_actions_one_record ON public.corporate_actions USING btree (symbol_id, ex_date, kind, source, COALESCE((new_shares / old_shares), (0)::double precision));

CREATE INDEX coverage_status_updated ON public.coverage_status USING btree (updated_at);

CREATE INDEX job_definitions_due ON public.job_definitions USING btree (next_due_at) WHERE (enabled AND (suspended_at IS NULL));

CREATE INDEX job_runs_claim ON public.job_runs USING btree (by_interest DESC, rank_at, slice_to DESC, id) WHERE (status = 'queued'::text);

CREATE INDEX job_runs_created ON public.job_runs USING btree (created_at DESC);

CREATE INDEX job_runs_lease ON public.job_runs USING btree (lease_until) WHERE (status = 'running'::text);

CREATE INDEX job_runs_open ON public.job_runs USING btree (job_def_id) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text, 'failed'::text]));

CREATE INDEX job_runs_queued_end ON public.job_runs USING btree (slice_to, by_interest DESC, rank_at) WHERE (status = 'queued'::text);

CREATE INDEX job_runs_queued_symbol ON public.job_runs USING btree (symbol) WHERE (status = 'queued'::text);

CREATE INDEX job_runs_series ON public.job_runs USING btree (symbol, timeframe, created_at DESC);

CREATE INDEX user_symbol_tracking_expiry ON public.user_symbol_tracking USING btree (updated_at) WHERE (source <> 'watchlist'::text);

CREATE INDEX user_symbol_tracking_symbol ON public.user_symbol_tracking USING btree (symbol_id);

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_d1_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_h1_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_h4_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_m15_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_m1_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_m30_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_m5_pkey;

ALTER INDEX public.ohlc_bars_v2_pkey ATTACH PARTITION public.ohlc_bars_v2_w1_pkey;

CREATE CONSTRAINT TRIGGER directory_changed AFTER UPDATE ON barkeep.directory DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((((((old.ticker IS DISTINCT FROM new.ticker) OR (old.id IS DISTINCT FROM new.id)) OR (old.asset_type IS DISTINCT FROM new.asset_type)) OR (old.name IS DISTINCT FROM new.name)) OR (old.exchange IS DISTINCT FROM new.exchange)) OR (old.active IS DISTINCT FROM new.active)) OR (old.renamed_to IS DISTINCT FROM new.renamed_to)) OR (old.rank IS DISTINCT FROM new.rank))) EXECUTE FUNCTION barkeep.directory_changed();

CREATE CONSTRAINT TRIGGER directory_grew AFTER INSERT OR DELETE ON barkeep.directory DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION barkeep.directory_changed();

CREATE TRIGGER coverage_shrank_on_delete AFTER DELETE ON public.coverage_status REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION barkeep.coverage_shrank();

CREATE TRIGGER coverage_shrank_on_update AFTER UPDATE ON public.coverage_status REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION barkeep.coverage_shrank();

CREATE CONSTRAINT TRIGGER directory_symbol_came AFTER INSERT ON public.symbols DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION barkeep.symbol_came();

CREATE CONSTRAINT TRIGGER directory_symbol_changed AFTER UPDATE ON public.symbols DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((((((old.ticker IS DISTINCT FROM new.ticker) OR (old.id IS DISTINCT FROM new.id)) OR (old.asset_type IS DISTINCT FROM new.asset_type)) OR (old.description IS DISTINCT FROM new.description)) OR (old.exchange IS DISTINCT FROM new.exchange)) OR (old.active IS DISTINCT FROM new.active)) OR (old.listing IS DISTINCT FROM new.listing)) OR (old.delisted_at IS DISTINCT FROM new.delisted_at))) EXECUTE FUNCTION barkeep.directory_changed();

CREATE CONSTRAINT TRIGGER directory_symbol_went AFTER DELETE ON public.symbols DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION barkeep.directory_changed();

CREATE TRIGGER job_runs_requeue BEFORE UPDATE ON public.job_runs FOR EACH ROW WHEN (((new.status = 'queued'::text) AND (old.status <> 'queued'::text))) EXECUTE FUNCTION barkeep.requeue();

CREATE TRIGGER job_runs_reread BEFORE INSERT ON public.job_runs FOR EACH ROW EXECUTE FUNCTION barkeep.reread_is_queued();

CREATE TRIGGER job_runs_reread_failed BEFORE UPDATE ON public.job_runs FOR EACH ROW WHEN (((new.status = 'failed'::text) AND (new.triggered_by = 'reread'::text))) EXECUTE FUNCTION barkeep.reread_failed();

CREATE TRIGGER ohlc_bars_corrections AFTER UPDATE ON public.ohlc_bars_v2 REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION barkeep.count_corrections();

CREATE TRIGGER symbol_from_directory BEFORE INSERT ON public.symbols FOR EACH ROW EXECUTE FUNCTION barkeep.symbol_from_directory();

CREATE TRIGGER trigger_auto_create_jobs AFTER INSERT ON public.user_symbol_tracking REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.auto_create_jobs_for_tracked_symbols();

CREATE TRIGGER trigger_auto_create_jobs_on_delete AFTER DELETE ON public.user_symbol_tracking REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.auto_create_jobs_for_tracked_symbols();

CREATE TRIGGER trigger_auto_create_jobs_on_update AFTER UPDATE ON public.user_symbol_tracking REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.auto_create_jobs_for_tracked_symbols();

CREATE TRIGGER watchlists_on_delete AFTER DELETE ON public.user_symbol_tracking REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION barkeep.take_off_watchlists();

CREATE TRIGGER watchlists_on_insert AFTER INSERT ON public.user_symbol_tracking REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION barkeep.put_on_watchlist();

ALTER TABLE ONLY barkeep.browser_sessions
    ADD CONSTRAINT browser_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.budget_requests
    ADD CONSTRAINT budget_requests_account_fkey FOREIGN KEY (account) REFERENCES barkeep.budgets(account) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.budget_slots
    ADD CONSTRAINT budget_slots_account_fkey FOREIGN KEY (account) REFERENCES barkeep.budgets(account) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.empty_sessions
    ADD CONSTRAINT empty_sessions_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.market_sessions
    ADD CONSTRAINT market_sessions_calendar_fkey FOREIGN KEY (calendar) REFERENCES barkeep.market_calendars(calendar);

ALTER TABLE ONLY barkeep.passwords
    ADD CONSTRAINT passwords_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.quarantined_bars
    ADD CONSTRAINT quarantined_bars_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.rereads
    ADD CONSTRAINT rereads_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.session_exceptions
    ADD CONSTRAINT session_exceptions_calendar_fkey FOREIGN KEY (calendar) REFERENCES barkeep.market_calendars(calendar);

ALTER TABLE ONLY barkeep.sign_in_links
    ADD CONSTRAINT sign_in_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.verifications
    ADD CONSTRAINT verifications_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.watchlist_items
    ADD CONSTRAINT watchlist_items_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.symbols(id) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.watchlist_items
    ADD CONSTRAINT watchlist_items_watchlist_id_fkey FOREIGN KEY (watchlist_id) REFERENCES barkeep.watchlists(id) ON DELETE CASCADE;

ALTER TABLE ONLY barkeep.watchlists
    ADD CONSTRAINT watchlists_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.corporate_actions
    ADD CONSTRAINT corporate_actions_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.symbols(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.coverage_status
    ADD CONSTRAINT coverage_status_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY public.job_definitions
    ADD CONSTRAINT job_definitions_symbol_fkey FOREIGN KEY (symbol) REFERENCES public.symbols(ticker) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY public.job_runs
    ADD CONSTRAINT job_runs_job_def_id_fkey FOREIGN KEY (job_def_id) REFERENCES public.job_definitions(id) ON DELETE CASCADE;

ALTER TABLE public.ohlc_bars_v2
    ADD CONSTRAINT ohlc_bars_v2_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.symbols(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.symbols
    ADD CONSTRAINT symbols_calendar_fkey FOREIGN KEY (calendar) REFERENCES barkeep.market_calendars(calendar);

ALTER TABLE ONLY public.user_symbol_tracking
    ADD CONSTRAINT user_symbol_tracking_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.symbols(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_symbol_tracking
    ADD CONSTRAINT user_symbol_tracking_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;

ALTER TABLE barkeep.browser_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.budget_requests ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.budget_slots ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.budgets ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.directory ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.directory_lists ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.directory_version ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.empty_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.feeds ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.installation ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.market_calendars ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.market_clock ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.market_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.migrations ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON barkeep.watchlist_items TO authenticated USING ((watchlist_id IN ( SELECT l.id
   FROM barkeep.watchlists l
  WHERE (l.user_id = ( SELECT auth.uid() AS uid))))) WITH CHECK ((watchlist_id IN ( SELECT l.id
   FROM barkeep.watchlists l
  WHERE (l.user_id = ( SELECT auth.uid() AS uid)))));

CREATE POLICY own ON barkeep.watchlists TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));

ALTER TABLE barkeep.passwords ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.processes ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.provider_health ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.quarantined_bars ENABLE ROW LEVEL SECURITY;

CREATE POLICY readable ON barkeep.directory FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON barkeep.directory_version FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON barkeep.market_calendars FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON barkeep.market_clock FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON barkeep.market_sessions FOR SELECT TO authenticated USING (true);

ALTER TABLE barkeep.rereads ENABLE ROW LEVEL SECURITY;

CREATE POLICY service ON barkeep.browser_sessions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.budget_requests TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.budget_slots TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.budgets TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.directory TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.directory_lists TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.directory_version TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.empty_sessions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.feeds TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.installation TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.market_calendars TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.market_clock TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.market_sessions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.migrations TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.passwords TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.processes TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.provider_health TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.quarantined_bars TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.rereads TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.session_edition TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.session_exceptions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.sign_in_failures TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.sign_in_links TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.verifications TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.watchlist_items TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON barkeep.watchlists TO barkeep, service_role USING (true) WITH CHECK (true);

ALTER TABLE barkeep.session_edition ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.session_exceptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.sign_in_failures ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.sign_in_links ENABLE ROW LEVEL SECURITY;

CREATE POLICY tracked ON barkeep.empty_sessions FOR SELECT TO authenticated USING ((symbol IN ( SELECT s.ticker
   FROM (public.user_symbol_tracking t
     JOIN public.symbols s ON ((s.id = t.symbol_id)))
  WHERE (t.user_id = ( SELECT auth.uid() AS uid)))));

CREATE POLICY tracked ON barkeep.quarantined_bars FOR SELECT TO authenticated USING ((symbol IN ( SELECT s.ticker
   FROM (public.user_symbol_tracking t
     JOIN public.symbols s ON ((s.id = t.symbol_id)))
  WHERE (t.user_id = ( SELECT auth.uid() AS uid)))));

ALTER TABLE barkeep.verifications ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.watchlist_items ENABLE ROW LEVEL SECURITY;

ALTER TABLE barkeep.watchlists ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.corporate_actions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coverage_status ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_definitions ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_d1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_h1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_h4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_m1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_m15 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_m30 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_m5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ohlc_bars_v2_w1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.orchestrator_heartbeat ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON public.user_symbol_tracking TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));

CREATE POLICY readable ON public.corporate_actions FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON public.ohlc_bars_v2 FOR SELECT TO authenticated USING (true);

CREATE POLICY readable ON public.symbols FOR SELECT TO authenticated USING (true);

CREATE POLICY service ON public.corporate_actions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.coverage_status TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.job_definitions TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.job_runs TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_d1 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_h1 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_h4 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_m1 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_m15 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_m30 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_m5 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.ohlc_bars_v2_w1 TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.orchestrator_heartbeat TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.symbols TO barkeep, service_role USING (true) WITH CHECK (true);

CREATE POLICY service ON public.user_symbol_tracking TO barkeep, service_role USING (true) WITH CHECK (true);

ALTER TABLE public.symbols ENABLE ROW LEVEL SECURITY;

CREATE POLICY tracked ON public.coverage_status FOR SELECT TO authenticated USING ((symbol IN ( SELECT s.ticker
   FROM (public.user_symbol_tracking t
     JOIN public.symbols s ON ((s.id = t.symbol_id)))
  WHERE (t.user_id = ( SELECT auth.uid() AS uid)))));

CREATE POLICY tracked ON public.job_definitions FOR SELECT TO authenticated USING ((symbol IN ( SELECT s.ticker
   FROM (public.user_symbol_tracking t
     JOIN public.symbols s ON ((s.id = t.symbol_id)))
  WHERE (t.user_id = ( SELECT auth.uid() AS uid)))));

CREATE POLICY tracked ON public.job_runs FOR SELECT TO authenticated USING ((symbol IN ( SELECT s.ticker
   FROM (public.user_symbol_tracking t
     JOIN public.symbols s ON ((s.id = t.symbol_id)))
  WHERE (t.user_id = ( SELECT auth.uid() AS uid)))));

ALTER TABLE public.user_symbol_tracking ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA auth TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
GRANT USAGE ON SCHEMA auth TO service_role;

GRANT USAGE ON SCHEMA barkeep TO authenticated;
GRANT USAGE ON SCHEMA barkeep TO service_role;

GRANT USAGE ON SCHEMA cron TO service_role;

GRANT USAGE ON SCHEMA public TO anon;
GRANT USAGE ON SCHEMA public TO authenticated;
GRANT USAGE ON SCHEMA public TO service_role;

GRANT ALL ON FUNCTION auth.uid() TO anon;
GRANT ALL ON FUNCTION auth.uid() TO authenticated;
GRANT ALL ON FUNCTION auth.uid() TO service_role;

REVOKE ALL ON FUNCTION barkeep.asset_type_of(p_ticker text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.asset_type_of(p_ticker text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.bars(p_symbol_id uuid, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.bars(p_symbol_id uuid, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) TO service_role;
GRANT ALL ON FUNCTION barkeep.bars(p_symbol_id uuid, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.bars_exist(p_symbol_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.bars_exist(p_symbol_id uuid) TO service_role;
GRANT ALL ON FUNCTION barkeep.bars_exist(p_symbol_id uuid) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.bars_stored(p_symbol_id uuid, p_timeframe text, p_calendar text, p_window tstzrange) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.bars_stored(p_symbol_id uuid, p_timeframe text, p_calendar text, p_window tstzrange) TO service_role;
GRANT ALL ON FUNCTION barkeep.bars_stored(p_symbol_id uuid, p_timeframe text, p_calendar text, p_window tstzrange) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.block_account(p_account text, p_wait interval, p_message text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.block_account(p_account text, p_wait interval, p_message text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.budget_kept(p_requests_per_minute integer) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.budget_kept(p_requests_per_minute integer) TO service_role;

REVOKE ALL ON FUNCTION barkeep.budget_standing(p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.budget_standing(p_account text) TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.budgets TO service_role;

REVOKE ALL ON FUNCTION barkeep.budget_wait(p_budget barkeep.budgets, p_kept integer, p_now timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.budget_wait(p_budget barkeep.budgets, p_kept integer, p_now timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION barkeep.calendar_of(p_asset_type text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.calendar_of(p_asset_type text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.calendar_of(p_asset_type text, p_exchange text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.calendar_of(p_asset_type text, p_exchange text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.canonical_ticker(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.canonical_ticker(p_text text) TO service_role;
GRANT ALL ON FUNCTION barkeep.canonical_ticker(p_text text) TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_runs TO service_role;
GRANT SELECT ON TABLE public.job_runs TO authenticated;

REVOKE ALL ON FUNCTION barkeep.claim_chosen(p_worker text, p_lease interval, p_runs uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.claim_chosen(p_worker text, p_lease interval, p_runs uuid[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.claim_runs(p_worker text, p_limit integer, p_lease interval, p_background_first boolean, p_symbols text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.claim_runs(p_worker text, p_limit integer, p_lease interval, p_background_first boolean, p_symbols text[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.count_corrections() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.count_corrections() TO service_role;

REVOKE ALL ON FUNCTION barkeep.coverage_of_symbols(p_symbols text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.coverage_of_symbols(p_symbols text[]) TO service_role;
GRANT ALL ON FUNCTION barkeep.coverage_of_symbols(p_symbols text[]) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.coverage_shrank() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.coverage_shrank() TO service_role;

REVOKE ALL ON FUNCTION barkeep.delete_bars(p_symbol_ids uuid[], p_timeframes text[], p_ranges tstzmultirange) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.delete_bars(p_symbol_ids uuid[], p_timeframes text[], p_ranges tstzmultirange) TO service_role;

REVOKE ALL ON FUNCTION barkeep.directory_changed() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.directory_changed() TO service_role;

REVOKE ALL ON FUNCTION barkeep.expected_bars(p_calendar text, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.expected_bars(p_calendar text, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) TO service_role;
GRANT ALL ON FUNCTION barkeep.expected_bars(p_calendar text, p_timeframe text, p_from timestamp with time zone, p_to timestamp with time zone) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.expire_interest() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.expire_interest() TO service_role;

REVOKE ALL ON FUNCTION barkeep.feed_rank(p_provenance text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.feed_rank(p_provenance text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.final_until(p_calendar text, p_timeframe text, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.final_until(p_calendar text, p_timeframe text, p_at timestamp with time zone) TO service_role;
GRANT ALL ON FUNCTION barkeep.final_until(p_calendar text, p_timeframe text, p_at timestamp with time zone) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.finish_runs(p_worker text, p_runs uuid[], p_attempts integer[], p_from timestamp with time zone[], p_to timestamp with time zone[], p_rows bigint[], p_requests integer[], p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.finish_runs(p_worker text, p_runs uuid[], p_attempts integer[], p_from timestamp with time zone[], p_to timestamp with time zone[], p_rows bigint[], p_requests integer[], p_provider text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.has_lease(p_run public.job_runs, p_worker text, p_attempt integer) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.has_lease(p_run public.job_runs, p_worker text, p_attempt integer) TO service_role;

REVOKE ALL ON FUNCTION barkeep.install_schedule() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.install_schedule() TO service_role;

REVOKE ALL ON FUNCTION barkeep.is_live(p_source text, p_updated_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.is_live(p_source text, p_updated_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION barkeep.job_type(p_timeframe text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.job_type(p_timeframe text) TO service_role;
GRANT ALL ON FUNCTION barkeep.job_type(p_timeframe text) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.latest_bars(p_symbol_id uuid, p_timeframe text, p_count bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.latest_bars(p_symbol_id uuid, p_timeframe text, p_count bigint) TO service_role;
GRANT ALL ON FUNCTION barkeep.latest_bars(p_symbol_id uuid, p_timeframe text, p_count bigint) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.lock_due(p_definitions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_due(p_definitions uuid[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.lock_interest(p_symbols text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_interest(p_symbols text[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.lock_runs(p_worker text, p_runs uuid[], p_attempts integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_runs(p_worker text, p_runs uuid[], p_attempts integer[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.lock_series(p_symbol text, p_timeframe text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_series(p_symbol text, p_timeframe text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.lock_sessions_shared() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_sessions_shared() TO service_role;

REVOKE ALL ON FUNCTION barkeep.lock_user(p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.lock_user(p_user uuid) TO service_role;

REVOKE ALL ON FUNCTION barkeep.longest_request() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.longest_request() TO service_role;

REVOKE ALL ON FUNCTION barkeep.make_due(p_definitions uuid[], p_reason text, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.make_due(p_definitions uuid[], p_reason text, p_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION barkeep.market_now() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.market_now() TO service_role;
GRANT ALL ON FUNCTION barkeep.market_now() TO authenticated;

REVOKE ALL ON FUNCTION barkeep.next_bar_due(p_calendar text, p_timeframe text, p_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.next_bar_due(p_calendar text, p_timeframe text, p_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION barkeep.note_rereads(p_symbols text[], p_timeframes text[], p_froms timestamp with time zone[], p_tos timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.note_rereads(p_symbols text[], p_timeframes text[], p_froms timestamp with time zone[], p_tos timestamp with time zone[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.open_account(p_account text, p_provider text, p_requests_per_minute integer) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.open_account(p_account text, p_provider text, p_requests_per_minute integer) TO service_role;

REVOKE ALL ON FUNCTION barkeep.pack_candidates(p_by_interest boolean, p_symbols text[], p_crypto boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.pack_candidates(p_by_interest boolean, p_symbols text[], p_crypto boolean) TO service_role;

REVOKE ALL ON FUNCTION barkeep.provider_answered(p_account text, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.provider_answered(p_account text, p_provider text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.provider_failed(p_account text, p_provider text, p_message text, p_unanswered boolean, p_unreachable boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.provider_failed(p_account text, p_provider text, p_message text, p_unanswered boolean, p_unreachable boolean) TO service_role;

REVOKE ALL ON FUNCTION barkeep.provider_not_tried(p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.provider_not_tried(p_account text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.put_on_watchlist() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.put_on_watchlist() TO service_role;

REVOKE ALL ON FUNCTION barkeep.readmit_failed() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.readmit_failed() TO service_role;

REVOKE ALL ON FUNCTION barkeep.record_failure(p_run uuid, p_worker text, p_attempt integer, p_code text, p_message text, p_retry_after interval, p_counts boolean, p_unanswered text, p_in_part boolean, p_final boolean, p_requests integer) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.record_failure(p_run uuid, p_worker text, p_attempt integer, p_code text, p_message text, p_retry_after interval, p_counts boolean, p_unanswered text, p_in_part boolean, p_final boolean, p_requests integer) TO service_role;

REVOKE ALL ON FUNCTION barkeep.refresh_definitions(p_symbols text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.refresh_definitions(p_symbols text[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.release_leases(p_worker_prefix text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.release_leases(p_worker_prefix text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.renew_leases(p_worker text, p_lease interval, p_runs uuid[], p_attempts integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.renew_leases(p_worker text, p_lease interval, p_runs uuid[], p_attempts integer[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.replace_sessions(p_calendar text, p_dates text[], p_opens timestamp with time zone[], p_closes timestamp with time zone[], p_earlies boolean[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.replace_sessions(p_calendar text, p_dates text[], p_opens timestamp with time zone[], p_closes timestamp with time zone[], p_earlies boolean[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.request_answered(p_account text, p_request uuid, p_limit integer, p_remaining integer, p_reset bigint, p_reset_after interval, p_turned_away interval) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.request_answered(p_account text, p_request uuid, p_limit integer, p_remaining integer, p_reset bigint, p_reset_after interval, p_turned_away interval) TO service_role;

REVOKE ALL ON FUNCTION barkeep.requeue() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.requeue() TO service_role;

REVOKE ALL ON FUNCTION barkeep.reread_failed() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.reread_failed() TO service_role;

REVOKE ALL ON FUNCTION barkeep.reread_is_queued() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.reread_is_queued() TO service_role;

REVOKE ALL ON FUNCTION barkeep.resume_symbol(p_symbol text, p_description text, p_exchange text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.resume_symbol(p_symbol text, p_description text, p_exchange text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.retry_failed(p_symbols text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.retry_failed(p_symbols text[]) TO service_role;

REVOKE ALL ON FUNCTION barkeep.source_priority(p_source text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.source_priority(p_source text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.suspend_symbol(p_symbol text, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.suspend_symbol(p_symbol text, p_reason text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.symbol_came() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.symbol_came() TO service_role;

REVOKE ALL ON FUNCTION barkeep.symbol_from_directory() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.symbol_from_directory() TO service_role;

REVOKE ALL ON FUNCTION barkeep.symbols_allowed(p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.symbols_allowed(p_user uuid) TO service_role;

REVOKE ALL ON FUNCTION barkeep.take_off_watchlists() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.take_off_watchlists() TO service_role;

REVOKE ALL ON FUNCTION barkeep.take_request(p_account text, p_background boolean, OUT request_id uuid, OUT wait interval, OUT refused text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.take_request(p_account text, p_background boolean, OUT request_id uuid, OUT wait interval, OUT refused text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.through_closed_hours(p_calendar text, p_range tstzrange) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.through_closed_hours(p_calendar text, p_range tstzrange) TO service_role;

REVOKE ALL ON FUNCTION barkeep.timeframe_step(p_timeframe text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.timeframe_step(p_timeframe text) TO service_role;
GRANT ALL ON FUNCTION barkeep.timeframe_step(p_timeframe text) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.try_provider(p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.try_provider(p_account text) TO service_role;

REVOKE ALL ON FUNCTION barkeep.wake() FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.wake() TO service_role;

REVOKE ALL ON FUNCTION barkeep.window_days(p_timeframe text) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.window_days(p_timeframe text) TO service_role;
GRANT ALL ON FUNCTION barkeep.window_days(p_timeframe text) TO authenticated;

REVOKE ALL ON FUNCTION barkeep.window_of(p_calendar text, p_timeframe text, p_window_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION barkeep.window_of(p_calendar text, p_timeframe text, p_window_days integer) TO service_role;
GRANT ALL ON FUNCTION barkeep.window_of(p_calendar text, p_timeframe text, p_window_days integer) TO authenticated;

REVOKE ALL ON FUNCTION public.auto_create_jobs_for_tracked_symbols() FROM PUBLIC;
GRANT ALL ON FUNCTION public.auto_create_jobs_for_tracked_symbols() TO service_role;

REVOKE ALL ON FUNCTION public.claim_queued_job() FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_queued_job() TO service_role;

REVOKE ALL ON FUNCTION public.enqueue_job_slices(p_job_def_id uuid, p_symbol text, p_timeframe text, p_job_type text, p_slices jsonb, p_triggered_by text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enqueue_job_slices(p_job_def_id uuid, p_symbol text, p_timeframe text, p_job_type text, p_slices jsonb, p_triggered_by text) TO service_role;

REVOKE ALL ON FUNCTION public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer) TO service_role;
GRANT ALL ON FUNCTION public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer) TO authenticated;

REVOKE ALL ON FUNCTION public.get_symbol_timeframe_coverage(p_symbol text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_symbol_timeframe_coverage(p_symbol text) TO service_role;
GRANT ALL ON FUNCTION public.get_symbol_timeframe_coverage(p_symbol text) TO authenticated;

REVOKE ALL ON FUNCTION public.get_timeframe_job_stats(p_hours integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_timeframe_job_stats(p_hours integer) TO service_role;
GRANT ALL ON FUNCTION public.get_timeframe_job_stats(p_hours integer) TO authenticated;

REVOKE ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id text) TO service_role;
GRANT ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id text) TO authenticated;

REVOKE ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id uuid) TO service_role;
GRANT ALL ON FUNCTION public.get_user_tracked_symbols_status(p_user_id uuid) TO authenticated;

REVOKE ALL ON FUNCTION public.reset_stale_running_jobs(p_minutes integer, p_max_attempts integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reset_stale_running_jobs(p_minutes integer, p_max_attempts integer) TO service_role;

REVOKE ALL ON FUNCTION public.sync_user_symbols(p_symbols text[], p_source text, p_timeframes text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.sync_user_symbols(p_symbols text[], p_source text, p_timeframes text[]) TO service_role;
GRANT ALL ON FUNCTION public.sync_user_symbols(p_symbols text[], p_source text, p_timeframes text[]) TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2 TO service_role;
GRANT SELECT ON TABLE public.ohlc_bars_v2 TO authenticated;

REVOKE ALL ON FUNCTION public."timestamp"(public.ohlc_bars_v2) FROM PUBLIC;
GRANT ALL ON FUNCTION public."timestamp"(public.ohlc_bars_v2) TO service_role;
GRANT ALL ON FUNCTION public."timestamp"(public.ohlc_bars_v2) TO authenticated;

REVOKE ALL ON FUNCTION public.untrack_user_symbols(p_symbols text[], p_source text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.untrack_user_symbols(p_symbols text[], p_source text) TO service_role;
GRANT ALL ON FUNCTION public.untrack_user_symbols(p_symbols text[], p_source text) TO authenticated;

GRANT SELECT ON TABLE auth.users TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.browser_sessions TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.budget_requests TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.budget_slots TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.directory TO service_role;
GRANT SELECT ON TABLE barkeep.directory TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.directory_lists TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.directory_version TO service_role;
GRANT SELECT ON TABLE barkeep.directory_version TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.empty_sessions TO service_role;
GRANT SELECT ON TABLE barkeep.empty_sessions TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.feeds TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.installation TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.market_calendars TO service_role;
GRANT SELECT ON TABLE barkeep.market_calendars TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.market_clock TO service_role;
GRANT SELECT ON TABLE barkeep.market_clock TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.market_sessions TO service_role;
GRANT SELECT ON TABLE barkeep.market_sessions TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.migrations TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.passwords TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.processes TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.provider_health TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.quarantined_bars TO service_role;
GRANT SELECT ON TABLE barkeep.quarantined_bars TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.rereads TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.session_edition TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.session_exceptions TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.sign_in_failures TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.sign_in_links TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.verifications TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.watchlist_items TO service_role;
GRANT SELECT,DELETE ON TABLE barkeep.watchlist_items TO authenticated;

GRANT INSERT(watchlist_id) ON TABLE barkeep.watchlist_items TO authenticated;

GRANT INSERT(symbol_id) ON TABLE barkeep.watchlist_items TO authenticated;

GRANT INSERT("position"),UPDATE("position") ON TABLE barkeep.watchlist_items TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE barkeep.watchlists TO service_role;
GRANT SELECT,DELETE ON TABLE barkeep.watchlists TO authenticated;

GRANT INSERT(user_id) ON TABLE barkeep.watchlists TO authenticated;

GRANT INSERT(name),UPDATE(name) ON TABLE barkeep.watchlists TO authenticated;

GRANT INSERT("position"),UPDATE("position") ON TABLE barkeep.watchlists TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orchestrator_heartbeat TO service_role;

GRANT SELECT ON TABLE cron.job TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.corporate_actions TO service_role;
GRANT SELECT ON TABLE public.corporate_actions TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.coverage_status TO service_role;
GRANT SELECT ON TABLE public.coverage_status TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_definitions TO service_role;
GRANT SELECT ON TABLE public.job_definitions TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_d1 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_h1 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_h4 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_m1 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_m15 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_m30 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_m5 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ohlc_bars_v2_w1 TO service_role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.symbols TO service_role;
GRANT SELECT ON TABLE public.symbols TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.user_symbol_tracking TO service_role;
GRANT SELECT,DELETE ON TABLE public.user_symbol_tracking TO authenticated;

GRANT INSERT(user_id) ON TABLE public.user_symbol_tracking TO authenticated;

GRANT INSERT(symbol_id) ON TABLE public.user_symbol_tracking TO authenticated;

GRANT INSERT(source) ON TABLE public.user_symbol_tracking TO authenticated;

GRANT INSERT(priority) ON TABLE public.user_symbol_tracking TO authenticated;

GRANT INSERT(timeframes),UPDATE(timeframes) ON TABLE public.user_symbol_tracking TO authenticated;
