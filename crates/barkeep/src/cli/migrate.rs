//! `barkeep migrate`.

use std::process::ExitCode;

use super::output::say;
use crate::{
    config::{Common, Config},
    home::Home,
};

pub(super) async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let config = Config::load(common)?;
    let home = Home::open(&config, 2).await?;
    let migrated = home.migrate().await;
    let closed = home.close().await;
    let migrated = migrated?;
    closed?;
    if common.json {
        return say(serde_json::json!({
            "applied": migrated.applied,
            "schedule": migrated.schedule,
            "unknown_to_supabase": migrated.unknown_to_supabase,
        }))
        .map(|()| ExitCode::SUCCESS);
    }
    match migrated.applied.len() {
        0 => say("The schema is up to date.")?,
        n => say(format!("Applied {n} migrations: {}", migrated.applied.join(", ")))?,
    }
    say(format!("The schedule is shown in cron.job ({}).", migrated.schedule))?;
    if !migrated.unknown_to_supabase.is_empty() {
        say(format!(
            "Supabase's ledger doesn't know them yet. Tell it:\n  supabase migration repair --status applied {}",
            migrated.unknown_to_supabase.join(" ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
