-- The schedule in the shape of pg_cron.

-- Wakes the planner. Called by the cron job, where there is pg_cron.
create function barkeep.wake() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_notify('barkeep_wake', '')
$$;

-- Where the server offers pg_cron: the extension, with a job that wakes the planner each minute. Elsewhere a view of
-- Barkeep's own schedule under the same name. Called by every migrate: the extension can't be created while the view
-- exists, so the view is dropped once the extension is available. A schema `cron` of another owner is not touched.
-- Returns which of these was done.
create function barkeep.install_schedule() returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

select barkeep.install_schedule();
