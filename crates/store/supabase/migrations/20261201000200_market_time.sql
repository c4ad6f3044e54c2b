-- The market's clock, its calendars, their sessions and the grid of bars in them. Instants only: exchange time is
-- needed for one thing, the day on which a window begins.

create table barkeep.market_clock (
    only_row boolean primary key default true check (only_row),
    as_of timestamptz check (isfinite(as_of)),
    set_at timestamptz not null default now()
);
insert into barkeep.market_clock default values;

-- The market's time: wall time, or running on from the instant given with --as-of. Leases, tokens and created_at keep
-- wall time.
create function barkeep.market_now() returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(as_of + (now() - set_at), now()) from barkeep.market_clock
$$;

create table barkeep.market_calendars (
    calendar text primary key,
    time_zone text not null,
    -- How long after its end the provider may still change or delay a bar.
    grace interval not null default interval '1 minute' check (grace >= interval '0'),
    -- How long after its close a session is reread, for late trades and bars. Null: never.
    reread_after interval check (reread_after > interval '0'),
    -- Whether a provider of its assets is set up.
    provided boolean not null default true
);
insert into barkeep.market_calendars (calendar, time_zone, reread_after) values
('XNYS', 'America/New_York', interval '1 hour'),
('24x7', 'UTC', interval '1 hour');

-- Filled from the calendar in the code. A 24x7 market has one session per UTC day. No session is longer than a day: so
-- those that overlap a range open at most a day before it, which an index can find.
create table barkeep.market_sessions (
    calendar text not null references barkeep.market_calendars,
    session_date date not null,
    open_at timestamptz not null,
    close_at timestamptz not null,
    early boolean not null default false,
    primary key (calendar, session_date),
    check (open_at < close_at and close_at - open_at <= interval '24 hours')
);
create unique index market_sessions_open on barkeep.market_sessions (calendar, open_at);
create unique index market_sessions_close on barkeep.market_sessions (calendar, close_at);

-- `market::Grid`, which resamples fetched bars, also defines where bars begin and end. That the functions below agree
-- with it, for every timeframe over forty years, is ensured by the store's test
-- grid_and_database_agree_on_every_timeframe_over_forty_years.

-- Minutes of a bar inside a session; null for d1 and w1, whose bars span whole sessions.
create function barkeep.timeframe_step(p_timeframe text) returns interval
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case p_timeframe
        when 'm1' then interval '1 minute'
        when 'm5' then interval '5 minutes'
        when 'm15' then interval '15 minutes'
        when 'm30' then interval '30 minutes'
        when 'h1' then interval '1 hour'
        when 'h4' then interval '4 hours'
    end
$$;

-- The end of the last bar that had ended at p_at. In closed hours it is the last session's close, and at the start of a
-- session its open: both are equivalent.
create function barkeep.final_until(p_calendar text, p_timeframe text, p_at timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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

-- When the next bar is final: the end of the first bar not yet ended at p_at less grace, plus grace.
create function barkeep.next_bar_due(p_calendar text, p_timeframe text, p_at timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
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

-- How many bars the calendar expects in [p_from, p_to). Both are on the timeframe's grid or in closed hours. The step
-- is computed once, not for each session.
create function barkeep.expected_bars(
    p_calendar text, p_timeframe text, p_from timestamptz, p_to timestamptz
) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
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

-- Extends a range through the closed hours on both sides, so that adjacent ranges touch and a complete series is one
-- range.
create function barkeep.through_closed_hours(p_calendar text, p_range tstzrange) returns tstzrange
language sql stable
set search_path = pg_catalog, pg_temp
as $$
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

-- Single days on which a market closes, or closes early, in addition to the rules in the code. From the file that a
-- process applied last; every process uses these rows, and barkeep.market_sessions is derived from them.
create table barkeep.session_exceptions (
    calendar text not null references barkeep.market_calendars,
    session_date date not null,
    -- Null: closed all day. In exchange time.
    early_close time,
    primary key (calendar, session_date)
);

-- The edition of the exceptions in force: what was computed under another one must not be stored.
create table barkeep.session_edition (
    only_row boolean primary key default true check (only_row),
    edition bigint not null default 0,
    -- Which hours of a stock exchange's day are its session.
    stock_hours text not null default 'regular' check (stock_hours in ('regular', 'extended')),
    changed_at timestamptz not null default now()
);
insert into barkeep.session_edition default values;

-- The edition, locked until the transaction ends. Taken before any other lock.
create function barkeep.lock_sessions_shared() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('barkeep sessions', 0));
    -- A separate statement, so that it sees what was committed while this one waited.
    return (select e.edition from barkeep.session_edition e);
end
$$;
