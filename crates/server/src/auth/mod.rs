//! Authentication: tokens, browser sessions, passwords; and the checks of Host and Origin.

pub(crate) mod csrf;
pub(crate) mod host;
mod identity;
mod jwks;
mod keys;
pub mod passwords;
mod secret;
pub(crate) mod session;

pub use self::{
    host::AllowedHosts,
    identity::Authenticator,
    jwks::Jwks,
    keys::{KeyRing, Keys},
    secret::Secret,
    session::code_for,
};
pub(crate) use self::{
    identity::{ServiceRole, Session, TokenUser, User},
    session::COOKIE,
};
