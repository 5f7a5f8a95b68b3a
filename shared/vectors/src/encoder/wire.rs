//! As much of protocol buffers as the vocabulary's file needs.

/// The fields of a message: each one's number, and the bytes of its value; numbers in variable length come as no bytes. Ends with a
/// `None` inside where the bytes are not those of a message.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Option<(u64, &[u8])>> {
    let mut rest = message;
    let mut is_broken = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || is_broken {
            return None;
        }
        let field = field(&mut rest);
        is_broken = field.is_none();
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let tag = number(rest)?;
    let length = match tag & 7 {
        0 => {
            number(rest)?;
            0
        }
        1 => 8,
        2 => usize::try_from(number(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((tag >> 3, value))
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_kind() {
        let message = [
            0x08, 0x96, 0x01, 0x12, 2, b'a', b'b', 0x1d, 1, 2, 3, 4, 0x21, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let found: Option<Vec<_>> = fields(&message).collect();
        let expected: [(u64, &[u8]); 4] = [(1, b""), (2, b"ab"), (3, &[1, 2, 3, 4]), (4, &[0; 8])];
        assert_eq!(found.as_deref(), Some(&expected[..]));
        assert_eq!(fields(&[0x12, 5, b'a']).collect::<Vec<_>>(), [None]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
