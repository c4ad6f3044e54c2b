//! provider_trouble
