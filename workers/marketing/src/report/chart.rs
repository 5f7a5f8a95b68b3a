//! Charts as inline SVG, made by hand. Their colours are classes of the page, so that they follow light and dark.

use std::fmt::Write;

use super::words::{escaped, fitted};

const WIDTH: i64 = 640;
const LABEL_END: i64 = 148;
const VALUE_WIDTH: i64 = 112;
const BAR: i64 = 18;
const ROW: i64 = 30;

/// A bar of a chart.
pub(super) struct Bar {
    /// What it stands for.
    pub(super) label: String,
    /// Its parts, one after the other: the class that colours it, its name, its value.
    pub(super) parts: Vec<Part>,
    /// What stands at its end.
    pub(super) text: String,
}

/// A part of a bar.
pub(super) struct Part {
    /// The class that colours it.
    pub(super) class: String,
    /// What it stands for.
    pub(super) name: String,
    /// How long it is.
    pub(super) value: i64,
}

/// A chart of horizontal bars from one line, all to one scale. `id` is unique in the page.
pub(super) fn bars(id: &str, title: &str, bars: &[Bar]) -> String {
    let longest = bars.iter().map(length).max().unwrap_or_default().max(1);
    let room = WIDTH - LABEL_END - VALUE_WIDTH;
    let height = ROW * count(bars.len()) + 8;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}\"><title id=\"{id}\">{}</title>\
         <line class=\"axis\" x1=\"{LABEL_END}\" y1=\"0\" x2=\"{LABEL_END}\" y2=\"{height}\"/>",
        escaped(title)
    );
    for (position, bar) in bars.iter().enumerate() {
        let top = 4 + ROW * count(position) + (ROW - BAR) / 2;
        let base = top + BAR / 2 + 5;
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{base}\" text-anchor=\"end\"><title>{}</title>{}</text>",
            LABEL_END - 10,
            escaped(&bar.label),
            escaped(&fitted(&bar.label, 20))
        );
        let mut passed = 0;
        let scale = |value: i64| scaled(room, value, longest);
        for part in &bar.parts {
            let value = part.value.max(0);
            // From the sum, so that the ends of stacked parts are where the sum is.
            let (start, end) = (scale(passed), scale(passed + value));
            passed += value;
            if value == 0 {
                continue;
            }
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{BAR}\" rx=\"2\"><title>{}: {}</title></rect>",
                part.class,
                LABEL_END + start,
                (end - start).max(2),
                escaped(&part.name),
                super::words::number(part.value)
            );
        }
        let _ = write!(
            svg,
            "<text class=\"value\" x=\"{}\" y=\"{base}\">{}</text>",
            LABEL_END + scale(passed) + 8,
            escaped(&bar.text)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// One wide bar of parts of a whole.
pub(super) fn whole(id: &str, title: &str, parts: &[Part]) -> String {
    let all = parts
        .iter()
        .map(|part| part.value.max(0))
        .sum::<i64>()
        .max(1);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} 40\" role=\"img\" aria-labelledby=\"{id}\"><title id=\"{id}\">{}</title>\
         <rect class=\"track\" x=\"0\" y=\"4\" width=\"{WIDTH}\" height=\"32\" rx=\"4\"/>",
        escaped(title)
    );
    let scale = |value: i64| scaled(WIDTH, value, all);
    let mut passed = 0;
    for part in parts {
        let value = part.value.max(0);
        let (start, end) = (scale(passed), scale(passed + value));
        passed += value;
        if end > start {
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{start}\" y=\"4\" width=\"{}\" height=\"32\"><title>{}: {}</title></rect>",
                part.class,
                end - start,
                escaped(&part.name),
                super::words::number(part.value)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// What the colours mean.
pub(super) fn legend(entries: &[(&str, &str)]) -> String {
    let mut list = "<ul class=\"legend\">".to_owned();
    for (class, name) in entries {
        let _ = write!(
            list,
            "<li><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"12\" height=\"12\" rx=\"2\"/></svg>{}</li>",
            escaped(name)
        );
    }
    list.push_str("</ul>");
    list
}

fn length(bar: &Bar) -> i64 {
    bar.parts.iter().map(|part| part.value.max(0)).sum()
}

/// How far along `room` a value is that would fill it at `whole`.
fn scaled(room: i64, value: i64, whole: i64) -> i64 {
    let along = i128::from(room) * i128::from(value) / i128::from(whole);
    i64::try_from(along).unwrap_or(room)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / ROW / 2)
}
