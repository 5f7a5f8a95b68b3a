//! The embedder that needs no model: hashed words and pieces of words.
//!
//! Each word, each 3- to 5-letter piece of it, and each one, two and three characters of Chinese,
//! Japanese and Korean text is hashed to one of 1,536 places and a sign. A feature that occurs
//! n times weighs √n. Texts that share words or parts of words point in similar directions; texts in different
//! languages do not. It is deterministic to the bit: only exact IEEE operations in a fixed order.

use async_trait::async_trait;
use millrace_events::Failure;
use unicode_normalization::UnicodeNormalization;

use crate::{
    embedder::Embedder,
    embedding::{DIMENSIONS, Embedding, ModelId},
    hash::hash64,
};

/// Changes with anything that changes a vector.
const MODEL: &str = "millrace-hashed-1";

/// Texts after which other tasks get their turn: about two milliseconds.
const TEXTS_A_TURN: usize = 16;

/// What kind of feature it is; each has its own seed and weight.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Word,
    Stopword,
    Three,
    Four,
    Five,
    OneCharacter,
    TwoCharacters,
    ThreeCharacters,
}

impl Kind {
    /// By discriminant; the kind travels in the lowest bits of a feature's hash.
    const WEIGHTS: [f64; 8] = [1.0, 0.15, 0.3, 0.35, 0.4, 0.35, 1.0, 0.8];
    const BITS: u32 = 3;

    fn feature(self, text: &str) -> u64 {
        self.of_bytes(text.as_bytes())
    }

    fn of_bytes(self, text: &[u8]) -> u64 {
        let kind = self as u64;
        hash64(text, kind) << Self::BITS | kind
    }
}

/// English words that say little about what a text is about: they weigh little, and their pieces nothing.
const STOPWORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had",
    "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "may", "more", "most",
    "must", "no", "not", "of", "on", "one", "only", "or", "other", "our", "out", "over", "she",
    "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "to", "up", "was", "we", "were", "what", "when", "where",
    "which", "who", "why", "will", "with", "would", "you", "your",
];

/// The deterministic local embedder, 1,536 dimensions.
#[derive(Debug)]
pub struct HashedEmbedder {
    model: ModelId,
}

impl HashedEmbedder {
    /// It has no settings: every one of them gives the same vectors.
    pub fn new() -> Self {
        Self {
            model: ModelId::new(MODEL),
        }
    }

    /// The vector of one text. A text without a letter or digit gets a direction of its own.
    pub fn embed_one(&self, text: &str) -> Result<Embedding, Failure> {
        Ok(Embedding::try_new(numbers(text, DIMENSIONS), DIMENSIONS)?)
    }
}

/// The weights of a text's features at so many places, not all of them zero.
pub(crate) fn numbers(text: &str, places: usize) -> Vec<f32> {
    let mut features = features(text);
    features.sort_unstable();
    let mut sums = vec![0.0_f64; places];
    for same in features.chunk_by(|left, right| left == right) {
        let feature = same[0];
        let weight = Kind::WEIGHTS[(feature & ((1 << Kind::BITS) - 1)) as usize]
            * (same.len() as f64).sqrt();
        let place = ((feature >> Kind::BITS) % places as u64) as usize;
        sums[place] += if feature >> 63 == 0 { weight } else { -weight };
    }
    // Features that cancel each other out to nothing are as good as none.
    if sums.iter().all(|sum| *sum == 0.0) {
        sums[0] = 1.0;
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

impl Default for HashedEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Embedder for HashedEmbedder {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let mut embeddings = Vec::with_capacity(texts.len());
        for some in texts.chunks(TEXTS_A_TURN) {
            for text in some {
                embeddings.push(self.embed_one(text)?);
            }
            tokio::task::yield_now().await;
        }
        Ok(embeddings)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Words are not parted by spaces, or change their endings: pieces of one to three characters.
    Ideographic,
    /// Words.
    Alphabetic,
    /// Between words.
    None,
}

fn script(character: char) -> Script {
    match character as u32 {
        // Kana, Bopomofo, Han with extensions, Hangul in its three blocks.
        0x3041..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF => {
            Script::Ideographic
        }
        0x1100..=0x11FF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF => {
            Script::Ideographic
        }
        _ if character.is_alphanumeric() => Script::Alphabetic,
        _ => Script::None,
    }
}

/// Compatibility forms composed, letters small. What is ASCII is so already but for its capitals, unless a mark
/// that combines stands behind it.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii());
        // The last letter of ASCII goes with what follows it.
        let plain = ascii.map_or(rest.len(), |end| end.saturating_sub(1));
        let start = folded.len();
        folded.push_str(&rest[..plain]);
        folded[start..].make_ascii_lowercase();
        rest = &rest[plain..];
        let other = rest.bytes().skip(1).position(|byte| byte.is_ascii());
        let end = other.map_or(rest.len(), |end| end + 1);
        folded.extend(rest[..end].nfkc().flat_map(char::to_lowercase));
        rest = &rest[end..];
    }
    folded
}

fn features(text: &str) -> Vec<u64> {
    let folded = folded(text);
    let mut features = Vec::with_capacity(folded.len() * 3);
    let mut rest = folded.as_str();
    while let Some(first) = rest.chars().next() {
        let kind = script(first);
        let end = rest
            .find(|character| script(character) != kind)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match kind {
            Script::Ideographic => characters(run, &mut features),
            Script::Alphabetic => word(run, &mut features),
            Script::None => {}
        }
        rest = after;
    }
    features
}

fn word(word: &str, features: &mut Vec<u64>) {
    if STOPWORDS.binary_search(&word).is_ok() {
        features.push(Kind::Stopword.feature(word));
        return;
    }
    features.push(Kind::Word.feature(word));
    // The borders are part of the pieces: `<mi` says that a word begins so.
    let mut bordered = String::with_capacity(word.len() + 2);
    bordered.push('<');
    bordered.push_str(word);
    bordered.push('>');
    for (length, kind) in [(3, Kind::Three), (4, Kind::Four), (5, Kind::Five)] {
        pieces(&bordered, length, kind, features);
    }
}

fn characters(run: &str, features: &mut Vec<u64>) {
    for (length, kind) in [
        (1, Kind::OneCharacter),
        (2, Kind::TwoCharacters),
        (3, Kind::ThreeCharacters),
    ] {
        pieces(run, length, kind, features);
    }
}

/// Every piece of `length` characters.
fn pieces(text: &str, length: usize, kind: Kind, features: &mut Vec<u64>) {
    if text.is_ascii() {
        let pieces = text.as_bytes().windows(length);
        features.extend(pieces.map(|piece| kind.of_bytes(piece)));
        return;
    }
    let starts = text.char_indices().map(|(start, _)| start);
    let ends = text
        .char_indices()
        .map(|(start, _)| start)
        .skip(length)
        .chain([text.len()]);
    let count = text.chars().count();
    if count < length {
        return;
    }
    features.extend(
        starts
            .zip(ends)
            .map(|(start, end)| kind.feature(&text[start..end])),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn embed(text: &str) -> Embedding {
        HashedEmbedder::new().embed_one(text).unwrap()
    }

    #[test]
    fn stopwords_are_sorted() {
        assert!(STOPWORDS.is_sorted());
    }

    #[test]
    fn pieces_cut_between_characters() {
        let mut found = Vec::new();
        pieces("水車小屋", 3, Kind::ThreeCharacters, &mut found);
        assert_eq!(
            found,
            ["水車小", "車小屋"].map(|piece| Kind::ThreeCharacters.feature(piece))
        );
        found.clear();
        pieces("水車", 3, Kind::ThreeCharacters, &mut found);
        assert!(found.is_empty());
    }

    fn plainly_folded(text: &str) -> String {
        text.nfkc().flat_map(char::to_lowercase).collect()
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_for_ascii_folds_the_same(
            text in "\\PC*",
            mixed in "[a-zA-Z0-9 .\u{300}-\u{30a}\u{327}éÅﬁ２ｱﾞ漢가\u{1100}\u{1161}İß]{0,40}",
        ) {
            proptest::prop_assert_eq!(folded(&text), plainly_folded(&text));
            proptest::prop_assert_eq!(folded(&mixed), plainly_folded(&mixed));
        }
    }

    #[test]
    fn pieces_of_ascii_are_those_of_any_text() {
        let mut found = Vec::new();
        pieces("<mill>", 4, Kind::Four, &mut found);
        assert_eq!(
            found,
            ["<mil", "mill", "ill>"].map(|piece| Kind::Four.feature(piece))
        );
        found.clear();
        pieces("<a>", 4, Kind::Four, &mut found);
        assert!(found.is_empty());
    }

    /// The vectors are stored for years: a change of one bit is a new model, and needs a new name.
    #[test]
    fn never_changes() {
        let texts = [
            "",
            "The mill wheel turns.",
            "水車在溪流中轉動。",
            "물레방아가 시냇물에서 돈다.",
            "MÜHLE ﬁne ２４",
        ];
        let sums = texts.map(|text| hash64(&embed(text).to_le_bytes(), 0));
        assert_eq!(sums, GOLDEN);
    }

    const GOLDEN: [u64; 5] = [
        6852715551766948594,
        10255343850529515706,
        9645100194390400649,
        2752865168536767042,
        5274091907830491758,
    ];

    #[test]
    fn case_and_width_do_not_matter() {
        assert_eq!(embed("Mill Wheel 24"), embed("mill wheel ２４"));
    }

    #[test]
    fn the_nearest_text_is_the_one_on_the_same_subject() {
        let sets = [
            (
                "how is the water wheel repaired",
                "Repairing a broken water wheel takes two days and a new axle.",
                [
                    "The bakery sells bread and rolls every morning.",
                    "Taxes are due at the end of the year.",
                ],
            ),
            (
                "怎樣修理水車",
                "修理一座壞掉的水車需要兩天和一根新的車軸。",
                ["麵包店每天早上賣麵包。", "年底之前必須繳稅。"],
            ),
            (
                "물레방아 수리 방법",
                "고장 난 물레방아를 수리하려면 이틀과 새 축이 필요하다.",
                ["빵집은 매일 아침 빵을 판다.", "세금은 연말까지 내야 한다."],
            ),
        ];
        for (question, answer, others) in sets {
            let question = embed(question);
            let best = question.cosine(&embed(answer));
            for other in others {
                let score = question.cosine(&embed(other));
                assert!(best > score + 0.1, "{best} against {score} for {other}");
            }
        }
    }

    #[tokio::test]
    async fn answers_in_the_order_asked() {
        let texts: Vec<String> = (0..40).map(|number| format!("text {number}")).collect();
        let embeddings = HashedEmbedder::new().embed(&texts).await.unwrap();
        assert_eq!(embeddings.len(), 40);
        assert_eq!(embeddings[33], embed("text 33"));
    }
}
