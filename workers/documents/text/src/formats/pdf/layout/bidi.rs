//! A line as it stands on the page to the order in which it is read.
//!
//! The reverse of what UAX 9 does for display, for the two levels that documents have: a line of one
//! direction with words or numbers of the other in it.

use unicode_bidi::{BidiClass, bidi_class};

/// `visual` from left to right.
pub(super) fn in_order_of_reading(visual: Vec<char>) -> String {
    let right = visual.iter().filter(|&&c| is_right_to_left(c)).count();
    if right == 0 {
        return visual.into_iter().collect();
    }
    let left = visual
        .iter()
        .filter(|&&c| bidi_class(c) == BidiClass::L)
        .count();
    let logical = if right >= left {
        turned(&visual)
    } else {
        with_turned_words(&visual)
    };
    logical.into_iter().collect()
}

/// Whether more of a text is written from right to left than from left to right.
pub(super) fn reads_right_to_left(text: &str) -> bool {
    let mut balance = 0_i64;
    for character in text.chars() {
        if is_right_to_left(character) {
            balance += 1;
        } else if bidi_class(character) == BidiClass::L {
            balance -= 1;
        }
    }
    balance > 0
}

fn is_right_to_left(character: char) -> bool {
    character >= '\u{590}' && matches!(bidi_class(character), BidiClass::R | BidiClass::AL)
}

fn is_number(character: char) -> bool {
    matches!(bidi_class(character), BidiClass::EN | BidiClass::AN)
}

/// Turns a line of right to left round, and in it the words and numbers of left to right back.
fn turned(visual: &[char]) -> Vec<char> {
    let mut logical: Vec<char> = Vec::with_capacity(visual.len());
    let mut end = visual.len();
    while end > 0 {
        let start = start_of_island(visual, end);
        if start < end {
            logical.extend(&visual[start..end]);
            end = start;
            continue;
        }
        let start = start_of_cluster(visual, end);
        logical.extend(&visual[start..end]);
        end = start;
    }
    logical
}

/// Where a run of left to right that ends at `end` begins; `end` when there is none.
fn start_of_island(visual: &[char], end: usize) -> usize {
    let strong = |c: char| bidi_class(c) == BidiClass::L;
    let member = |c: char| strong(c) || is_number(c);
    if !member(visual[end - 1]) {
        return end;
    }
    let mut start = end - 1;
    loop {
        let Some(before) = start.checked_sub(1) else {
            return start;
        };
        if member(visual[before]) {
            start = before;
            continue;
        }
        // One sign or blank between members: part of a number, or a blank between Latin words.
        let Some(next) = before.checked_sub(1).filter(|&next| member(visual[next])) else {
            return start;
        };
        let between = visual[before];
        let in_number = is_number(visual[next]) && is_number(visual[start]);
        let joins = if between == ' ' {
            strong(visual[next]) || strong(visual[start])
        } else {
            !is_right_to_left(between)
                && (!in_number || matches!(between, '.' | ',' | ':' | '/' | '٫' | '٬' | '-'))
        };
        if !joins {
            return start;
        }
        start = next;
    }
}

/// A letter with its marks, which stand behind it in a text wherever they stand on the page.
fn start_of_cluster(visual: &[char], end: usize) -> usize {
    let mut start = end - 1;
    while start > 0 && bidi_class(visual[start]) == BidiClass::NSM {
        start -= 1;
    }
    start
}

/// A line of left to right with words of right to left in it.
fn with_turned_words(visual: &[char]) -> Vec<char> {
    let mut logical = Vec::with_capacity(visual.len());
    let mut rest = visual;
    while let Some(start) = rest.iter().position(|&c| is_right_to_left(c)) {
        let neutral = |c: char| bidi_class(c) != BidiClass::L;
        let run = rest[start..].iter().take_while(|&&c| neutral(c)).count();
        let last = rest[start..start + run]
            .iter()
            .rposition(|&c| is_right_to_left(c));
        let end = start + last.unwrap_or_default() + 1;
        logical.extend(&rest[..start]);
        logical.extend(turned(&rest[start..end]));
        rest = &rest[end..];
    }
    logical.extend(rest);
    logical
}

/// Some writers name a bracket by its shape: turned round, it closes before it opens. A page's first
/// bracket among what is written from right to left tells for all of them.
pub(super) fn brackets_as_read(page: String) -> String {
    let of_right_to_left = || page.lines().filter(|line| reads_right_to_left(line));
    let mut brackets =
        of_right_to_left().flat_map(|line| line.chars().filter(|c| mirrored(*c).is_some()));
    if !matches!(brackets.next(), Some(')' | ']' | '}' | '»')) {
        return page;
    }
    let line_as_read = |line: &str| -> String {
        if !reads_right_to_left(line) {
            return line.to_owned();
        }
        line.chars().map(|c| mirrored(c).unwrap_or(c)).collect()
    };
    page.split('\n')
        .map(line_as_read)
        .collect::<Vec<_>>()
        .join("\n")
}

fn mirrored(character: char) -> Option<char> {
    Some(match character {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '«' => '»',
        '»' => '«',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(visual: &str) -> String {
        brackets_as_read(in_order_of_reading(visual.chars().collect()))
    }

    /// What a page shows of a line of right to left: the reverse of what is written.
    fn shown(parts: &[&str]) -> String {
        parts.iter().rev().copied().collect()
    }

    #[test]
    fn left_to_right_stays() {
        assert_eq!(read("Plain (text) 12"), "Plain (text) 12");
    }

    #[test]
    fn arabic_is_turned_and_numbers_in_it_are_not() {
        let word = |text: &str| text.chars().rev().collect::<String>();
        let (first, second) = (word("مرحبا"), word("العالم"));
        assert_eq!(read(&shown(&[&first, " ", &second])), "مرحبا العالم");
        assert_eq!(
            read(&shown(&[&first, " ", "1,234.5", " ", &second])),
            "مرحبا 1,234.5 العالم"
        );
        assert_eq!(
            read(&shown(&[&first, " ", "PDF file", " ", &second])),
            "مرحبا PDF file العالم"
        );
        assert_eq!(read(&shown(&[&first, " ", "12", " ", "34"])), "مرحبا 12 34");
    }

    #[test]
    fn hebrew_in_english() {
        assert_eq!(
            read("the word םולש means peace"),
            "the word שלום means peace"
        );
    }

    #[test]
    fn brackets_open_before_they_close() {
        // By their shape: what opens on the right looks like a closing one.
        assert_eq!(read("(ב) א"), "א (ב)");
        assert_eq!(read(")ב( א"), "א (ב)");
        let page = "א )ב\n12 (a)\nג( ד".to_owned();
        assert_eq!(brackets_as_read(page), "א (ב\n12 (a)\nג) ד");
    }

    #[test]
    fn marks_stay_behind_their_letters() {
        assert_eq!(read("בָא"), "אבָ");
    }
}
