//! In which language a job's people are told.

/// A language of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Traditional Chinese.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// BCP 47.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-Hant",
            Self::English => "en",
        }
    }

    /// The language of that tag; English for one that is not known.
    pub fn of_tag(tag: &str) -> Self {
        if tag == Self::Chinese.tag() {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// Chinese when Han characters are at least a third of the text's letters. A title like 「VIP 侍應」 is Chinese, an
    /// English advertisement that names a street in Chinese is English.
    pub fn of(text: &str) -> Self {
        let letters = text.chars().filter(|c| c.is_alphabetic());
        let (all, han) = letters.fold((0_usize, 0_usize), |(all, han), letter| {
            (all + 1, han + usize::from(is_han(letter)))
        });
        if han > 0 && 3 * han >= all {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

fn is_han(letter: char) -> bool {
    matches!(letter as u32, 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_letters_decides() {
        for (text, expected) in [
            ("急需侍應", Language::Chinese),
            ("Waiter wanted tonight", Language::English),
            ("侍應 ab cd", Language::Chinese),
            ("侍應 ab cde", Language::English),
            ("VIP 侍應", Language::Chinese),
            ("", Language::English),
            ("120 / 4", Language::English),
        ] {
            assert_eq!(Language::of(text), expected, "{text}");
            assert_eq!(Language::of_tag(expected.tag()), expected);
        }
    }
}
