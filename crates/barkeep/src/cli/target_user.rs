//! The user that a command is for: `--user EMAIL`.

use anyhow::bail;
use store::users;
use uuid::Uuid;

use crate::database::DatabaseHandle;

/// The user with that e-mail address; by default the local user.
pub(super) async fn resolve(handle: &DatabaseHandle, email: Option<&str>) -> anyhow::Result<Uuid> {
    match email {
        Some(email) => Ok(users::by_email(&handle.database, email).await?),
        None if users::exists(&handle.database, users::LOCAL).await? => Ok(users::LOCAL),
        None => bail!("this database has no local user: choose a user with --user EMAIL"),
    }
}
