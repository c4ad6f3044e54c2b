-- A plain role that can create roles and databases. Since PostgreSQL 16 it can change only roles that it has created or been
-- granted, so it is granted those with Supabase's names that exist on this server already.
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
