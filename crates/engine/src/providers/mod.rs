//! The providers as the stages see them: connected, routed by class of assets, and counted against their accounts.

pub mod connect;
pub(crate) mod rate_limits;
pub mod routes;
