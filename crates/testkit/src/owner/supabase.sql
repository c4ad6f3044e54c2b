-- A database like a Supabase project's: `auth` belongs to another role, the owner isn't a superuser, and default privileges
-- grant everything that the owner creates to everybody (here in all schemas, on Supabase in `public`).
do $$
declare
    r text;
begin
    foreach r in array array[
        'anon nologin', 'authenticated nologin', 'service_role nologin bypassrls', 'supabase_auth_admin nologin',
        'barkeep_test_supabase login password ''barkeep'''
    ] loop
        begin
            execute 'create role ' || r;
        exception when duplicate_object or unique_violation then null;
        end;
    end loop;
    begin
        grant anon, authenticated, service_role to barkeep_test_supabase;
    exception when unique_violation then null;
    end;
end
$$;

create schema auth authorization supabase_auth_admin;
set role supabase_auth_admin;
create table auth.users (
    instance_id uuid,
    id uuid primary key,
    aud varchar(255),
    role varchar(255),
    email varchar(255) unique,
    created_at timestamptz default now(),
    is_anonymous boolean not null default false
);
alter table auth.users enable row level security;
create function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
grant usage on schema auth to anon, authenticated, service_role, barkeep_test_supabase;
grant select, references on auth.users to barkeep_test_supabase;
-- On Supabase the owner bypasses row level security.
create policy owner_reads on auth.users for select to barkeep_test_supabase using (true);
reset role;

alter default privileges for role barkeep_test_supabase
grant all on tables to anon, authenticated, service_role;
alter default privileges for role barkeep_test_supabase
grant all on functions to anon, authenticated, service_role;
alter default privileges for role barkeep_test_supabase
grant all on sequences to anon, authenticated, service_role;
