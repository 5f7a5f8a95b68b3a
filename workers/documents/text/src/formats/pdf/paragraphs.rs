//! Lines of a page to paragraphs.
//!
//! The layout separates blocks by empty lines where the page shows a gap. Within a block, a
//! line that fills its column goes on in the next one; a short line ends there: an entry of a
//! list, a row of a table, a verse.

use super::headings::{Evidence, PageHeadings};
use super::layout::IN_WORD;
use super::margins::Margins;
use crate::wrap;

/// A line this full, in per cent of the widest on its page, was ended by the margin.
const FULL_PER_CENT: usize = 70;
/// The same within its block, for a line that does not end a sentence: columns differ.
const FULL_IN_BLOCK_PER_CENT: usize = 85;
/// A line at least this full goes on if the next one begins with a small letter.
const HALF_FULL_PER_CENT: usize = 40;
/// A heading above its text is at most this full.
const HEADING_PER_CENT: usize = 60;
/// Columns in the widest line below which nothing is known of the margin.
const NARROWEST_COLUMN: usize = 30;
/// Headings by their wording are at most this long, in characters.
const LONGEST_WORDED_HEADING: usize = 80;

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paragraph {
    Heading { level: u8, text: String },
    Text(String),
}

/// The paragraphs of a page, without running headers and page numbers.
pub(super) fn of_page(
    page: &str,
    number: u32,
    margins: &Margins,
    headings: &PageHeadings,
) -> Vec<Paragraph> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let body = margins.cut(&lines, number);
    let widest = widest_usual(body);
    let mut paragraphs = Vec::new();
    for block in body
        .split(|line| line.is_empty())
        .filter(|block| !block.is_empty())
    {
        let column = Column {
            page: widest,
            block: widest_of(block),
        };
        add_block(block, column, headings, &mut paragraphs);
    }
    paragraphs
}

/// Widths by which a line is judged: wide characters count two.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// What lines of this page reach where the margin ends them.
    page: usize,
    /// The widest line of the block.
    block: usize,
}

fn add_block(
    block: &[&str],
    column: Column,
    headings: &PageHeadings,
    paragraphs: &mut Vec<Paragraph>,
) {
    let mut open = String::new();
    let mut previous: Option<&str> = None;
    for (index, line) in block.iter().enumerate() {
        if let Some(level) = heading_level(block, index, column, headings) {
            close(&mut open, paragraphs);
            add_heading(level, line, index > 0, paragraphs);
            previous = None;
            continue;
        }
        match previous {
            Some(previous) if goes_on(previous, line, column) => {
                join_undoing_hyphen(&mut open, line)
            }
            Some(_) => {
                open.push('\n');
                open.push_str(line);
            }
            None => open.push_str(line),
        }
        previous = Some(line);
    }
    close(&mut open, paragraphs);
}

fn close(open: &mut String, paragraphs: &mut Vec<Paragraph>) {
    let text = std::mem::take(open);
    if !text.is_empty() {
        paragraphs.push(Paragraph::Text(text.replace(IN_WORD, "")));
    }
}

/// A heading of two lines is one heading.
fn add_heading(level: u8, line: &str, in_block: bool, paragraphs: &mut Vec<Paragraph>) {
    if in_block
        && let Some(Paragraph::Heading { level: above, text }) = paragraphs.last_mut()
        && *above == level
    {
        wrap::join(text, line);
        return;
    }
    paragraphs.push(Paragraph::Heading {
        level,
        text: line.replace(IN_WORD, ""),
    });
}

/// The level of a line that is a heading.
fn heading_level(
    block: &[&str],
    index: usize,
    column: Column,
    headings: &PageHeadings,
) -> Option<u8> {
    let line = block[index];
    match headings.evidence_for(line) {
        Some(Evidence::Size(level)) => Some(level),
        Some(Evidence::Weight(level)) if stands_above(block, index, column) => Some(level),
        _ if stands_above(block, index, column) => worded_level(line),
        _ => None,
    }
}

/// Whether a line stands by itself, or as a short one above a text that begins.
fn stands_above(block: &[&str], index: usize, column: Column) -> bool {
    if index > 0 || is_tabular(block[index]) {
        return false;
    }
    let Some(next) = block.get(index + 1) else {
        return true;
    };
    let begins_text = next.starts_with(|c: char| c.is_uppercase() || c >= '\u{1100}');
    let short = width(block[index]) * 100 < column.page * HEADING_PER_CENT;
    begins_text && short && width(next) > width(block[index]) && !is_tabular(next)
}

/// Whether the sentence or paragraph goes on in the next line.
fn goes_on(line: &str, next: &str, column: Column) -> bool {
    if column.page < NARROWEST_COLUMN || begins_item(next) || is_tabular(line) || is_tabular(next) {
        return false;
    }
    // What a colon announces begins a line of its own: a list, mostly.
    if line.ends_with([':', '：']) {
        return false;
    }
    let width = width(line) * 100;
    if width >= column.page * FULL_PER_CENT {
        return true;
    }
    if wrap::ends_sentence(line) {
        return false;
    }
    let begins_small = next.starts_with(char::is_lowercase);
    line.ends_with([',', '，', '、', '-'])
        || begins_small && width >= column.page * HALF_FULL_PER_CENT
        || column.block >= NARROWEST_COLUMN && width >= column.block * FULL_IN_BLOCK_PER_CENT
}

/// A row of cells, or of numbers: at least three words, half of them with digits.
fn is_tabular(line: &str) -> bool {
    if line.contains('\t') {
        return true;
    }
    let words = line.split_whitespace().count();
    let numbers = line
        .split_whitespace()
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()));
    words >= 3 && numbers.count() * 2 >= words
}

/// The width that lines reach where the margin ends them.
fn widest_usual(lines: &[&str]) -> usize {
    let mut widths: Vec<usize> = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| width(line))
        .collect();
    widths.sort_unstable();
    // Not the very widest: a table may be wider than the text.
    let usual = widths.len().saturating_sub(1 + widths.len() / 10);
    widths.get(usual).copied().unwrap_or_default()
}

fn widest_of(lines: &[&str]) -> usize {
    lines
        .iter()
        .map(|line| width(line))
        .max()
        .unwrap_or_default()
}

fn width(line: &str) -> usize {
    line.chars()
        .map(|character| if character >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

/// "exam-" and "ple" are one word; "X-" and "Ray" are not, nor are "1990-" and "1995".
fn join_undoing_hyphen(text: &mut String, line: &str) {
    if text.ends_with(IN_WORD) {
        text.pop();
        text.push_str(line);
        return;
    }
    let mut before = text.chars().rev();
    let hyphenated = matches!(before.next(), Some('-' | '\u{2010}' | '\u{ad}'))
        && before.next().is_some_and(char::is_lowercase)
        && line.starts_with(char::is_lowercase);
    if hyphenated {
        text.pop();
        text.push_str(line);
    } else {
        wrap::join(text, line);
    }
}

/// Bullets and numbers of a list begin a line of their own.
fn begins_item(line: &str) -> bool {
    let mut characters = line.chars();
    match characters.next() {
        Some('•' | '●' | '○' | '■' | '□' | '▪' | '◆' | '‣' | '·' | '※') => true,
        Some('-' | '–' | '*') => characters.next() == Some(' '),
        Some(digit) if digit.is_ascii_digit() => {
            let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
            let number_length = line.len() - rest.len();
            number_length <= 2
                && (rest.starts_with(". ") || rest.starts_with(") ") || rest.starts_with('、'))
        }
        Some('(' | '（') => {
            let number: String = characters.take_while(|c| !")）".contains(*c)).collect();
            (1..=3).contains(&number.chars().count())
                && line.chars().count() > number.chars().count() + 2
        }
        _ => false,
    }
}

/// Headings that say so: "2.1 Method", "Chapter 3", "第三章 …", "제2장 …".
fn worded_level(line: &str) -> Option<u8> {
    if line.chars().count() > LONGEST_WORDED_HEADING || wrap::ends_sentence(line) {
        return None;
    }
    // A row of a table of contents leads to a page number.
    if line.contains("....") || line.contains(". . .") || line.contains('…') {
        return None;
    }
    let (number, title) = line.split_once(' ').unwrap_or((line, ""));
    let marked = |prefix: char, suffixes: &[char]| {
        number.starts_with(prefix) && number.ends_with(suffixes) && number.chars().count() <= 6
    };
    if marked('第', &['章', '編', '部', '篇']) || marked('제', &['장', '편', '부']) {
        return Some(1);
    }
    if marked('第', &['節', '节', '條', '条']) || marked('제', &['절', '조']) {
        return Some(2);
    }
    let dots = number.trim_end_matches('.').split('.');
    let is_number = dots.clone().all(|part| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    let begins_title = title.starts_with(|c: char| c.is_uppercase() || c >= '\u{1100}');
    let depth = dots.count();
    (is_number && begins_title && depth <= 4).then_some(depth as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraphs(page: &str) -> Vec<Paragraph> {
        of_page(page, 7, &Margins::default(), &PageHeadings::default())
    }

    fn text(text: &str) -> Paragraph {
        Paragraph::Text(text.to_owned())
    }

    #[test]
    fn wrapped_lines_are_joined_and_hyphens_undone() {
        let page = "The first line fills the whole of the column and the sec-\n\
                    ond one goes on until it also comes to its end, near the\n\
                    border.\n\nAnother paragraph.";
        assert_eq!(
            paragraphs(page),
            [
                text(
                    "The first line fills the whole of the column and the second one goes on until it also comes to its end, near the border."
                ),
                text("Another paragraph."),
            ]
        );
    }

    #[test]
    fn chinese_is_joined_without_and_korean_with_spaces() {
        let chinese = "應徵者須具備五年以上分散式系統經驗，並能以英文清楚撰寫文\n件。";
        assert_eq!(
            paragraphs(chinese),
            [text(
                "應徵者須具備五年以上分散式系統經驗，並能以英文清楚撰寫文件。"
            )]
        );
        let korean = "분산 시스템 경력 오년 이상과 명확한 영어 문서 작성\n능력이 필요합니다.";
        assert_eq!(
            paragraphs(korean),
            [text(
                "분산 시스템 경력 오년 이상과 명확한 영어 문서 작성 능력이 필요합니다."
            )]
        );
    }

    #[test]
    fn short_lines_stay_lines() {
        let page = "Ingredients of the cake that everyone here likes best:\nflour\nsugar\n• salt";
        assert_eq!(
            paragraphs(page),
            [text(
                "Ingredients of the cake that everyone here likes best:\nflour\nsugar\n• salt"
            )]
        );
    }

    #[test]
    fn rows_of_numbers_stay_rows() {
        let page = "Alabama 18,870 23,022 22,650 859 1,178 0\nAlaska 209 3,062 3,209 191 184 0";
        assert_eq!(paragraphs(page), [text(page)]);
    }

    #[test]
    fn columns_of_different_width() {
        let wide = "This one line reaches over both of the columns of the page, because it is a remark about all of it";
        let page = format!(
            "{wide}\n\nsmall scripts as well as for complex tasks, for\nexample on servers.\n\n분산 시스템 경력 오년 이상과 명확한 문서\n작성 능력이 필요합니다."
        );
        assert_eq!(
            paragraphs(&page),
            [
                text(wide),
                text("small scripts as well as for complex tasks, for example on servers."),
                text("분산 시스템 경력 오년 이상과 명확한 문서 작성 능력이 필요합니다."),
            ]
        );
    }

    #[test]
    fn a_numbered_heading_above_its_text() {
        let page = "1 Introduction\nOpen-domain question answering is a task that answers\nquestions from documents.";
        let heading = Paragraph::Heading {
            level: 1,
            text: "1 Introduction".to_owned(),
        };
        let body =
            "Open-domain question answering is a task that answers questions from documents.";
        assert_eq!(paragraphs(page), [heading, text(body)]);
        assert_eq!(
            paragraphs("1. Flour\n2. Sugar"),
            [text("1. Flour\n2. Sugar")]
        );
    }

    #[test]
    fn headings_by_their_wording() {
        assert_eq!(worded_level("2.1 Method"), Some(2));
        assert_eq!(worded_level("第三章 資料管線"), Some(1));
        assert_eq!(worded_level("제2절 검색"), Some(2));
        assert_eq!(worded_level("2026 was a good year"), None);
        assert_eq!(worded_level("1 Introduction ........ 3"), None);
        assert_eq!(worded_level("3 pieces of cake"), None);
    }
}
