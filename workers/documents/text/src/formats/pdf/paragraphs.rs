//! Lines of a page to paragraphs.
//!
//! The library separates paragraphs by empty lines where the page shows a gap. Within a
//! paragraph, a line that fills its column goes on in the next one; a short line ends there:
//! an entry of a list, a row of a table, a verse.

use std::collections::HashMap;

use super::headings::PageHeadings;
use crate::wrap;

/// A line this full, in per cent of the widest on its page, was ended by the margin.
const FULL_PER_CENT: usize = 70;
/// Columns in the widest line below which nothing is known of the margin.
const NARROWEST_COLUMN: usize = 30;
/// Headings by their wording are at most this long, in characters.
const LONGEST_WORDED_HEADING: usize = 80;
/// A line must stand at the same edge of this many pages to count as a running header.
const FEWEST_REPETITIONS: usize = 3;

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paragraph {
    Heading { level: u8, text: String },
    Text(String),
}

/// Lines that stand first or last on most pages, digits aside.
#[derive(Debug, Default)]
pub(super) struct Margins {
    repeated: HashMap<String, usize>,
    pages: usize,
}

impl Margins {
    /// On most pages, at least three: less is not safe to drop.
    fn is_repeated(&self, line: &str) -> bool {
        let times = self
            .repeated
            .get(&without_digits(line))
            .copied()
            .unwrap_or_default();
        times >= FEWEST_REPETITIONS && times * 2 > self.pages
    }
}

/// Counts the first and the last lines of all pages.
pub(super) fn repeated_margins(pages: &[&str]) -> Margins {
    let mut margins = Margins::default();
    for page in pages {
        let lines: Vec<&str> = visible_lines(page);
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
            continue;
        };
        margins.pages += 1;
        *margins.repeated.entry(without_digits(first)).or_default() += 1;
        if lines.len() > 1 {
            *margins.repeated.entry(without_digits(last)).or_default() += 1;
        }
    }
    margins
}

fn visible_lines(page: &str) -> Vec<&str> {
    page.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

/// So that "Page 7 of 9" and "Page 8 of 9" are the same.
fn without_digits(line: &str) -> String {
    line.chars()
        .filter(|character| !character.is_numeric())
        .collect()
}

/// The paragraphs of a page, without running headers and page numbers.
pub(super) fn of_page(
    page: &str,
    number: u32,
    margins: &Margins,
    headings: &PageHeadings<'_>,
) -> Vec<Paragraph> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let body = without_margins(&lines, number, margins);
    let widest = widest_usual(body);
    let mut paragraphs = Vec::new();
    let mut open = Open::default();
    for (index, line) in body.iter().enumerate() {
        if line.is_empty() {
            open.close(&mut paragraphs);
            continue;
        }
        let alone = is_empty_at(body, index.checked_sub(1)) && is_empty_at(body, Some(index + 1));
        let level = headings
            .level_of(line)
            .or_else(|| worded_level(line).filter(|_| alone));
        if let Some(level) = level {
            open.add_heading(level, line, &mut paragraphs);
            continue;
        }
        open.add_line(line, widest, &mut paragraphs);
    }
    open.close(&mut paragraphs);
    paragraphs
}

fn is_empty_at(lines: &[&str], index: Option<usize>) -> bool {
    index
        .and_then(|index| lines.get(index))
        .is_none_or(|line| line.is_empty())
}

/// Cuts off what is repeated from page to page, and the page's own number standing alone.
fn without_margins<'a, 'b>(lines: &'a [&'b str], number: u32, margins: &Margins) -> &'a [&'b str] {
    let is_margin = |line: &str| is_page_number(line, number) || margins.is_repeated(line);
    let mut body = lines;
    while let [first, rest @ ..] = body
        && first.is_empty()
    {
        body = rest;
    }
    while let [rest @ .., last] = body
        && last.is_empty()
    {
        body = rest;
    }
    // A page with a single line is all there is: never dropped.
    if body.len() < 2 {
        return body;
    }
    if let [first, rest @ ..] = body
        && is_margin(first)
    {
        body = rest;
    }
    if let [rest @ .., last] = body
        && is_margin(last)
        && !rest.is_empty()
    {
        body = rest;
    }
    body
}

/// "7", "- 7 -", "Page 7", "第 7 頁", "7 / 12" on the seventh page.
fn is_page_number(line: &str, number: u32) -> bool {
    if line.chars().count() > 20 {
        return false;
    }
    let mut numbers = line.split(|character: char| !character.is_ascii_digit());
    let first = numbers.find(|digits| !digits.is_empty());
    if first.and_then(|digits| digits.parse::<u32>().ok()) != Some(number) {
        return false;
    }
    let words: String = line
        .chars()
        .filter(|character| character.is_alphabetic())
        .collect();
    matches!(
        words.to_lowercase().as_str(),
        "" | "page" | "pageof" | "of" | "p" | "第頁" | "第页" | "頁" | "页" | "쪽" | "페이지"
    )
}

/// The width that lines reach where the margin ends them: wide characters count two.
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

fn width(line: &str) -> usize {
    line.chars()
        .map(|character| if character >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

/// A paragraph while its lines come in.
#[derive(Default)]
struct Open {
    text: String,
    level: Option<u8>,
    last_was_full: bool,
}

impl Open {
    fn add_heading(&mut self, level: u8, line: &str, paragraphs: &mut Vec<Paragraph>) {
        // A heading of two lines is one heading.
        if self.level != Some(level) {
            self.close(paragraphs);
            self.level = Some(level);
        }
        wrap::join(&mut self.text, line);
    }

    fn add_line(&mut self, line: &str, widest: usize, paragraphs: &mut Vec<Paragraph>) {
        if self.level.is_some() {
            self.close(paragraphs);
        }
        if self.text.is_empty() {
            self.text.push_str(line);
        } else if self.last_was_full && !begins_item(line) {
            join_undoing_hyphen(&mut self.text, line);
        } else {
            self.text.push('\n');
            self.text.push_str(line);
        }
        let full = widest >= NARROWEST_COLUMN && width(line) * 100 >= widest * FULL_PER_CENT;
        // A short line may still be in the middle of a sentence, beside a picture say.
        let next_in_sentence = widest >= NARROWEST_COLUMN && line.ends_with([',', '，', '、', '-']);
        // What a colon announces begins a line of its own: a list, mostly.
        self.last_was_full = (full || next_in_sentence) && !line.ends_with([':', '：']);
    }

    fn close(&mut self, paragraphs: &mut Vec<Paragraph>) {
        let text = std::mem::take(&mut self.text);
        let level = self.level.take();
        self.last_was_full = false;
        if text.is_empty() {
            return;
        }
        paragraphs.push(match level {
            Some(level) => Paragraph::Heading { level, text },
            None => Paragraph::Text(text),
        });
    }
}

/// "exam-" and "ple" are one word; "X-" and "Ray" are not, nor are "1990-" and "1995".
fn join_undoing_hyphen(text: &mut String, line: &str) {
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
    fn page_numbers_go_only_from_their_own_page() {
        assert_eq!(
            paragraphs("Text of the page.\n\n7"),
            [text("Text of the page.")]
        );
        assert_eq!(
            paragraphs("Text of the page.\n\nPage 7 of 9"),
            [text("Text of the page.")]
        );
        assert_eq!(
            paragraphs("Text of the page.\n\n8"),
            [text("Text of the page."), text("8")]
        );
        assert_eq!(paragraphs("7"), [text("7")]);
    }

    #[test]
    fn running_headers_go_when_most_pages_have_them() {
        let pages = [
            "Report 2026\nAlpha.\n",
            "Report 2026\nBeta.\n",
            "Report 2026\nGamma.\n",
            "Delta.",
        ];
        let margins = repeated_margins(&pages);
        let first = of_page(pages[0], 1, &margins, &PageHeadings::default());
        assert_eq!(first, [text("Alpha.")]);
        let few = repeated_margins(&pages[..2]);
        assert_eq!(
            of_page(pages[0], 1, &few, &PageHeadings::default()),
            [text("Report 2026\nAlpha.")]
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
