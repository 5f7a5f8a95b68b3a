//! Counting the words of plain English text many bytes at a time.

/// Looked at in one go: short enough to stay in the fastest cache.
const WINDOW: usize = 4096;
/// Bytes that the loop handles together; their counts fit a byte.
const LANES: usize = 64;

/// Words of the beginning of a text.
pub(super) struct Counted {
    pub(super) words: u64,
    /// How many bytes were counted; words end there.
    pub(super) length: usize,
}

/// Counts the words at the beginning of `bytes`, as far as that is ASCII without `_`, at most up
/// to the last white space of a window.
pub(super) fn count(bytes: &[u8]) -> Counted {
    let window = &bytes[..bytes.len().min(WINDOW)];
    let blocks = window.chunks(LANES);
    let plain: usize = blocks
        .take_while(|block| {
            let unusual = |&byte: &u8| (byte >= 0x80) | (byte == b'_');
            !block.iter().fold(false, |any, byte| any | unusual(byte))
        })
        .map(<[u8]>::len)
        .sum();
    let is_all = plain == bytes.len();
    let length = match window[..plain].iter().rposition(u8::is_ascii_whitespace) {
        _ if is_all => plain,
        Some(space) => space + 1,
        None => 0,
    };
    Counted {
        words: words_of(&window[..length]),
        length,
    }
}

/// The words of ASCII that stands alone: each begins where a letter or digit follows something
/// else, but for those that a sign joins with what was before.
fn words_of(bytes: &[u8]) -> u64 {
    let (mut starts, mut joints) = (0_u64, 0_u64);
    for from in (0..bytes.len()).step_by(LANES) {
        // One more on either side.
        let mut lanes = [b' '; LANES + 2];
        let to = bytes.len().min(from + LANES + 1);
        let (before, begin) = if from == 0 { (0, 1) } else { (from - 1, 0) };
        lanes[begin..to - from + 1].copy_from_slice(&bytes[before..to]);
        let (mut block_starts, mut block_joints) = (0_u8, 0_u8);
        for lane in 0..LANES {
            let (left, middle, right) = (lanes[lane], lanes[lane + 1], lanes[lane + 2]);
            block_starts += u8::from(is_part(middle) & !is_part(left));
            let both = (middle == b'.') | (middle == b'\'');
            let of_letters = (both | (middle == b':')) & is_letter(left) & is_letter(right);
            let of_digits =
                (both | (middle == b',') | (middle == b';')) & is_digit(left) & is_digit(right);
            block_joints += u8::from(of_letters | of_digits);
        }
        starts += u64::from(block_starts);
        joints += u64::from(block_joints);
    }
    starts - joints
}

fn is_letter(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26
}

fn is_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}

fn is_part(byte: u8) -> bool {
    is_letter(byte) | is_digit(byte)
}
