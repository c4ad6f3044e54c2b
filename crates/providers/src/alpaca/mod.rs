//! Alpaca: stocks and crypto.
