//! Word documents, read as a stream of XML events with a fixed amount of state.
//!
//! Nothing here recurses and nothing keeps a tree, so neither deep nesting nor large parts
//! cost more than time. Entities are not expanded beyond the five that XML defines.

mod body;
mod styles;

use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::builder::Builder;
use crate::error::ExtractError;
use crate::limits::Limits;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn read(
    bytes: &[u8],
    main_part: &str,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|_| ExtractError::damaged("its zip archive cannot be opened"))?;
    let folder = main_part.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut budget = limits.expanded_bytes;

    // Title and styles are a gain; a document without them, or with broken ones, is readable.
    if let Some(title) = styles::core_title(&mut archive, &mut budget) {
        builder.title(&title);
    }
    let levels = styles::outline_levels(&mut archive, &format!("{folder}/styles.xml"), &mut budget);
    body::read_part(
        &mut archive,
        main_part,
        &levels,
        &mut budget,
        limits,
        builder,
    )?;
    for notes in ["footnotes.xml", "endnotes.xml"] {
        let part = format!("{folder}/{notes}");
        if archive.index_for_name(&part).is_some() {
            body::read_part(&mut archive, &part, &levels, &mut budget, limits, builder)?;
        }
    }
    Ok(())
}

/// Opens a part for reading, at most `budget` bytes of it, and hands the reader to `with`.
///
/// What was read is taken off the budget, so that many parts cannot do what one may not.
fn with_part<T>(
    archive: &mut Archive<'_>,
    name: &str,
    budget: &mut u64,
    with: impl FnOnce(&mut Reader<BufReader<&mut CountedPart<'_>>>) -> T,
) -> Result<T, ExtractError> {
    let part = archive.by_name(name).map_err(|error| match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ExtractError::Encrypted,
        _ => ExtractError::damaged(format!("its part {name} cannot be opened")),
    })?;
    let mut counted = CountedPart {
        part: Box::new(part),
        left: *budget,
    };
    let result = {
        let mut reader = Reader::from_reader(BufReader::new(&mut counted));
        reader.config_mut().check_end_names = false;
        with(&mut reader)
    };
    *budget = counted.left;
    Ok(result)
}

/// A part that ends with an error when it unpacks to more than it may.
struct CountedPart<'a> {
    part: Box<dyn Read + 'a>,
    left: u64,
}

impl Read for CountedPart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other("the part is larger than allowed"));
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.part.read(&mut buffer[..most])?;
        self.left -= u64::try_from(read).unwrap_or(u64::MAX).min(self.left);
        Ok(read)
    }
}
