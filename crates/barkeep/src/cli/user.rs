//! Whose interest it is, on the command line.

use anyhow::bail;
use store::users;
use uuid::Uuid;

use crate::home::Home;

/// The user with that address, or the person at this machine.
pub(super) async fn of(home: &Home, email: Option<&str>) -> anyhow::Result<Uuid> {
    match email {
        Some(email) => Ok(users::by_email(&home.database, email).await?),
        None if users::exists(&home.database, users::LOCAL).await? => Ok(users::LOCAL),
        None => bail!("this database's users are its own: say who with --user EMAIL"),
    }
}
