-- Access to what came since the first of these files: everything is taken away, then the little that is needed is granted.

do $$
declare
    t regclass;
begin
    foreach t in array array[
        'barkeep.budgets', 'barkeep.budget_requests', 'barkeep.budget_slots', 'barkeep.processes',
        'barkeep.sign_in_links'
    ]::regclass[] loop
        execute format('revoke all on %s from public, anon, authenticated', t);
        execute format('grant select, insert, update, delete on %s to service_role', t);
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format(
            'create policy service on %s for all to service_role, %I using (true) with check (true)', t, current_user
        );
    end loop;
end
$$;

do $$
declare
    f regprocedure;
begin
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'barkeep'::regnamespace
            and p.proname in ('open_account', 'budget_wait', 'budget_kept', 'take_request', 'request_answered',
                'block_account', 'budget_standing', 'longest_request', 'pack_candidates', 'claim_chosen', 'lock_due', 'renew_leases', 'hold_runs',
                'finish_run', 'fail_run', 'coverage_shrank', 'suspend_symbol', 'symbol_is_listed')
    loop
        execute format('revoke all on function %s from public, anon, authenticated', f);
        execute format('grant execute on function %s to service_role', f);
    end loop;
end
$$;
