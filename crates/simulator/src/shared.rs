//! What all requests to a simulator share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Settings, SimError, data::Data, faults::Plan, stats::Tally, window::Window};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) data: Data,
    window: Mutex<Window>,
    tally: Mutex<Tally>,
    plan: Mutex<Plan>,
}

impl Shared {
    /// Reads the folder of bars, where there is one.
    pub(crate) fn open(settings: Settings) -> Result<Self, SimError> {
        if settings.requests_per_minute == 0 {
            return Err(SimError::NoRequests);
        }
        if settings.delay.is_negative() {
            return Err(SimError::NegativeDelay(settings.delay.as_secs()));
        }
        let plan = Plan::new(settings.faults.clone(), settings.seed)?;
        Ok(Self {
            data: Data::open(&settings)?,
            window: Mutex::new(Window::new(settings.requests_per_minute)),
            tally: Mutex::default(),
            plan: Mutex::new(plan),
            settings,
        })
    }

    pub(crate) fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
