-- What somebody who looks after a database with this system's schema asks it by hand. Written for these tests: the names of tables,
-- columns, functions and jobs are those that outside queries rely on. Each statement must run in this order, with
-- ON_ERROR_STOP set, on a fresh database as well; `acceptance.rs` says what each returns on one with data.

-- How many series of each timeframe are switched on.
select d.timeframe, count(*)
from job_definitions d
where d.enabled and d.timeframe in ('m15', 'h1', 'h4')
group by d.timeframe
order by d.timeframe;

-- Who watches TSLA, and which series that made, with which priority.
select t.user_id, t.source, t.priority, t.created_at
from user_symbol_tracking t
join symbols s on s.id = t.symbol_id
where s.ticker = 'TSLA';

select d.symbol, d.timeframe, d.priority, d.enabled
from job_definitions d
where d.symbol = 'TSLA' and d.timeframe in ('m15', 'h1', 'h4');

-- What a search and a chart that was opened leave behind.
select t.*
from user_symbol_tracking t
where t.source = 'recent_search' and t.symbol_id in (select id from symbols where ticker = 'NVDA');

select t.*
from user_symbol_tracking t
where t.source = 'chart_view' and t.symbol_id in (select id from symbols where ticker = 'AMD');

-- The runs of the last minutes, and the bars that they brought.
select r.symbol, r.timeframe, r.status, r.rows_written, r.created_at
from job_runs r
where r.symbol = any (array['TSLA', 'NVDA', 'AMD']) and r.created_at >= now() - interval '15 minutes'
order by r.created_at;

select s.ticker, b.timeframe, count(*) as bars, min(b.timestamp), max(b.timestamp)
from ohlc_bars_v2 b
join symbols s on s.id = b.symbol_id
where s.ticker = any (array['TSLA', 'NVDA', 'AMD'])
group by s.ticker, b.timeframe
order by s.ticker, b.timeframe;

-- Health. The last one is given what is no user's id: no rows, and no error.
select * from get_timeframe_job_stats(2);
select * from get_symbol_timeframe_coverage('AAPL');
select * from get_user_tracked_symbols_status('nobody');

-- The trigger is there, and works for rows that are written by hand.
select t.tgname, t.tgrelid::regclass from pg_trigger t where t.tgname = 'trigger_auto_create_jobs';

insert into user_symbol_tracking (user_id, symbol_id, source, priority)
select u.id, s.id, 'watchlist', 300
from symbols s
cross join (select id from auth.users limit 1) u
where s.ticker = 'TEST';

select d.* from job_definitions d where d.symbol = 'TEST';

-- The schedule, and what ran last.
select j.jobname, j.schedule, j.active from cron.job j where j.jobname = 'orchestrator-tick';

select r.* from job_runs r where r.created_at >= now() - interval '15 minutes' order by r.created_at desc limit 20;
