//! The sample documents that the program carries along.

use serde::Deserialize;

use crate::output::Error;

/// One file.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        &[$(Sample {
            name: $name,
            bytes: include_bytes!(concat!("../../../events-fixtures/documents/samples/", $name)),
        }),+]
    };
}

/// English, Chinese, Korean; PDF, DOCX, HTML, text; and broken files.
pub(crate) const DEMO: &[Sample] = samples![
    "alderwick-flood-notice.txt",
    "alderwick-mill-handbook.pdf",
    "alderwick-millers-notebook.md",
    "alderwick-restoration-report.docx",
    "alderwick-visitor-guide.html",
    "beodeulnae-bakery-ko-cp949.txt",
    "beodeulnae-festival-ko.docx",
    "beodeulnae-letter-ko-utf16.txt",
    "beodeulnae-mill-guide-ko.pdf",
    "beodeulnae-recipes-ko.md",
    "yuxi-market-notice-zh-big5.txt",
    "yuxi-mill-tour-zh.html",
    "yuxi-river-survey-zh.pdf",
    "yuxi-town-history-zh.docx",
    "broken/truncated.pdf",
    "broken/password-protected.pdf",
];

/// Files that stand for those that people uploaded, beside those of the demonstration.
const STAND_INS: &[Sample] = samples!["broken/empty.pdf", "broken/scanned.pdf"];

/// The bytes of `samples/NAME`, if the program carries it along.
pub(crate) fn carried(file: &str) -> Option<&'static [u8]> {
    let name = file.strip_prefix("samples/")?;
    let mut all = DEMO.iter().chain(STAND_INS);
    all.find(|sample| sample.name == name)
        .map(|sample| sample.bytes)
}

/// One question with its language.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    pub(crate) question: String,
}

/// The questions that the samples answer.
pub(crate) fn questions() -> Result<Vec<Question>, Error> {
    let text = include_str!("../../../events-fixtures/documents/samples/questions.json");
    serde_json::from_str(text)
        .map_err(|error| Error::failed(format!("the bundled questions are damaged: {error}")))
}
