//! What scripts rely on: what commands print, where they print it, and which setting counts.

mod backfill;
mod export;
mod looks;
mod precedence;
mod printed;
mod refetch;
