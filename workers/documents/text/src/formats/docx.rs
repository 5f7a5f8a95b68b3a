//! Word documents, read as a stream of XML events with a fixed amount of state.
//!
//! Nothing here recurses and nothing keeps a tree, so neither deep nesting nor large parts
//! cost more than time. Entities are not expanded beyond the five that XML defines.

mod body;
mod styles;

use super::package::Package;
use crate::builder::Builder;
use crate::error::ExtractError;
use crate::limits::Limits;

pub(super) fn read(
    bytes: &[u8],
    main_part: &str,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let folder = main_part.rsplit_once('/').map_or("", |(folder, _)| folder);

    // Title and styles are a gain; a document without them, or with broken ones, is readable.
    if let Some(title) = package.title_in("docProps/core.xml") {
        builder.title(&title);
    }
    let levels = styles::outline_levels(&mut package, &format!("{folder}/styles.xml"));
    body::read_part(&mut package, main_part, &levels, builder)?;
    for notes in ["footnotes.xml", "endnotes.xml"] {
        let part = format!("{folder}/{notes}");
        if package.has(&part) {
            body::read_part(&mut package, &part, &levels, builder)?;
        }
    }
    Ok(())
}
