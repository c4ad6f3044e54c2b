//! Barkeep's own API under `/api/v1`, and the operational endpoints: `/healthz`, `/readyz`, `/metrics`, `/openapi.json`.

pub(crate) mod bars;
pub(crate) mod coverage;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod runs;
pub(crate) mod symbols;
pub(crate) mod watchlist;
