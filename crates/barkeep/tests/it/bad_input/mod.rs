//! What is wrong is refused, in words that say what to do, and changes nothing; no secret is in any of them.

mod another_schema;
mod arguments;
mod database_gone;
mod requests;
mod settings;
mod tokens;
