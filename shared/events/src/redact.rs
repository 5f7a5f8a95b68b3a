//! Redaction: an event, or a whole fixture, without anybody's data in it.
//!
//! Everything that is text is replaced, except what is known to say nothing of anybody: the envelopes' own fields (event
//! names, times, sequence numbers, sequencers, entity tags), names of buckets, tables, queues, topics and functions, and the
//! words that a product names ([`Redactor::keep_words`]). It is a list of what stays, not of what goes, so what
//! nobody thought of goes.
//!
//! What is replaced gets a made-up value of the same shape: a UUID becomes a UUID, an address of the
//! documentation range an IP address, a name a name with as many letters. A word becomes the same word wherever it stands: in a key,
//! percent-encoded or not, in a row, in an ARN, in JSON within text within JSON. So keys still match each other.
//!
//! Made-up values are a function of the original and of a salt. Whoever knows the salt can try out originals (there are only
//! so many account numbers and addresses), so it must not be known: the recorder takes a hash of the whole
//! original message ([`salt_of`]), whose ids and tokens nobody can guess. The same message is so redacted the same way each time, and two messages
//! share no pseudonyms. Who can guess a message as a whole can confirm the guess; nothing less can be told from the result.

mod envelope;
mod shape;
mod text;
mod vectors;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::{shape::Maker, text::Phrases};

/// JSON within text is opened so deep, as deep as envelopes may lie in one another.
const MAX_DEPTH: usize = 12;

/// Words that every AWS event may have in its texts and that say nothing of anybody.
const COMMON_WORDS: &[&str] = &[
    "arn",
    "aws",
    "aws-cn",
    "aws-us-gov",
    "s3",
    "sqs",
    "sns",
    "lambda",
    "dynamodb",
    "events",
    "https",
    "http",
    "amazonaws.com",
    "table",
    "stream",
    "index",
    "function",
    "rule",
    "schedule",
    "LATEST",
    "created",
    "removed",
    "undecodable",
    "null",
];

/// Replaces whatever may be somebody's by something made up.
#[derive(Debug, Clone)]
pub struct Redactor {
    maker: Maker,
    phrases: Phrases,
}

/// The salt that belongs to a message: a hash of all of it.
pub fn salt_of(message: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"millrace redaction 1\n");
    hash.update(message.to_string());
    hash.finalize().into()
}

/// In what a value stands: what its fields' names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// An envelope of AWS or of Millrace: names of fields have the meaning that AWS documents.
    Envelope,
    /// Somebody's own data: the name of a field promises nothing.
    Payload,
}

impl Redactor {
    /// A redactor with this salt, which should be kept as secret as what is redacted.
    pub fn new(salt: [u8; 32]) -> Self {
        let mut phrases = Phrases::default();
        for word in COMMON_WORDS {
            phrases.keep(word);
        }
        Self {
            maker: Maker::new(salt),
            phrases,
        }
    }

    /// Lets these words stay wherever they stand between what is neither a letter nor a digit; `#` stands for digits
    /// (`chunk-#.json`). They are a product's own: names of folders and files that its workers write, states.
    #[must_use]
    pub fn keep_words(mut self, words: &[&str]) -> Self {
        for word in words {
            self.phrases.keep(word);
        }
        self
    }

    /// Replaces a text by this one, wherever it stands as a word.
    pub fn replace(&mut self, original: &str, by: &str) {
        self.phrases.replace(original, by);
    }

    /// Learns from an event, or from anything that has events in it, what else may stay: names of buckets, tables and
    /// queues, sequencers, entity tags, sequence numbers. Call it with all that is redacted together, before any of it is.
    pub fn learn(&mut self, value: &Value) {
        envelope::learn(value, &mut self.phrases, &self.maker, 0);
    }

    /// An event, redacted.
    pub fn event(&self, event: &Value) -> Value {
        self.value(event, Within::Payload, 0)
    }

    /// A text, redacted: percent-encoding stays as it is, JSON in it is redacted as JSON.
    pub fn text(&self, text: &str) -> String {
        self.text_at(text, 0)
    }

    fn value(&self, value: &Value, within: Within, depth: usize) -> Value {
        match value {
            Value::Object(fields) => {
                let within = envelope::within(value, within);
                let redacted = fields.iter().map(|(name, field)| {
                    let field = self.field(value, name, field, within, depth);
                    (self.name(name), field)
                });
                Value::Object(redacted.collect())
            }
            Value::Array(entries) if vectors::is_vector(entries) => {
                Value::Array(vectors::along_an_axis(entries, &self.maker))
            }
            Value::Array(entries) => {
                let entries = entries.iter().map(|entry| self.value(entry, within, depth));
                Value::Array(entries.collect())
            }
            Value::String(text) => Value::String(self.text_at(text, depth)),
            Value::Number(number) => self.maker.number(number),
            Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    fn field(
        &self,
        object: &Value,
        name: &str,
        field: &Value,
        within: Within,
        depth: usize,
    ) -> Value {
        if within == Within::Envelope && envelope::stays(name, field) {
            return match field
                .as_str()
                .and_then(|text| self.phrases.replacement(text))
            {
                Some(by) => Value::from(by),
                None => field.clone(),
            };
        }
        let text = match field {
            Value::String(text) => text,
            other => return self.value(other, envelope::within_field(object, name, within), depth),
        };
        match name {
            // A row's number is text in DynamoDB's JSON; so may be a whole message's body.
            "N" | "body" | "Message" if is_small_number(text) => field.clone(),
            "dataType" if ["String", "Number", "Binary"].contains(&text.as_str()) => field.clone(),
            "B" | "binaryValue" => Value::String(
                vectors::bytes_along_an_axis(text, &self.maker)
                    .unwrap_or_else(|| self.maker.base64(text)),
            ),
            _ => Value::String(self.text_at(text, depth)),
        }
    }

    /// A field's name is part of a schema, unless somebody has made a map of people.
    fn name(&self, name: &str) -> String {
        if text::names_somebody(name) {
            return self.text(name);
        }
        name.to_owned()
    }

    fn text_at(&self, text: &str, depth: usize) -> String {
        let may_be_json = depth < MAX_DEPTH && text.trim_start().starts_with(['{', '[', '"']);
        if may_be_json && let Ok(inner) = serde_json::from_str::<Value>(text) {
            return self.value(&inner, Within::Payload, depth + 1).to_string();
        }
        text::redact(text, &self.phrases, &self.maker)
    }
}

fn is_small_number(text: &str) -> bool {
    text.parse::<serde_json::Number>().is_ok() && !shape::may_be_somebodys(text)
}

#[cfg(test)]
mod tests;
