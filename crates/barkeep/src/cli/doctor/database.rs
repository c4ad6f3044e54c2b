//! The database: what a system of this kind has been found broken by before, one check each.

use jiff::{SignedDuration, Timestamp};
use store::{
    Database, health,
    inspection::{self, Facts},
    processes::{self, Process},
    show::{self, Totals},
    verification,
};

use super::Finding;

/// A tick each minute, and some patience.
const SCHEDULER_LATE_SECS: i64 = 180;

/// People are served within seconds: who waits longer waits for something.
const WAITS_TOO_LONG: SignedDuration = SignedDuration::from_mins(5);

const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn checks(database: &Database) -> anyhow::Result<Vec<Finding>> {
    let (asked_at, theirs) = (Timestamp::now(), inspection::clock(database).await?);
    let facts = inspection::inspect(database).await?;
    let totals = show::totals(database, None).await?;
    let ready = health::readiness(database).await?;
    let processes = processes::all(database).await?;
    let mut findings = vec![
        clocks(&facts, theirs, asked_at),
        none(
            "triggers",
            &facts.triggers_missing,
            "what makes definitions of interest is missing",
            "Run `barkeep migrate`; a trigger that was disabled by hand: ALTER TABLE ... ENABLE TRIGGER ...",
        ),
        match facts.symbols {
            0 => Finding::broken(
                "symbols",
                "there are none",
                "They come with interest (`barkeep track AAPL`); on a fresh database `barkeep migrate` seeds 20",
            ),
            n => Finding::ok("symbols", format!("{n} active")),
        },
        none(
            "row level security",
            &facts.open_tables,
            "off, or not forced, on",
            "ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY: everybody sees everything until then",
        ),
        none(
            "anonymous clients",
            &facts.anonymous_may,
            "they hold rights that they must not have:",
            "REVOKE ALL ON ... FROM anon",
        ),
        count(
            "definitions of what is tracked",
            facts.definitions_missing,
            "tracked series have no definition: nothing is fetched for them",
            "See that the triggers are enabled, then track them again (`barkeep track`)",
        ),
        count(
            "priorities",
            facts.wrong_priorities,
            "definitions have not the priority of the highest interest in them",
            "select barkeep.refresh_definitions(array_agg(distinct symbol)) from job_definitions",
        ),
        count(
            "order of the queue",
            facts.wrong_ranks,
            "queued runs are not ranked as their definitions say",
            "select barkeep.refresh_definitions(array_agg(distinct symbol)) from job_definitions",
        ),
        count(
            "slices",
            facts.overlaps,
            "pairs of queued or running slices overlap: the same is fetched twice",
            "Cancel one of each: update job_runs set status = 'cancelled' where id = ...",
        ),
        count(
            "closed hours",
            facts.slices_in_closed_hours,
            "queued slices lie in closed hours: nothing can come of them",
            "Run `barkeep migrate`, which brings the sessions up to date, and cancel them",
        ),
        count(
            "stale runs",
            facts.stale_runs,
            "runs are running whose worker is gone",
            "Start a worker (`barkeep up` or `barkeep work`), which takes them over; or select * from reset_stale_running_jobs()",
        ),
        none("functions", &facts.broken_functions, "these can't run:", "Run `barkeep migrate`"),
        count(
            "times of bars",
            facts.series_out_of_time,
            "series have bars from before 1980 or from the future",
            "Delete those bars and their coverage; the next round fetches them again",
        ),
        count(
            "provisional bars",
            facts.stale_provisional,
            "series have bars that should have become final days ago",
            "`barkeep backfill SYMBOL` completes them",
        ),
        sessions(&facts),
        match facts.schedule_shown {
            true => Finding::ok("schedule", "cron.job shows it"),
            false => Finding::warning(
                "schedule",
                "cron.job doesn't show orchestrator-tick",
                "Run `barkeep migrate`; where the schema cron is another's that is as it should be",
            ),
        },
        scheduler(&ready),
        workers(&processes),
        notifications(&processes),
        queue(&totals),
        client(&facts),
    ];
    if !facts.unknown_symbols.is_empty() {
        findings.push(Finding::warning(
            "unknown symbols",
            format!("no provider knows {}", facts.unknown_symbols.join(", ")),
            "Untrack what was misspelt (`barkeep untrack`); each is looked up again once a day",
        ));
    }
    let doubted = verification::with_findings(database).await?;
    if let Some(first) = doubted.first() {
        findings.push(Finding::warning(
            "stored bars",
            format!(
                "the last look at {} series found something, the first {} {}",
                doubted.len(),
                first.symbol,
                first.timeframe
            ),
            "`barkeep verify SYMBOL` says what, and looks again",
        ));
    }
    if facts.quarantined > 0 {
        findings.push(Finding::warning(
            "quarantine",
            format!("{} bars of the provider can't be true and were set apart", facts.quarantined),
            "select * from barkeep.quarantined_bars says which and why; `barkeep backfill SYMBOL` asks again",
        ));
    }
    Ok(findings)
}

/// Fine where `list` is empty.
fn none(check: &'static str, list: &[String], found: &str, mend: &str) -> Finding {
    match list {
        [] => Finding::ok(check, "as they should be"),
        list => Finding::broken(check, format!("{found} {}", list.join(", ")), mend),
    }
}

/// Fine where `count` is zero.
fn count(check: &'static str, count: i64, found: &str, mend: &str) -> Finding {
    match count {
        0 => Finding::ok(check, "as they should be"),
        n => Finding::broken(check, format!("{n} {found}"), mend),
    }
}

fn clocks(facts: &Facts, theirs: Timestamp, asked_at: Timestamp) -> Finding {
    let apart = theirs.duration_since(asked_at).abs();
    if apart > CLOCKS_APART {
        return Finding::broken(
            "database's clock",
            format!("{} s apart from this machine's", apart.as_secs()),
            "Set both clocks (NTP): leases and budgets go by them",
        );
    }
    match facts.as_of {
        None => Finding::ok("database's clock", format!("as this machine's; PostgreSQL {}", facts.server_version)),
        Some(as_of) => Finding::warning(
            "market's clock",
            format!("it was started from {as_of}: what is newer than that does not exist yet"),
            "That is what --as-of asks for; `barkeep up` without it goes back to the present",
        ),
    }
}

fn sessions(facts: &Facts) -> Finding {
    let enough = Timestamp::now() + SignedDuration::from_hours(24 * 400);
    match facts.sessions_until {
        Some(until) if until > enough => {
            Finding::ok("calendar", format!("sessions until {}", until.strftime("%Y-%m-%d")))
        }
        Some(until) => Finding::warning(
            "calendar",
            format!("sessions are known until {} only", until.strftime("%Y-%m-%d")),
            "Run `barkeep migrate`, which adds the years to come",
        ),
        None => Finding::broken("calendar", "no sessions are known", "Run `barkeep migrate`"),
    }
}

fn scheduler(ready: &health::Readiness) -> Finding {
    const CHECK: &str = "scheduler";
    const MEND: &str = "Start `barkeep up`, or `barkeep plan` beside a server of its own";
    match (ready.scheduler_seen_secs_ago, ready.scheduler_status.as_str()) {
        (None, _) => Finding::broken(CHECK, "it never ran: nothing is planned", MEND),
        (_, health::STOPPED) => Finding::broken(CHECK, "it was stopped: nothing is planned", MEND),
        (Some(secs), _) if secs > SCHEDULER_LATE_SECS => {
            Finding::broken(CHECK, format!("last seen {secs} s ago: nothing is planned"), MEND)
        }
        (Some(_), health::WAITING) => Finding::broken(
            CHECK,
            format!("it waits for the provider: {}", ready.scheduler_message.as_deref().unwrap_or("no reason given")),
            "Mend what is said about the provider",
        ),
        (Some(_), "failing") => {
            Finding::broken(CHECK, "it runs and can't plan", "Its log says why (standard error of `up` or `plan`)")
        }
        (Some(secs), status) => Finding::ok(CHECK, format!("{status}, seen {secs} s ago")),
    }
}

fn workers(processes: &[Process]) -> Finding {
    let alive = |part: &str| processes.iter().filter(|p| p.alive && p.parts.iter().any(|p| p == part)).count();
    match alive("work") {
        0 => Finding::broken("workers", "none is at work: nothing is fetched", "Start `barkeep up`, or `barkeep work`"),
        n => Finding::ok("workers", format!("{n} at work")),
    }
}

fn notifications(processes: &[Process]) -> Finding {
    const CHECK: &str = "notifications";
    match processes.iter().filter(|process| process.alive).any(|process| process.hears == Some(false)) {
        true => Finding::warning(
            CHECK,
            "some process hears none (a pooler in transaction mode, or notify = false): it looks every few seconds instead",
            "A direct connection, or a pooler in session mode, answers at once",
        ),
        false => Finding::ok(CHECK, "heard by all"),
    }
}

fn queue(totals: &Totals) -> Finding {
    const CHECK: &str = "queue";
    let waits = totals.waiting_since.filter(|since| Timestamp::now().duration_since(*since) > WAITS_TOO_LONG);
    if let Some(since) = waits {
        return Finding::warning(
            CHECK,
            format!("somebody has waited since {since:.0}"),
            "`barkeep status` says whether the budget or the provider is the reason, `barkeep runs` what waits",
        );
    }
    match totals.failed {
        0 => Finding::ok(CHECK, format!("{} queued, {} running", totals.queued, totals.running)),
        n => Finding::warning(
            CHECK,
            format!("{n} runs have failed"),
            "`barkeep runs --failed` says why; `barkeep retry` queues them again once that is mended",
        ),
    }
}

fn client(facts: &Facts) -> Finding {
    const CHECK: &str = "client";
    match (facts.tracking_rows, facts.last_sync) {
        (0, _) | (_, None) => Finding::warning(
            CHECK,
            "no client has said what anybody wants: only what is kept in the background is fetched",
            "See that it sends POST /functions/v1/sync-user-symbols with a token of this server (`barkeep keys`); \
             `barkeep track AAPL` tries the rest of the way",
        ),
        (rows, Some(last)) => Finding::ok(
            CHECK,
            format!("{} people want {rows} symbols; the last sync was at {last:.0}", facts.tracking_users),
        ),
    }
}
