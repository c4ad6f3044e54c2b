//! Massive's address, key and plan.

use jiff::{SignedDuration, Timestamp};

use crate::{
    settings::{self, BaseUrl, Secret, SettingsError, Timeouts},
    vendor::Vendor,
};

/// The key, under Massive's name or its former one.
pub const KEY_VARIABLES: [&str; 2] = ["MASSIVE_API_KEY", "POLYGON_API_KEY"];
const PLAN_VARIABLE: &str = "MASSIVE_PLAN";

pub(super) static MASSIVE: Vendor = Vendor {
    name: "massive",
    empty: "`status` OK or DELAYED, `results` absent or empty, and `resultsCount` absent or 0",
    own_domains: &["massive.com", "polygon.io"],
    address: "https://api.massive.com",
    url_variable: "MASSIVE_API_URL",
    mend_keys: "check MASSIVE_API_KEY (or POLYGON_API_KEY)",
    mend_address: "check the network, and MASSIVE_API_URL where it is set",
    throttled_by_body: Some(super::wire::is_error),
    // After a burst it took minutes until requests were accepted again.
    default_wait: std::time::Duration::from_secs(60),
    ..Vendor::PLAIN
};

/// The settings for Massive.
#[derive(Clone, Debug)]
pub struct MassiveSettings {
    pub url: BaseUrl,
    pub key: Option<Secret>,
    pub plan: Plan,
    pub timeouts: Timeouts,
}

/// The plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// 5 requests a minute, two years, nothing of the current day.
    #[default]
    Free,
    /// Unlimited requests, more years, a delay of 15 minutes or less. Ranges before the plan's history are refused
    /// and recorded as unavailable.
    Paid,
}

impl Plan {
    /// Massive has nothing older on any plan (2003-09-10).
    pub(super) const EARLIEST: Timestamp = Timestamp::constant(1_063_152_000, 0);

    pub(super) fn requests_per_minute(self) -> u32 {
        match self {
            Self::Free => 5,
            Self::Paid => 600,
        }
    }

    /// How far back it goes; a day less than two years, so that the edge is not requested.
    pub(super) fn depth(self) -> Option<SignedDuration> {
        match self {
            Self::Free => Some(SignedDuration::from_hours(729 * 24)),
            Self::Paid => None,
        }
    }
}

impl MassiveSettings {
    /// Settings from `MASSIVE_API_KEY` or `POLYGON_API_KEY`, `MASSIVE_PLAN` (`free` or `paid`) and `MASSIVE_API_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] for a key that isn't valid in a header, an invalid address and an unknown plan.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let [massive, polygon] = KEY_VARIABLES;
        let key = match settings::key(&lookup, massive)? {
            Some(key) => Some(key),
            None => settings::key(&lookup, polygon)?,
        };
        let plan = match settings::find(&lookup, PLAN_VARIABLE).as_deref() {
            None | Some("free") => Plan::Free,
            Some("paid") => Plan::Paid,
            Some(_) => return Err(SettingsError::Choice { variable: PLAN_VARIABLE, expected: "free or paid" }),
        };
        Ok(Self { url: MASSIVE.address_from(&lookup)?, key, plan, timeouts: Timeouts::default() })
    }

    /// Whether it is configured: a key, or a server that isn't Massive's own.
    pub fn is_configured(&self) -> bool {
        self.key.is_some() || !MASSIVE.owns(&self.url)
    }
}
