-- A plain role that may make roles and databases. Since PostgreSQL 16 it has power only over roles that it made or was
-- given: those of Supabase's names that this server has already are given to it.
do $$
begin
    create role barkeep_test_plain login password 'barkeep' createrole createdb;
exception when duplicate_object or unique_violation then null;
end
$$;
do $$
declare
    r name;
begin
    if current_setting('server_version_num')::int >= 160000 then
        for r in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
            execute format('grant %I to barkeep_test_plain with admin option', r);
        end loop;
    end if;
end
$$;
