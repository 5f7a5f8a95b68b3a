//! Full stops that belong to a word.

/// What a word with a stop behind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stands before a name.
    Title,
    /// It stands before a number.
    BeforeNumber,
    /// No sentence ends with it.
    NeverLast,
}

/// The longest of those of ASCII; most words at the end of a sentence are longer.
const LONGEST_KNOWN: usize = 4;

fn kind_of_small(word: &[u8]) -> Option<Kind> {
    match word {
        b"adm" | b"capt" | b"cmdr" | b"col" | b"cpl" | b"dr" | b"fr" | b"gen" | b"gov" | b"hon"
        | b"hr" | b"ing" | b"lt" | b"maj" | b"mlle" | b"mme" | b"mr" | b"mrs" | b"ms" | b"mt"
        | b"mx" | b"pres" | b"prof" | b"rep" | b"rev" | b"sen" | b"sgt" | b"sr" | b"sra"
        | b"srta" | b"st" => Some(Kind::Title),
        b"abb" | b"apr" | b"app" | b"arg" | b"art" | b"aug" | b"bd" | b"c" | b"ca" | b"cap"
        | b"ch" | b"chap" | b"cl" | b"dec" | b"ed" | b"eq" | b"eqs" | b"ex" | b"feb" | b"fig"
        | b"figs" | b"jan" | b"jul" | b"jun" | b"kap" | b"mar" | b"n" | b"no" | b"nos" | b"nov"
        | b"nr" | b"nrs" | b"oct" | b"op" | b"p" | b"par" | b"para" | b"pp" | b"pt" | b"ref"
        | b"refs" | b"s" | b"sec" | b"secs" | b"sect" | b"sep" | b"sept" | b"tab" | b"tel"
        | b"vol" | b"vols" => Some(Kind::BeforeNumber),
        b"bspw" | b"bzw" | b"cf" | b"e.g" | b"eg" | b"esp" | b"i.e" | b"ie" | b"incl" | b"resp"
        | b"viz" | b"vs" | b"z.b" | b"d.h" | b"u.a" | b"p.ex" => Some(Kind::NeverLast),
        _ => None,
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    if word.is_ascii() {
        let mut small = [0; LONGEST_KNOWN];
        let small = small.get_mut(..word.len())?;
        small.copy_from_slice(word.as_bytes());
        small.make_ascii_lowercase();
        return kind_of_small(small);
    }
    match word {
        "гр" | "им" | "проф" | "Проф" | "ул" => Some(Kind::Title),
        "núm" | "гл" | "рис" | "Рис" | "ст" | "стр" | "табл" => {
            Some(Kind::BeforeNumber)
        }
        "см" | "См" | "т.е" | "т.к" => Some(Kind::NeverLast),
        _ => None,
    }
}

/// Titles of one letter, in scripts without capitals.
const ARABIC_TITLES: &[&str] = &["د", "م", "أ"];

/// Words with which sentences begin, and names rarely.
const BEGINNINGS: &[&str] = &[
    "A", "After", "All", "Also", "Although", "An", "And", "As", "At", "Because", "Both", "But",
    "By", "Each", "For", "From", "He", "Her", "Here", "His", "How", "However", "I", "If", "In",
    "It", "Its", "Most", "My", "No", "Not", "Now", "On", "One", "Or", "Our", "Other", "She",
    "Since", "So", "Some", "Such", "That", "The", "Their", "Then", "There", "These", "They",
    "This", "Those", "Thus", "To", "Under", "We", "What", "When", "Where", "Which", "While", "Who",
    "Why", "With", "Yes", "Yet", "You", "Your",
];

/// No abbreviation is longer, in bytes.
const LONGEST: usize = 16;

/// Whether the stop between `before` and `rest` belongs to the word before it.
pub(super) fn is_one(before: &str, rest: &str) -> bool {
    let word = last_word(before);
    let Some(first) = word.chars().next() else {
        return false;
    };
    if is_item_number(word) && is_at_line_start(before, word) {
        return true;
    }
    if first.is_ascii_digit() {
        return false;
    }
    if ARABIC_TITLES.contains(&word) || (word == "al" && rest.starts_with(['(', '['])) {
        return true;
    }
    let next = rest.chars().next();
    match kind_of(word) {
        Some(Kind::NeverLast) => true,
        Some(Kind::BeforeNumber) if next.is_some_and(char::is_numeric) => true,
        // It is a street as often as a saint.
        Some(Kind::Title) if word != "St" || !begins_sentence(rest) => {
            next.is_some_and(char::is_uppercase)
        }
        _ => are_initials(word) && !begins_sentence(rest),
    }
}

/// The letters, digits and stops at the end, back to what separates words.
fn last_word(before: &str) -> &str {
    let start = before
        .char_indices()
        .rev()
        .find(|&(offset, character)| {
            before.len() - offset > LONGEST || !(character.is_alphanumeric() || character == '.')
        })
        .map_or(0, |(offset, character)| offset + character.len_utf8());
    &before[start..]
}

/// `1`, `12`, `3.2`, `b`, `iv`: what numbers items and headings.
fn is_item_number(word: &str) -> bool {
    let is_number = word.len() <= 6
        && word
            .split('.')
            .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let is_letter = word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let is_roman = word.len() <= 5
        && (word.bytes().all(|b| b"ivx".contains(&b)) || word.bytes().all(|b| b"IVX".contains(&b)));
    is_number || is_letter || is_roman
}

fn is_at_line_start(before: &str, word: &str) -> bool {
    let line = &before[..before.len() - word.len()];
    let indent = line.trim_end_matches([' ', '\t', '(']);
    line.len() - indent.len() <= LONGEST && (indent.is_empty() || indent.ends_with('\n'))
}

/// `J`, `U.S`, `Ph.D`: capital letters between stops, and perhaps a small one after each.
fn are_initials(word: &str) -> bool {
    let is_initial = |part: &str| {
        let mut characters = part.chars();
        characters.next().is_some_and(char::is_uppercase)
            && characters.clone().count() <= 2
            && characters.all(char::is_lowercase)
    };
    let is_single = word.chars().count() == 1;
    (is_single || word.contains('.')) && word.split('.').all(is_initial)
}

fn begins_sentence(rest: &str) -> bool {
    let end = rest
        .char_indices()
        .find(|(_, character)| !character.is_alphabetic())
        .map_or(rest.len(), |(offset, _)| offset.min(LONGEST));
    rest.get(..end)
        .is_some_and(|word| BEGINNINGS.contains(&word))
}
