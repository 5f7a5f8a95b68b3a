//! A fast hash of our own, so that it is the same in every version and on every platform.
//!
//! Vectors and files depend on it: it may never change. Not for secrets: anyone can find collisions.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 / golden ratio, odd
const FINISHER: u64 = 0xD6E8_FEB8_6659_FD93; // Pelle Evensen's rrmxmx constant

/// 64 bits of `bytes`; other seeds give independent hashes.
pub(crate) fn hash64(bytes: &[u8], seed: u64) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = mix(seed ^ (bytes.len() as u64 + 1).wrapping_mul(MULTIPLIER));
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
        state ^= state >> 32;
    }
    let mut last = [0_u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

fn mix(mut value: u64) -> u64 {
    value ^= value.rotate_right(25) ^ value.rotate_right(50);
    value = value.wrapping_mul(FINISHER);
    value ^= value >> 28;
    value = value.wrapping_mul(FINISHER);
    value ^ (value >> 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_changes() {
        assert_eq!(
            [
                hash64(b"", 0),
                hash64(b"mill", 0),
                hash64(b"a longer millrace", 7)
            ],
            GOLDEN
        );
    }

    const GOLDEN: [u64; 3] = [
        5737579042435120663,
        13823498196588735652,
        11154344233256800287,
    ];

    #[test]
    fn one_bit_changes_half_of_the_hash() {
        let text = *b"the wheel turns in the stream";
        let before = hash64(&text, 1);
        let mut changed = 0;
        for bit in 0..text.len() * 8 {
            let mut other = text;
            other[bit / 8] ^= 1 << (bit % 8);
            changed += (hash64(&other, 1) ^ before).count_ones() as usize;
        }
        let mean = changed as f64 / (text.len() * 8) as f64;
        assert!((29.0..35.0).contains(&mean), "{mean} of 64 bits");
    }
}
