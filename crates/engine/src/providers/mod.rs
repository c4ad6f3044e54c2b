//! The providers as the stages use them: connected, routed by asset class, and counted against their accounts'
//! limits.

pub mod connect;
pub(crate) mod rate_limits;
pub mod routes;
