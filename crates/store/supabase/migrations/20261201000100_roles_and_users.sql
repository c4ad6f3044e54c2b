-- Roles and users as in Supabase, created only if they don't exist; and the schema for Barkeep's own tables.

create schema if not exists barkeep;

do $$
declare
    r text;
    -- Since PostgreSQL 16 the creator of a role is a member of it who may not yet `set role` to it.
    may_become text := case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end;
begin
    foreach r in array array['anon', 'authenticated', 'service_role'] loop
        begin
            if not exists (select from pg_roles where rolname = r) then
                execute format('create role %I nologin', r);
            end if;
        exception
            -- Roles belong to the whole server: another database's migration may create them at the same time.
            when duplicate_object or unique_violation then null;
        end;
        begin
            -- `set role` puts a user's statements under row level security.
            if not pg_has_role(current_user, r, may_become) then
                execute format('grant %I to current_user', r);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

do $$
begin
    if to_regnamespace('auth') is null then
        create schema auth;
        create table auth.users (
            id uuid primary key default gen_random_uuid(),
            email text unique,
            created_at timestamptz not null default now()
        );
        create function auth.uid() returns uuid language sql stable as $body$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid
        $body$;
        comment on schema auth is 'Users, in the shape that Supabase gives them. Made by Barkeep.';
        revoke all on schema auth from public;
        revoke all on auth.users from public, anon, authenticated;
        grant usage on schema auth to anon, authenticated, service_role;
        grant select on auth.users to service_role;
        grant execute on function auth.uid() to anon, authenticated, service_role;

        insert into auth.users (id, email) values
        ('00000000-0000-4000-8000-000000000001', 'local@barkeep.localhost'),
        ('00000000-0000-4000-8000-00000000a000', 'anonymous@barkeep.localhost');
    end if;
end
$$;

-- Whether this database contains simulated or real bars: never both.
create table barkeep.installation (
    only_row boolean primary key default true check (only_row),
    bars text check (bars in ('simulated', 'real')),
    endpoint text,
    updated_at timestamptz not null default now()
);
insert into barkeep.installation default values;
