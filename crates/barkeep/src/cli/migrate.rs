//! `barkeep migrate`.

use std::process::ExitCode;

use super::output::print_line;
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};

pub(super) async fn run(common: &CommonOptions) -> anyhow::Result<ExitCode> {
    let config = Config::load(common)?;
    let handle = DatabaseHandle::open(&config, 2).await?;
    let migrated = handle.migrate().await;
    let closed = handle.close().await;
    let migrated = migrated?;
    closed?;
    if common.json {
        return print_line(serde_json::json!({
            "applied": migrated.applied,
            "schedule": migrated.schedule,
            "unknown_to_supabase": migrated.unknown_to_supabase,
        }))
        .map(|()| ExitCode::SUCCESS);
    }
    match migrated.applied.len() {
        0 => print_line("The schema is up to date.")?,
        n => print_line(format!("Applied {n} migrations: {}", migrated.applied.join(", ")))?,
    }
    print_line(format!("cron.job lists the schedule ({}).", migrated.schedule))?;
    if !migrated.unknown_to_supabase.is_empty() {
        print_line(format!(
            "Supabase's migration history doesn't list them yet. Add them with:\n  supabase migration repair --status applied {}",
            migrated.unknown_to_supabase.join(" ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
