//! Rate limits of the providers' accounts, kept in the database: one count for all workers of all processes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use providers::budget::{Account, Accounts, Allowance, Denied, Permit, Report, Urgency};
use store::{
    Database,
    budget::{self, Answered, NotNow},
};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// A permit older than this is stale, as after this process was suspended: other processes may have used the budget
/// since.
const STALE: Duration = Duration::from_secs(45);

/// The accounts of this database.
#[derive(Clone, Debug)]
pub(crate) struct SharedAccounts(pub(crate) Database);

impl Accounts for SharedAccounts {
    fn open(&self, account: &Account) -> Arc<dyn Allowance> {
        Arc::new(SharedAccount { database: self.0.clone(), account: account.clone(), opened: OnceCell::new() })
    }
}

#[derive(Debug)]
struct SharedAccount {
    database: Database,
    account: Account,
    opened: OnceCell<()>,
}

#[async_trait::async_trait]
impl Allowance for SharedAccount {
    async fn take(&self, urgency: Urgency) -> Result<Box<dyn Permit>, Denied> {
        let unknown = |error: store::StoreError| Denied::Unknown(error.to_string());
        let Account { name, provider, requests_per_minute } = &self.account;
        self.opened
            .get_or_try_init(async || budget::open(&self.database, name, provider, *requests_per_minute).await)
            .await
            .map_err(unknown)?;
        let background = urgency == Urgency::Background;
        let asked = Instant::now();
        let taken = budget::take(&self.database, name, background).await.map_err(unknown)?;
        if asked.elapsed() >= STALE {
            // The request's slot is released by itself.
            return Err(Denied::Wait(Duration::ZERO));
        }
        match taken {
            Ok(request) => {
                Ok(Box::new(PendingRequest { database: self.database.clone(), account: name.clone(), request }))
            }
            Err(NotNow::Wait(wait)) => Err(Denied::Wait(wait)),
            Err(NotNow::Refused(words)) => Err(Denied::Refused(words)),
        }
    }
}

/// A request in progress; without a response its slot is released after a minute and a half.
struct PendingRequest {
    database: Database,
    account: String,
    request: Uuid,
}

#[async_trait::async_trait]
impl Permit for PendingRequest {
    async fn answered(self: Box<Self>, report: Report) {
        let says = Answered {
            limit: report.limit.and_then(|limit| i32::try_from(limit).ok()),
            remaining: report.remaining.and_then(|left| i32::try_from(left).ok()),
            reset: report.reset.map(|reset| (reset.unix, reset.after)),
            turned_away: report.turned_away.map(|wait| wait.min(Duration::from_secs(24 * 60 * 60))),
        };
        if let Err(error) = budget::record_response(&self.database, &self.account, self.request, says).await {
            tracing::warn!(%error, "The budget from a response could not be stored");
        }
    }
}
