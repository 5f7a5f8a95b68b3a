//! Words of categories and places, as keys have them.

use millrace_events::{
    Failure,
    fields::{Fields, malformed},
};
use unicode_normalization::UnicodeNormalization as _;

/// The longest word that a key takes, in bytes: a sort key has 1,024.
const LONGEST: usize = 256;

/// A word in the form in which it compares: composed (NFC), spaces collapsed. `#` parts keys, so it is a space too. `None` when
/// nothing is left.
pub fn normal(word: &str) -> Option<String> {
    let composed: String = word.nfc().collect();
    let parts = composed.split(|letter: char| letter == '#' || letter.is_whitespace());
    let words: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// An attribute as such a word.
///
/// # Errors
/// `malformed-row` when it is no text, or longer than a key takes.
pub fn word(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Failure> {
    let word = fields.text(name)?.and_then(normal);
    if word.as_ref().is_some_and(|word| word.len() > LONGEST) {
        return Err(fields.wrong(name, "a word of up to 256 bytes"));
    }
    Ok(word)
}

/// What stands behind a prefix in a key: `c-1` in `CREATOR#c-1`.
///
/// # Errors
/// `malformed-row` when the key is not of this form.
pub fn behind<'a>(key: &'a str, prefix: &str) -> Result<&'a str, Failure> {
    let rest = key.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    let known = rest.filter(|rest| !rest.chars().any(char::is_control));
    known.ok_or_else(|| {
        malformed(format!(
            "a key does not begin with `{prefix}`, or ends there"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_compare_however_they_were_typed() {
        // Decomposed by a Mac, and composed.
        assert_eq!(
            normal(" \u{1109}\u{1165}\u{110b}\u{116e}\u{11af} "),
            normal("서울")
        );
        assert_eq!(normal("카페  #디저트").as_deref(), Some("카페 디저트"));
        assert_eq!(normal(" # \t"), None);
    }

    #[test]
    fn keys_have_something_behind_their_prefix() {
        assert_eq!(behind("CREATOR#c-1", "CREATOR#").unwrap(), "c-1");
        for key in ["CREATOR#", "STORE#s-1", "", "CREATOR#a\nb"] {
            assert!(behind(key, "CREATOR#").is_err(), "{key}");
        }
    }
}
