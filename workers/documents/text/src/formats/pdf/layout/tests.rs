#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pdf_oxide::layout::TextChar;

use super::{IN_WORD, read};
use crate::wrap::is_unspaced;

const SIZE: f32 = 10.0;

/// How wide glyphs are here: half as wide as high, East Asian ones square.
fn width(character: char) -> f32 {
    let wide = is_unspaced(character) || ('\u{ac00}'..='\u{d7a3}').contains(&character);
    if wide { SIZE } else { SIZE / 2.0 }
}

fn glyph(character: char, x: f32, y: f32, size: f32, width: f32) -> TextChar {
    TextChar {
        char: character,
        origin_x: x,
        origin_y: y,
        font_size: size,
        advance_width: width,
        rendered_advance: width,
        ..TextChar::default()
    }
}

fn line(text: &str, x: f32, y: f32) -> Vec<TextChar> {
    let mut x = x;
    let mut line = Vec::new();
    for character in text.chars() {
        line.push(glyph(character, x, y, SIZE, width(character)));
        x += width(character);
    }
    line
}

fn text_of(lines: &[Vec<TextChar>]) -> String {
    read(&lines.concat()).unwrap().text
}

const PROSE: [&str; 8] = [
    "Every event can be delivered again, at",
    "any time and in any order, and the end",
    "state is the same as if it had come at",
    "once. A worker that dies in the middle",
    "of its work is started again, reads an",
    "event that it has seen before, and has",
    "nothing to do but to say that all of it",
    "is done: nothing lost and nothing twice",
];

fn column(x: f32, top: f32) -> Vec<Vec<TextChar>> {
    let lines = (0_u8..).zip(PROSE);
    lines
        .map(|(number, text)| line(text, x, top - 12.0 * f32::from(number)))
        .collect()
}

#[test]
fn columns_are_read_one_after_the_other() {
    let mut page = vec![line(
        "A title that stands over both of the columns of this page",
        100.0,
        740.0,
    )];
    // The right column's lines are half a line lower.
    page.extend(column(50.0, 700.0));
    page.extend(column(260.0, 694.0));
    page.push(line(
        "A remark below them that is as wide as all of the page, or nearly",
        60.0,
        560.0,
    ));
    let prose = PROSE.join("\n");
    let expected = format!(
        "A title that stands over both of the columns of this page\n\n{prose}\n\n{prose}\n\nA remark below them that is as wide as all of the page, or nearly"
    );
    assert_eq!(text_of(&page), expected);
}

#[test]
fn a_sentence_goes_on_at_the_top_of_the_next_column() {
    let mut page = column(50.0, 700.0);
    page.extend(
        (0_u8..)
            .zip(PROSE.iter().skip(1))
            .map(|(number, text)| line(text, 260.0, 700.0 - 12.0 * f32::from(number))),
    );
    let text = text_of(&page);
    assert!(text.contains("nothing twice\nany time and"), "{text}");
}

#[test]
fn a_listing_beside_a_column_of_text() {
    let mut page = column(50.0, 700.0);
    for (number, code) in (0_u8..).zip(["if (a) {", "  b();", "}", "c();"]) {
        page.push(line(code, 270.0, 700.0 - 12.0 * f32::from(number)));
    }
    let text = text_of(&page);
    assert!(text.starts_with(&PROSE.join("\n")), "{text}");
    assert!(text.ends_with("if (a) {\nb();\n}\nc();"), "{text}");
}

#[test]
fn tables_are_rows_of_cells() {
    let mut page = Vec::new();
    for (number, (name, first, second)) in (0_u8..).zip([
        ("Alabama", "18,870", "0"),
        ("Alaska", "209", "3,062"),
        ("Arizona", "2,303", "12"),
        ("Arkansas", "3,298", "6,359"),
    ]) {
        let y = 500.0 - 12.0 * f32::from(number);
        page.push(line(name, 50.0, y));
        page.push(line(first, 150.0, y));
        page.push(line(second, 250.0, y));
    }
    assert_eq!(
        text_of(&page),
        "Alabama\t18,870\t0\nAlaska\t209\t3,062\nArizona\t2,303\t12\nArkansas\t3,298\t6,359"
    );
}

#[test]
fn blanks_come_from_gaps_where_the_file_has_none() {
    // Two words a third of a size apart, two letters a tenth.
    let words = [
        line("one", 10.0, 100.0),
        line("two", 28.3, 100.0),
        line("s", 44.3, 100.0),
    ];
    assert_eq!(text_of(&words), "one twos");
    // Between Chinese and Latin typesetters leave a quarter that nobody wrote.
    let mixed = [line("資料", 10.0, 100.0), line("PDF", 32.5, 100.0)];
    assert_eq!(text_of(&mixed), "資料PDF");
}

#[test]
fn notes_stay_in_their_line() {
    let mut page = vec![
        line("Author", 10.0, 100.0),
        line(", Other Author of it", 43.0, 100.0),
    ];
    page.push(vec![glyph('1', 40.0, 103.8, 6.0, 3.0)]);
    page.push(line("The next line of the same text", 10.0, 88.0));
    assert_eq!(
        text_of(&page),
        "Author1, Other Author of it\nThe next line of the same text"
    );
}

#[test]
fn letters_that_are_printed_twice_are_one() {
    let page = [
        line("bold", 10.0, 100.0),
        line("bold", 10.4, 100.3),
        line("all", 50.0, 100.0),
    ];
    assert_eq!(text_of(&page), "bold\tall");
}

#[test]
fn accents_over_their_letters() {
    let mut page = line("na", 10.0, 100.0);
    page.push(glyph('¨', 20.0, 100.0, SIZE, 5.0));
    page.push(glyph('ı', 20.2, 100.0, SIZE, 4.0));
    page.extend(line("ve", 24.2, 100.0));
    // The builder makes one character of the two.
    assert_eq!(text_of(&[page]), "nai\u{308}ve");
}

#[test]
fn ligatures_are_letters() {
    assert_eq!(
        text_of(&[line("eﬃcient ﬂow", 10.0, 100.0)]),
        "efficient flow"
    );
}

#[test]
fn arabic_is_read_from_the_right() {
    // As it stands on the page, in the forms that letters take in a word.
    let shown: String = "مرحبا بالعالم 12".chars().rev().collect();
    let shown = shown.replace("21", "12");
    let page = [line(&shown, 10.0, 100.0), line("ﻡﻼﺳ", 10.0, 88.0)];
    assert_eq!(text_of(&page), "مرحبا بالعالم 12\nسلام");
}

#[test]
fn a_page_that_is_turned() {
    let mut page = Vec::new();
    for (number, text) in [(0.0, "The first line"), (12.0, "and the second")] {
        for (index, character) in (0_u8..).zip(text.chars()) {
            let mut turned = glyph(
                character,
                100.0 + number,
                50.0 + 5.0 * f32::from(index),
                SIZE,
                0.0,
            );
            turned.rotation_degrees = 90.0;
            page.push(turned);
        }
    }
    // A stamp in the usual direction comes after what most of the page is.
    page.extend(line("stamp", 300.0, 700.0));
    assert_eq!(text_of(&[page]), "The first line\nand the second\n\nstamp");
}

#[test]
fn columns_of_single_glyphs_are_left_to_the_library() {
    let mut page = Vec::new();
    for (column, text) in [(0.0, "日本語の文章"), (18.0, "あいうえおか")] {
        for (index, character) in (0_u8..).zip(text.chars()) {
            let y = 500.0 - SIZE * f32::from(index);
            page.push(glyph(character, 300.0 - column, y, SIZE, SIZE));
        }
    }
    assert!(read(&page).is_none());
}

#[test]
fn korean_words_that_a_line_breaks() {
    let page = [
        line("문서 작성 능력이 필요합니", 10.0, 100.0),
        line("다. 계약은 수습 기간은 ", 10.0, 88.0),
        line("삼개월입니다 복리후생으로 ", 10.0, 76.0),
        line("건강보험을 제공합니다.", 10.0, 64.0),
    ];
    let text = text_of(&page);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with(IN_WORD), "{text:?}");
    assert!(
        !lines[1].ends_with(IN_WORD) && !lines[2].ends_with(IN_WORD),
        "{text:?}"
    );
}

#[test]
fn bytes_of_gbk_that_stand_as_letters() {
    let letters = "¹ØÓÚºì¾ü×÷Õ½µÄÔ\u{ad}Ôò¶Ô¹ú·ÀÎÊÌâµÄÒâ¼û";
    let page = [line(letters, 10.0, 100.0)];
    assert_eq!(text_of(&page), "关于红军作战的原则对国防问题的意见");
}

#[test]
fn what_is_no_place_on_a_page_is_left_out() {
    let mut page = line("here", 10.0, 100.0);
    page.push(glyph('x', f32::NAN, 100.0, SIZE, 5.0));
    page.push(glyph('y', 10.0, f32::INFINITY, SIZE, 5.0));
    page.push(glyph('z', 10.0, 10.0, 0.0, 5.0));
    assert_eq!(text_of(&[page]), "here");
    assert_eq!(text_of(&[]), "");
}

proptest::proptest! {
    /// Whatever stands wherever: nothing panics, and no letter is made up.
    #[test]
    fn glyphs_anywhere_are_read(
        glyphs in proptest::collection::vec(
            (proptest::char::any(), -50.0_f32..700.0, -50.0_f32..900.0, 0.0_f32..40.0, -2.0_f32..30.0, 0_usize..6),
            0..120,
        ),
        grid in proptest::bool::ANY,
    ) {
        let angles = [0.0, 0.0, 0.0, 90.0, -90.0, 33.0];
        let page: Vec<TextChar> = glyphs
            .iter()
            .map(|&(character, x, y, size, width, angle)| {
                // On a grid there are lines and columns; else nearly every glyph is a line of its own.
                let snap = |value: f32| if grid { (value / 12.0).round() * 12.0 } else { value };
                let mut glyph = glyph(character, snap(x), snap(y), size, width);
                glyph.rotation_degrees = if grid { 0.0 } else { angles[angle] };
                glyph
            })
            .collect();
        if let Some(read) = read(&page) {
            let ascii = |c: &char| c.is_ascii_alphanumeric();
            let here = page.iter().filter(|glyph| ascii(&glyph.char)).count();
            let ligatures = page.iter().filter(|glyph| !glyph.char.is_ascii()).count();
            let found = read.text.chars().filter(ascii).count();
            proptest::prop_assert!(found <= here + 3 * ligatures);
        }
    }
}
