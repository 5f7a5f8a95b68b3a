//! How well each embedder finds: prints the table of docs/embedders.md.
//!
//!     cargo run -p millrace-vectors --example retrieval FOLDER
//!
//! FOLDER has the weights of the encoder (`tests/real/encoder.sh` prints one); without it the hashed words stand alone. 64 passages in
//! English, traditional Chinese and Korean, each with a question in other words (`tests/retrieval/passages.json`). A question is asked among
//! the passages of one language; found@k says for how many its own passage is among the first k.
#![allow(clippy::unwrap_used)]

use std::{env, path::Path, sync::Arc};

use millrace_vectors::{Embedder, Embedding, EncoderEmbedder, EncoderFolder, HashedEmbedder};
use serde::Deserialize;

const LANGUAGES: [&str; 3] = ["English", "Chinese", "Korean"];

#[derive(Deserialize)]
struct Passage {
    en: String,
    zh: String,
    ko: String,
    question: Question,
}

#[derive(Deserialize)]
struct Question {
    en: String,
    zh: String,
    ko: String,
}

/// Of one language, in the same order.
struct Language {
    passages: Vec<Embedding>,
    questions: Vec<Embedding>,
}

#[tokio::main]
async fn main() {
    let mut embedders: Vec<(&str, Box<dyn Embedder>)> =
        vec![("`local`", Box::new(HashedEmbedder::new()))];
    if let Some(folder) = env::args().nth(1) {
        let folder = Arc::new(EncoderFolder::find(Path::new(&folder)).unwrap());
        let alone = EncoderEmbedder::alone(Arc::clone(&folder));
        embedders.push(("`encoder-alone`", Box::new(alone)));
        embedders.push(("`encoder`", Box::new(EncoderEmbedder::combined(folder))));
    }
    let passages: Vec<Passage> =
        serde_json::from_str(include_str!("../tests/retrieval/passages.json")).unwrap();
    let texts: [Vec<String>; 6] = [
        passages.iter().map(|passage| passage.en.clone()).collect(),
        passages.iter().map(|passage| passage.zh.clone()).collect(),
        passages.iter().map(|passage| passage.ko.clone()).collect(),
        passages
            .iter()
            .map(|passage| passage.question.en.clone())
            .collect(),
        passages
            .iter()
            .map(|passage| passage.question.zh.clone())
            .collect(),
        passages
            .iter()
            .map(|passage| passage.question.ko.clone())
            .collect(),
    ];
    let names: Vec<&str> = embedders.iter().map(|(name, _)| *name).collect();
    println!("| question | passages | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(names.len()));
    let mut columns = Vec::new();
    for (_, embedder) in &embedders {
        let mut languages = Vec::new();
        for language in 0..LANGUAGES.len() {
            languages.push(Language {
                passages: embedder.embed(&texts[language]).await.unwrap(),
                questions: embedder
                    .embed(&texts[language + LANGUAGES.len()])
                    .await
                    .unwrap(),
            });
        }
        columns.push(languages);
    }
    let pairs = || (0..9).map(|pair| (pair / 3, pair % 3));
    for (asked, among) in pairs() {
        let found: Vec<String> = columns
            .iter()
            .map(|languages| shown(&[(&languages[asked], &languages[among])]))
            .collect();
        println!(
            "| {} | {} | {} |",
            LANGUAGES[asked],
            LANGUAGES[among],
            found.join(" | ")
        );
    }
    for (name, is_same) in [("same language", true), ("across languages", false)] {
        let found: Vec<String> = columns
            .iter()
            .map(|languages| {
                let chosen = pairs().filter(|(asked, among)| (asked == among) == is_same);
                let chosen: Vec<_> = chosen
                    .map(|(asked, among)| (&languages[asked], &languages[among]))
                    .collect();
                shown(&chosen)
            })
            .collect();
        println!("| **all, {name}** | | {} |", found.join(" | "));
    }
}

/// Found@1 and found@10 over all these.
fn shown(pairs: &[(&Language, &Language)]) -> String {
    let ranks: Vec<usize> = pairs
        .iter()
        .flat_map(|(asked, among)| ranks(asked, among))
        .collect();
    let share = |within: usize| {
        let found = ranks.iter().filter(|rank| **rank < within).count();
        found as f64 / ranks.len() as f64
    };
    format!("{:.2}, {:.2}", share(1), share(10))
}

/// How many passages come before each question's own. Equal ones do.
fn ranks(asked: &Language, among: &Language) -> Vec<usize> {
    let questions = asked.questions.iter().enumerate();
    let rank = |(own, question): (usize, &Embedding)| {
        let score = question.cosine(&among.passages[own]);
        let others = among.passages.iter().enumerate();
        let before =
            others.filter(|(place, other)| *place != own && question.cosine(other) >= score);
        before.count()
    };
    questions.map(rank).collect()
}
