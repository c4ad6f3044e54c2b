//! What is shown to whoever is not signed in.

pub(super) mod sign_in;

pub(crate) use self::sign_in::sign_in_page;
