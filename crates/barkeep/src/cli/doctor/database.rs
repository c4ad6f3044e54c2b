//! The database: a check for each defect that systems of this kind have had.

use jiff::{SignedDuration, Timestamp};
use market::{
    Ticker,
    evidence::{Judged, Verdict},
};
use store::{
    Database, corporate_actions,
    diagnostics::{self, Diagnostics},
    overview::{self, Totals},
    processes::{self, Process},
    scheduler, verification,
};

use super::Finding;

/// The scheduler sends a heartbeat each minute.
const SCHEDULER_LATE_SECS: i64 = 180;

/// Runs for users usually start within seconds.
const MAX_WAIT: SignedDuration = SignedDuration::from_mins(5);

const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn checks(database: &Database) -> anyhow::Result<Vec<Finding>> {
    let (asked_at, database_clock) = (Timestamp::now(), diagnostics::clock(database).await?);
    let facts = diagnostics::collect(database).await?;
    let totals = overview::totals(database, None).await?;
    let ready = scheduler::readiness(database).await?;
    let processes = processes::all(database).await?;
    let mut findings = vec![
        check_clocks(&facts, database_clock, asked_at),
        check_empty(
            "triggers",
            &facts.triggers_missing,
            "missing or disabled (they create job definitions from tracked symbols):",
            "Run `barkeep migrate`; enable a trigger that was disabled by hand with ALTER TABLE ... ENABLE TRIGGER ...",
        ),
        match facts.symbols {
            0 => Finding::broken(
                "symbols",
                "no active symbols",
                "Add symbols (`barkeep track AAPL`); on a new database `barkeep migrate` adds 20",
            ),
            n => Finding::ok("symbols", format!("{n} active")),
        },
        check_empty(
            "row level security",
            &facts.open_tables,
            "not enabled, or not forced, on",
            "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY: until then users see each other's rows",
        ),
        check_empty(
            "anonymous clients",
            &facts.anonymous_may,
            "have privileges that they must not have:",
            "REVOKE ALL ON ... FROM anon",
        ),
        check_zero(
            "job definitions",
            facts.definitions_missing,
            "tracked series have no job definition: their bars aren't fetched",
            "Enable the triggers, then track the symbols again (`barkeep track`)",
        ),
        check_zero(
            "priorities",
            facts.wrong_priorities,
            "job definitions don't have the priority of the highest interest in them",
            "select barkeep.refresh_definitions(array_agg(distinct symbol)) from job_definitions",
        ),
        check_zero(
            "queue order",
            facts.wrong_ranks,
            "queued runs aren't ranked by the priority of their definitions",
            "select barkeep.refresh_definitions(array_agg(distinct symbol)) from job_definitions",
        ),
        check_zero(
            "slices",
            facts.overlaps,
            "pairs of queued or running slices overlap: the same bars are fetched twice",
            "Cancel one of each: update job_runs set status = 'cancelled' where id = ...",
        ),
        check_zero(
            "closed hours",
            facts.slices_in_closed_hours,
            "queued slices lie entirely in closed hours: they can't return bars",
            "Run `barkeep migrate`, which updates the sessions, and cancel these runs",
        ),
        check_zero(
            "stale runs",
            facts.stale_runs,
            "runs are marked as running but their worker is gone",
            "Start a worker (`barkeep up` or `barkeep work`), which takes them over, or select * from reset_stale_running_jobs()",
        ),
        check_empty("functions", &facts.broken_functions, "fail when they are called:", "Run `barkeep migrate`"),
        check_zero(
            "bar times",
            facts.series_out_of_time,
            "series have bars from before 1980 or from the future",
            "Delete these bars and their coverage; the next planning round fetches them again",
        ),
        check_zero(
            "provisional bars",
            facts.stale_provisional,
            "series have provisional bars that should have become final days ago",
            "`barkeep backfill SYMBOL` completes them",
        ),
        check_calendar(&facts),
        match facts.schedule_shown {
            true => Finding::ok("schedule", "listed in cron.job"),
            false => Finding::warning(
                "schedule",
                "cron.job doesn't list orchestrator-tick",
                "Run `barkeep migrate`; if the schema cron belongs to an extension, this is expected",
            ),
        },
        check_scheduler(&ready),
        check_workers(&processes),
        check_notifications(&processes),
        check_queue(&totals),
        check_client(&facts),
    ];
    if !facts.unknown_symbols.is_empty() {
        findings.push(Finding::warning(
            "unknown symbols",
            format!("no provider has {}", facts.unknown_symbols.join(", ")),
            "Remove misspelt symbols (`barkeep untrack`); the others are checked again once a day",
        ));
    }
    let without_actions = corporate_actions::unknown_though_checked(database).await?;
    if !without_actions.is_empty() {
        findings.push(Finding::warning(
            "splits and dividends",
            format!("unknown of {}: adjusted bars of these may be wrong", named(&without_actions)),
            "They are asked for again each day, and with `barkeep backfill SYMBOL`; the log says why the provider failed",
        ));
    }
    findings.extend(check_disputed(&corporate_actions::disputed(database).await?));
    let suspect = verification::with_findings(database).await?;
    if let Some(first) = suspect.first() {
        findings.push(Finding::warning(
            "stored bars",
            format!(
                "the last verification found problems in {} series, for example {} {}",
                suspect.len(),
                first.symbol,
                first.timeframe
            ),
            "Run `barkeep verify SYMBOL` to check again and print them",
        ));
    }
    if facts.quarantined > 0 {
        findings.push(Finding::warning(
            "quarantined bars",
            format!("{} bars from providers were implausible and have been quarantined", facts.quarantined),
            "select * from barkeep.quarantined_bars lists them with the reasons; `barkeep backfill SYMBOL` fetches them again",
        ));
    }
    Ok(findings)
}

/// Splits that are listed and not applied, and actions that are applied though no longer listed.
fn check_disputed(disputed: &[(Ticker, Judged)]) -> Vec<Finding> {
    let of = |verdict: Verdict| {
        let mut tickers: Vec<Ticker> =
            disputed.iter().filter(|(_, judged)| judged.verdict == verdict).map(|(ticker, _)| ticker.clone()).collect();
        tickers.dedup();
        tickers
    };
    let (contradicted, withdrawn) = (of(Verdict::Contradicted), of(Verdict::Withdrawn));
    let mut findings = Vec::new();
    if !contradicted.is_empty() {
        findings.push(Finding::warning(
            "contradicted splits",
            format!(
                "the stored bars of {} don't show a split that a provider lists: it is not applied",
                named(&contradicted)
            ),
            "`barkeep verify SYMBOL` says which one and what the bars show",
        ));
    }
    if !withdrawn.is_empty() {
        findings.push(Finding::warning(
            "withdrawn splits and dividends",
            format!("no longer listed for {}, and still applied", named(&withdrawn)),
            "`barkeep verify SYMBOL` says which; a split is no longer applied once the stored bars contradict it",
        ));
    }
    findings
}

/// Ok if `list` is empty.
fn check_empty(check: &'static str, list: &[String], found: &str, fix: &str) -> Finding {
    match list {
        [] => Finding::ok(check, "ok"),
        list => Finding::broken(check, format!("{found} {}", list.join(", ")), fix),
    }
}

/// Ok if `count` is zero.
fn check_zero(check: &'static str, count: i64, found: &str, fix: &str) -> Finding {
    match count {
        0 => Finding::ok(check, "ok"),
        n => Finding::broken(check, format!("{n} {found}"), fix),
    }
}

fn check_clocks(facts: &Diagnostics, database_clock: Timestamp, asked_at: Timestamp) -> Finding {
    let difference = database_clock.duration_since(asked_at).abs();
    if difference > MAX_CLOCK_DIFFERENCE {
        return Finding::broken(
            "database clock",
            format!("differs from this machine's clock by {} s", difference.as_secs()),
            "Synchronize both clocks (NTP): leases and budgets depend on them",
        );
    }
    match facts.as_of {
        None => {
            Finding::ok("database clock", format!("in sync with this machine; PostgreSQL {}", facts.server_version))
        }
        Some(as_of) => Finding::warning(
            "market clock",
            format!("started from {as_of}: bars after the market clock don't exist yet"),
            "Expected with --as-of; `barkeep up` without it returns to the present",
        ),
    }
}

fn check_calendar(facts: &Diagnostics) -> Finding {
    let enough = Timestamp::now() + SignedDuration::from_hours(24 * 400);
    match facts.sessions_until {
        Some(until) if until > enough => {
            Finding::ok("calendar", format!("sessions until {}", until.strftime("%Y-%m-%d")))
        }
        Some(until) => Finding::warning(
            "calendar",
            format!("sessions are known only until {}", until.strftime("%Y-%m-%d")),
            "Run `barkeep migrate`, which adds later years",
        ),
        None => Finding::broken("calendar", "no sessions are known", "Run `barkeep migrate`"),
    }
}

fn check_scheduler(ready: &scheduler::Readiness) -> Finding {
    const CHECK: &str = "scheduler";
    const FIX: &str = "Start `barkeep up`, or `barkeep plan` beside `barkeep serve`";
    match (ready.scheduler_seen_secs_ago, ready.scheduler_status.as_str()) {
        (None, _) => Finding::broken(CHECK, "never ran: nothing is planned", FIX),
        (_, scheduler::STOPPED) => Finding::broken(CHECK, "stopped: nothing is planned", FIX),
        (Some(secs), _) if secs > SCHEDULER_LATE_SECS => {
            Finding::broken(CHECK, format!("last heartbeat {secs} s ago: nothing is planned"), FIX)
        }
        (Some(_), scheduler::WAITING) => Finding::broken(
            CHECK,
            format!("waiting for the provider: {}", ready.scheduler_message.as_deref().unwrap_or("no reason given")),
            "Fix the problem of the provider",
        ),
        (Some(_), "failing") => {
            Finding::broken(CHECK, "running, but planning fails", "See its log (standard error of `up` or `plan`)")
        }
        (Some(secs), status) => Finding::ok(CHECK, format!("{status}, last heartbeat {secs} s ago")),
    }
}

fn check_workers(processes: &[Process]) -> Finding {
    let alive = |part: &str| processes.iter().filter(|p| p.alive && p.parts.iter().any(|p| p == part)).count();
    match alive("work") {
        0 => Finding::broken("workers", "none are running: nothing is fetched", "Start `barkeep up` or `barkeep work`"),
        n => Finding::ok("workers", format!("{n} running")),
    }
}

fn check_notifications(processes: &[Process]) -> Finding {
    const CHECK: &str = "notifications";
    match processes.iter().filter(|process| process.alive).any(|process| process.hears == Some(false)) {
        true => Finding::warning(
            CHECK,
            "a process receives none (pooler in transaction mode, or notify = false) and polls every few seconds instead",
            "Use a direct connection, or a pooler in session mode",
        ),
        false => Finding::ok(CHECK, "all processes receive them"),
    }
}

fn check_queue(totals: &Totals) -> Finding {
    const CHECK: &str = "queue";
    let waiting = totals.waiting_since.filter(|since| Timestamp::now().duration_since(*since) > MAX_WAIT);
    if let Some(since) = waiting {
        return Finding::warning(
            CHECK,
            format!("a run for a user has been waiting since {since:.0}"),
            "See `barkeep status` for budgets and the provider, and `barkeep runs` for what is waiting",
        );
    }
    match totals.failed {
        0 => Finding::ok(CHECK, format!("{} queued, {} running", totals.queued, totals.running)),
        n => Finding::warning(
            CHECK,
            format!("{n} runs have failed"),
            "See the reasons with `barkeep runs --failed`; after fixing them, queue the runs again with `barkeep retry`",
        ),
    }
}

fn check_client(facts: &Diagnostics) -> Finding {
    const CHECK: &str = "client";
    match (facts.tracking_rows, facts.last_sync) {
        (0, _) | (_, None) => Finding::warning(
            CHECK,
            "no client has tracked any symbols: only background series are fetched",
            "Check that it sends POST /functions/v1/sync-user-symbols with a token of this server (`barkeep keys`); \
             test the rest with `barkeep track AAPL`",
        ),
        (rows, Some(last)) => {
            Finding::ok(CHECK, format!("{} users track {rows} symbols; last sync at {last:.0}", facts.tracking_users))
        }
    }
}

/// The first ten, and how many more there are.
fn named(tickers: &[Ticker]) -> String {
    const NAMED: usize = 10;
    let names: Vec<&str> = tickers.iter().take(NAMED).map(Ticker::as_str).collect();
    match tickers.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
