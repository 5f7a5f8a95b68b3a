//! The suite: one program, so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod analytics;
mod aside;
mod costs;
mod crash;
mod dead_letters;
mod dead_letters_replay;
mod demo;
mod fixtures;
mod jobs_reference;
mod jobs_responses;
mod jobs_scoring;
mod jobs_vectors;
mod marketing_campaigns;
mod marketing_figures;
mod marketing_matching;
mod marketing_on_aws;
mod opensearch;
mod opensearch_late;
mod opensearch_prepare;
mod pipeline;
mod recorded;
mod rehearsal;
mod replay;

/// The command under test; also the child in which files are parsed.
const PROGRAM: &str = env!("CARGO_BIN_EXE_millrace-under-test");

/// A document of a user.
fn document(user: &str, number: u8) -> millrace_documents::Document {
    let id = format!("0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a{number:02x}");
    millrace_documents::Document::parse(user, &id).unwrap()
}

const FIRST: &str = "The mill stands by the river. Its wheel is five metres wide.\n\nThe miller opens the sluice at dawn.";
const SECOND: &str =
    "The mill was sold. The new owner grows mushrooms in the cellar and sells them on Saturdays.";
