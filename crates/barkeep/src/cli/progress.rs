//! How far a backfill is, on standard error.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use store::backfill_progress::Progress;

use super::output::print_note;

/// How often progress is printed if standard error isn't a terminal.
const PLAIN_PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Progress: a bar with rate and remaining time on a terminal, otherwise a line every few seconds.
pub(super) struct ProgressDisplay {
    bar: ProgressBar,
    plain: Option<std::cell::Cell<std::time::Instant>>,
}

impl ProgressDisplay {
    pub(super) fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} slices  {rate}  {eta} left  {wide_msg}") {
            let rate = |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                // A line that can't be drawn is drawn next time.
                let _ = write!(line, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        let plain = (!terminal && !json).then(|| std::cell::Cell::new(std::time::Instant::now()));
        Self { bar, plain }
    }

    pub(super) fn update(&self, progress: &Progress) {
        let done = progress.succeeded + progress.failed;
        let all = done + progress.queued + progress.running;
        self.bar.set_length(u64::try_from(all).unwrap_or(0));
        self.bar.set_position(u64::try_from(done).unwrap_or(0));
        let waiting = progress.waiting_for.clone().unwrap_or_default();
        self.bar.set_message(format!("{} bars  {waiting}", progress.rows));
        if let Some(last) = &self.plain
            && last.get().elapsed() >= PLAIN_PROGRESS_INTERVAL
        {
            last.set(std::time::Instant::now());
            print_note(format!("{done} of {all} slices, {} bars {waiting}", progress.rows));
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
