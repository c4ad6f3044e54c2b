//! Secrets in settings, which must not appear in logs.

use serde::Deserialize;

/// A string that `Debug` hides.
#[derive(Clone)]
pub struct Secret(pub String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own error would quote the value.
        let text =
            String::deserialize(deserializer).map_err(|_| serde::de::Error::custom("expected a string in quotes"));
        text.map(Self)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}
