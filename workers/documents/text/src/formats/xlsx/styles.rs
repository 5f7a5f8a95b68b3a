//! Which cell formats show a number as a date, a time or a percentage.

use std::collections::HashMap;

use quick_xml::events::Event;

use super::super::package::{Package, attribute};
use super::numbers::NumberFormat;
use crate::error::ExtractError;

/// The formats in the order in which cells refer to them.
pub(super) fn number_formats(
    package: &mut Package<'_>,
    part: &str,
) -> Result<Vec<NumberFormat>, ExtractError> {
    let mut own: HashMap<u32, NumberFormat> = HashMap::new();
    let mut formats = Vec::new();
    // There are `xf` of styles, too, which cells do not refer to.
    let mut of_cells = false;
    package.read_xml(part, |event| {
        match &event {
            Event::Start(element) => {
                let id = || attribute(element, b"numFmtId").and_then(|id| id.parse::<u32>().ok());
                match element.local_name().as_ref() {
                    b"cellXfs" => of_cells = true,
                    b"numFmt" => {
                        if let (Some(id), Some(code)) = (id(), attribute(element, b"formatCode")) {
                            own.insert(id, NumberFormat::of_code(&code));
                        }
                    }
                    b"xf" if of_cells => {
                        let id = id().unwrap_or_default();
                        let format = own.get(&id).copied();
                        formats.push(format.unwrap_or_else(|| NumberFormat::built_in(id)));
                    }
                    _ => {}
                }
            }
            Event::End(element) if element.local_name().as_ref() == b"cellXfs" => of_cells = false,
            _ => {}
        }
        Ok(())
    })?;
    Ok(formats)
}
