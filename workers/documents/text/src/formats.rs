//! One module a format. A new format is a module here, a variant of `Sniffed` and of `Format`,
//! and a line in [`read`].

pub(crate) mod csv;
mod docx;
mod drawing;
pub(crate) mod eml;
mod epub;
mod html;
pub(crate) mod json;
mod markdown;
mod opendocument;
mod package;
mod pdf;
mod plain;
mod pptx;
pub(crate) mod rtf;
#[cfg(test)]
mod testing;
mod utf16;
mod xlsx;
pub(crate) mod xml;

use std::borrow::Cow;

use crate::builder::{Builder, Draft};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::sniff::Sniffed;

/// Reads a file of a known format.
pub(crate) fn read(
    sniffed: Sniffed,
    file: Cow<'_, [u8]>,
    limits: &Limits,
) -> Result<Draft, ExtractError> {
    let mut builder = Builder::new(limits);
    let bytes = file.as_ref();
    match sniffed {
        Sniffed::Pdf => pdf::read(file, limits, &mut builder)?,
        Sniffed::Docx { main_part } => docx::read(bytes, &main_part, limits, &mut builder)?,
        Sniffed::Xlsx { main_part } => xlsx::read(bytes, &main_part, limits, &mut builder)?,
        Sniffed::Pptx { main_part } => pptx::read(bytes, &main_part, limits, &mut builder)?,
        Sniffed::OpenDocument(_) => opendocument::read(bytes, limits, &mut builder)?,
        Sniffed::Epub => epub::read(bytes, limits, &mut builder)?,
        Sniffed::Rtf => rtf::read(bytes, &mut builder)?,
        Sniffed::Email => eml::read(bytes, &mut builder)?,
        Sniffed::Xml(text) => xml::read(&text, limits, &mut builder)?,
        Sniffed::Json(text) => json::read(&text, &mut builder)?,
        Sniffed::Csv { text, delimiter } => csv::read(&text, delimiter, &mut builder)?,
        Sniffed::Html(text) => html::read(&text, &mut builder)?,
        Sniffed::Markdown(text) => markdown::read(&text, &mut builder)?,
        Sniffed::PlainText(text) => plain::read(&text, &mut builder)?,
    }
    Ok(builder.finish())
}
