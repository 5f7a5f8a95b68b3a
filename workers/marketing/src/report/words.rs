//! Words and numbers as people read them.

use super::figures::Ratio;

/// What a state is called, by its position in `STATES`.
pub(super) const STATE_WORDS: [&str; 7] =
    ["대기", "연락함", "응답", "협의 중", "수락", "거절", "완료"];

/// What a dimension is called: Korean, English.
pub(super) fn dimension_words(dimension: &str) -> (&'static str, &'static str) {
    match dimension {
        "store" => ("가게", "Stores"),
        "category" => ("업종", "Categories"),
        "location" => ("지역", "Locations"),
        "tier" => ("크리에이터 등급", "Creator tiers"),
        "platform" => ("플랫폼", "Platforms"),
        _ => ("전체", "All"),
    }
}

/// `1,234,567`.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    if value < 0 {
        text.push('−');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Hundredths as a number with two decimals: `66.67`.
pub(super) fn decimal(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let whole = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", whole / 100, whole % 100)
}

/// `66.7 %`, or a dash where there is nothing to divide by.
pub(super) fn percent(ratio: Ratio) -> String {
    match ratio.hundredths_of_percent() {
        // From the parts, not from the hundredths: rounding twice is not rounding.
        Some(_) => {
            let doubled = 2 * i128::from(ratio.whole);
            let tenths =
                (i128::from(ratio.part) * 2_000 + i128::from(ratio.whole)).div_euclid(doubled);
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
        None => "–".to_owned(),
    }
}

/// `2d 4h`, `3h 20m`, `45s`, or a dash.
pub(super) fn duration(seconds: Option<i64>) -> String {
    let Some(seconds) = seconds else {
        return "–".to_owned();
    };
    let (minute, hour, day) = (60, 3_600, 86_400);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / minute, seconds % minute),
        3_600..86_400 => format!("{}h {}m", seconds / hour, seconds % hour / minute),
        _ => format!("{}d {}h", seconds / day, seconds % day / hour),
    }
}

/// Text of others inside a page: never markup, and no characters that a page may not have.
pub(super) fn escaped(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\t' | '\n' | '\r' => page.push(' '),
            letter if letter.is_control() => page.push('\u{fffd}'),
            letter => page.push(letter),
        }
    }
    page
}

/// Text cut to a width, with an ellipsis: a Korean letter is as wide as two Latin ones.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let wide = |letter: char| if letter < '\u{1100}' { 1 } else { 2 };
    if text.chars().map(wide).sum::<usize>() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|letter| {
        used += wide(*letter);
        used <= width
    });
    let mut cut: String = kept.collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(-12_345_678), "−12,345,678");
        assert_eq!(decimal(6_667), "66.67");
        assert_eq!(decimal(-5), "-0.05");
        assert_eq!(percent(Ratio { part: 2, whole: 3 }), "66.7 %");
        assert_eq!(percent(Ratio { part: 0, whole: 0 }), "–");
        assert_eq!(duration(Some(59)), "59s");
        assert_eq!(duration(Some(3_599)), "59m 59s");
        assert_eq!(duration(Some(90_000)), "1d 1h");
        assert_eq!(duration(None), "–");
    }

    #[test]
    fn text_of_others_is_never_markup() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'\u{0}\n</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\u{fffd} &lt;/script&gt;"
        );
    }

    #[test]
    fn long_names_are_cut_by_their_width() {
        assert_eq!(fitted("버들내", 6), "버들내");
        assert_eq!(fitted("버들내 제과점", 10), "버들내 제…");
        assert_eq!(fitted("Alderwick Mill", 10), "Alderwick…");
    }
}
