//! real_bars
