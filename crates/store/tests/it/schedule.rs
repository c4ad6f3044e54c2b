//! The schedule in pg_cron's shape, and its wake-up call.

use store::{migrations, scheduler};
use testkit::Owner;

use crate::site::Site;

for_every_owner! {
    the_schedule_shows_the_planner_in_the_shape_of_pg_cron,
    migrating_again_keeps_the_schedule,
}

async fn the_schedule_shows_the_planner_in_the_shape_of_pg_cron(owner: Owner) {
    let site = Site::new(owner).await;
    let job = "select schedule, database = current_database(), active, jobname from cron.job
        where jobname = 'orchestrator-tick'";
    let extension = "select count(*) from pg_extension where extname = 'pg_cron'";
    if site.value(extension).await == "1" {
        assert_eq!(site.rows(job).await, ["(\"* * * * *\",t,t,orchestrator-tick)"]);
        return;
    }
    assert_eq!(site.rows(job).await, ["(\"* * * * *\",t,f,orchestrator-tick)"]);
    scheduler::heartbeat(&site.database, scheduler::SCHEDULER, "ok", "").await.unwrap();
    assert_eq!(site.rows(job).await, ["(\"* * * * *\",t,t,orchestrator-tick)"]);
    site.run("update orchestrator_heartbeat set last_seen = now() - interval '4 minutes'").await;
    assert_eq!(site.rows(job).await, ["(\"* * * * *\",t,f,orchestrator-tick)"]);
    let columns = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
        from pg_attribute where attrelid = 'cron.job'::regclass and attnum > 0";
    assert_eq!(
        site.value(columns).await,
        "jobid bigint, schedule text, command text, nodename text, nodeport integer, database text, username text, \
         active boolean, jobname text"
    );
}

async fn migrating_again_keeps_the_schedule(owner: Owner) {
    let site = Site::new(owner).await;
    let first = migrations::migrate(&site.database).await.unwrap();
    let second = migrations::migrate(&site.database).await.unwrap();
    assert_eq!(first, second);
    assert!(["in-process", "pg_cron"].contains(&second.schedule.as_str()), "{}", second.schedule);
    assert_eq!(site.value("select count(*) from cron.job where jobname = 'orchestrator-tick'").await, "1");
}
