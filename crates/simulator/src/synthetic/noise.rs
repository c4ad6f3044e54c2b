//! Pseudo-random numbers: the same input always gives the same output.

/// Scatters the bits of a number (the finalizer of SplitMix64, Steele et al. 2014).
#[inline]
pub(crate) const fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

/// A text as a number, by 64-bit FNV-1a.
pub(crate) fn of_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Evenly spread over [0, 1).
#[inline]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Evenly spread over [-1, 1).
#[inline]
fn signed(bits: u64) -> f64 {
    2.0 * unit(bits) - 1.0
}

/// The number without its last bits, which differ between mathematical libraries.
pub(crate) fn steady(number: f64) -> f64 {
    f64::from(number as f32)
}

/// A smooth line within [-1, 1] with an independent value every `2^octave` steps.
pub(crate) fn smooth(key: u64, step: i64, octave: u32) -> f64 {
    let cell = step >> octave;
    let place = (step - (cell << octave)) as f64 / (1_i64 << octave) as f64;
    let at = |cell: i64| signed(mix(key ^ mix(cell as u64 ^ (u64::from(octave) << 56))));
    let ease = place * place * (3.0 - 2.0 * place);
    let from = at(cell);
    if ease == 0.0 { from } else { from + (at(cell + 1) - from) * ease }
}
