//! The list of texts that the cells of all sheets refer to by number.

use quick_xml::events::Event;

use super::super::package::{Package, text_of};
use crate::error::ExtractError;

/// More texts than this are there to fill the memory: the limit of a text's length is reached
/// long before a workbook needs them.
const MOST_STRINGS: usize = 8_000_000;

/// All texts in one piece: millions of them are a few bytes each.
#[derive(Debug, Default)]
pub(super) struct SharedStrings {
    text: String,
    /// Where each text ends; it begins where the one before it ends.
    ends: Vec<u32>,
}

impl SharedStrings {
    pub(super) fn read(package: &mut Package<'_>, part: &str) -> Result<Self, ExtractError> {
        let mut strings = Self::default();
        let mut in_text = false;
        // Readings above ideographs.
        let mut in_reading = false;
        package.read_xml(part, |event| {
            match &event {
                Event::Start(element) => match element.local_name().as_ref() {
                    b"t" => in_text = true,
                    b"rPh" => in_reading = true,
                    _ => {}
                },
                Event::End(element) => match element.local_name().as_ref() {
                    b"t" => in_text = false,
                    b"rPh" => in_reading = false,
                    b"si" => return strings.end_one(),
                    _ => {}
                },
                _ if in_text && !in_reading => strings.text.push_str(&text_of(&event)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(strings)
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = usize::try_from(*self.ends.get(index)?).ok()?;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let start = before.map_or(Some(0), |start| usize::try_from(*start).ok())?;
        self.text.get(start..end)
    }

    fn end_one(&mut self) -> Result<(), ExtractError> {
        let too_large = || ExtractError::TooLarge {
            detail: format!("it has more than {MOST_STRINGS} texts, or very long ones"),
        };
        if self.ends.len() >= MOST_STRINGS {
            return Err(too_large());
        }
        let end = u32::try_from(self.text.len()).map_err(|_| too_large())?;
        self.ends.push(end);
        Ok(())
    }
}
