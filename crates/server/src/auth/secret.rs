//! Texts that no log may show.

use serde::Deserialize;

/// A text that no `Debug` shows.
#[derive(Clone)]
pub struct Secret(pub String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own words would quote what stands there instead.
        let text =
            String::deserialize(deserializer).map_err(|_| serde::de::Error::custom("a text in quotes is expected"));
        text.map(Self)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}
