//! A zip archive of parts, most of them XML: Office, OpenDocument and EPUB files.
//!
//! Sizes that the archive declares are never believed: all parts that are read share one budget
//! of bytes, counted while they unpack. Only parts that a reader asks for by name are opened;
//! an archive in the archive stays closed, and what lies outside is not followed.

mod names;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::utf16::as_utf8;
use crate::builder::one_line;
use crate::error::ExtractError;
use crate::limits::Limits;
use names::compared;

pub(super) use names::{resolve, shown};

/// No document has more parts; a list of more is there to fill the memory.
const MOST_PARTS: usize = 100_000;
/// Relations of one part; a slide or a sheet has a few.
const MOST_RELATIONS: usize = 100_000;
/// No text, tag or comment of a part is longer, in bytes: all of it is in memory.
const LONGEST_EVENT: u64 = 32 * 1024 * 1024;
/// Titles are cut far earlier.
const LONGEST_TITLE: usize = 64 * 1024;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The reader that a part is read with.
pub(super) type PartReader<'r, 'p> = Reader<BufReader<&'r mut CountedPart<'p>>>;

/// An opened archive with what is left of its budget.
pub(super) struct Package<'a> {
    archive: Archive<'a>,
    /// Names as they are compared: Office does not mind capital letters.
    names: HashMap<String, usize>,
    left: u64,
    expanded_bytes: u64,
    /// A part had something in it that is longer than [`LONGEST_EVENT`].
    too_long: bool,
}

/// That a part refers to another one of the same package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) id: String,
    /// The last word of the type: `worksheet`, `notesSlide`.
    pub(super) kind: String,
    /// The name of the other part.
    pub(super) target: String,
}

impl<'a> Package<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ExtractError> {
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|_| ExtractError::damaged("its zip archive cannot be opened"))?;
        if archive.len() > MOST_PARTS {
            return Err(ExtractError::TooLarge {
                detail: format!(
                    "it consists of {} parts, and at most {MOST_PARTS} are accepted",
                    archive.len()
                ),
            });
        }
        let mut names = HashMap::with_capacity(archive.len());
        for index in 0..archive.len() {
            if let Some(name) = archive.name_for_index(index) {
                names.entry(compared(name)).or_insert(index);
            }
        }
        Ok(Self {
            archive,
            names,
            left: limits.expanded_bytes,
            expanded_bytes: limits.expanded_bytes,
            too_long: false,
        })
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.names.contains_key(&compared(part))
    }

    /// Opens a part for reading and hands its reader to `with`. What was read is taken off the
    /// budget, so that many parts cannot do what one may not.
    pub(super) fn with_part<T>(
        &mut self,
        part: &str,
        with: impl FnOnce(&mut PartReader<'_, '_>) -> T,
    ) -> Result<T, ExtractError> {
        let opened = open_part(&mut self.archive, &self.names, part)?;
        let mut counted = CountedPart {
            part: as_utf8(opened).map_err(|_| breaks_off(part))?,
            left: self.left,
            event_left: LONGEST_EVENT,
        };
        let result = {
            let mut reader = Reader::from_reader(BufReader::new(&mut counted));
            reader.config_mut().check_end_names = false;
            with(&mut reader)
        };
        self.left = counted.left;
        self.too_long |= counted.event_left == 0;
        Ok(result)
    }

    /// Hands every event of an XML part to `take`; an empty element comes as a start and an end.
    /// A part that stops before its root element is closed is damaged.
    pub(super) fn read_xml(
        &mut self,
        part: &str,
        mut take: impl FnMut(Event<'_>) -> Result<(), ExtractError>,
    ) -> Result<(), ExtractError> {
        let ended = self.with_part(part, |reader| {
            reader.config_mut().expand_empty_elements = true;
            let mut buffer = Vec::new();
            let mut depth = 0_u64;
            let mut complete = false;
            loop {
                let event = next_event(reader, &mut buffer).map_err(|_| breaks_off(part))?;
                match &event {
                    Event::Start(_) => depth += 1,
                    Event::End(_) => {
                        depth = depth.saturating_sub(1);
                        complete |= depth == 0;
                    }
                    Event::Eof if complete => return Ok(()),
                    Event::Eof => return Err(breaks_off(part)),
                    _ => {}
                }
                take(event)?;
            }
        })?;
        self.unless_used_up(ended)
    }

    /// All of a part's bytes, if they are no more than `most`.
    pub(super) fn read_bytes(&mut self, part: &str, most: u64) -> Result<Vec<u8>, ExtractError> {
        let mut counted = CountedPart {
            part: open_part(&mut self.archive, &self.names, part)?,
            left: self.left,
            event_left: u64::MAX,
        };
        let mut content = Vec::new();
        let read = Read::by_ref(&mut counted)
            .take(most.saturating_add(1))
            .read_to_end(&mut content);
        self.left = counted.left;
        drop(counted);
        self.unless_used_up(read.map_err(|_| breaks_off(part)))?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
            return Err(ExtractError::TooLarge {
                detail: format!(
                    "its part {} unpacks to more than {} MB",
                    shown(part),
                    most >> 20
                ),
            });
        }
        Ok(content)
    }

    /// A part that breaks off where the budget is used up does so because of that.
    pub(super) fn unless_used_up<T>(
        &self,
        result: Result<T, ExtractError>,
    ) -> Result<T, ExtractError> {
        if result.is_err() && self.too_long {
            return Err(ExtractError::TooLarge {
                detail: format!(
                    "a single piece of it is longer than {} MB",
                    LONGEST_EVENT >> 20
                ),
            });
        }
        if result.is_err() && self.left == 0 {
            return Err(ExtractError::TooLarge {
                detail: format!("it unpacks to more than {} MB", self.expanded_bytes >> 20),
            });
        }
        result
    }

    /// What an Office part refers to inside of the package; nothing where it has no relations.
    pub(super) fn relations(&mut self, part: &str) -> Result<Vec<Relation>, ExtractError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let relations_part = format!("{folder}/_rels/{name}.rels");
        let mut relations = Vec::new();
        if !self.has(&relations_part) {
            return Ok(relations);
        }
        self.read_xml(&relations_part, |event| {
            let Event::Start(element) = &event else {
                return Ok(());
            };
            // What is external is never followed.
            let external = attribute(element, b"TargetMode").is_some_and(|mode| mode == "External");
            if element.local_name().as_ref() != b"Relationship" || external {
                return Ok(());
            }
            if relations.len() >= MOST_RELATIONS {
                return Err(ExtractError::damaged(format!(
                    "its part {} refers to too many others",
                    shown(part)
                )));
            }
            let kind = attribute(element, b"Type").unwrap_or_default();
            let target = attribute(element, b"Target").unwrap_or_default();
            relations.push(Relation {
                id: attribute(element, b"Id").unwrap_or_default(),
                kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                target: resolve(part, &target),
            });
            Ok(())
        })?;
        Ok(relations)
    }

    /// The first `title` in a part of metadata. It is a gain: without it, or with a broken one,
    /// a document is readable.
    pub(super) fn title_in(&mut self, part: &str) -> Option<String> {
        let mut inside = false;
        let mut done = false;
        let mut title = String::new();
        // What stood before the break is good enough.
        let _ = self.read_xml(part, |event| {
            match &event {
                Event::Start(element) => inside = element.local_name().as_ref() == b"title",
                Event::End(_) => {
                    done |= inside;
                    inside = false;
                }
                _ if inside && !done && title.len() < LONGEST_TITLE => {
                    title.push_str(&text_of(&event));
                }
                _ => {}
            }
            Ok(())
        });
        let title = one_line(&title);
        (!title.is_empty()).then_some(title)
    }
}

fn open_part<'p>(
    archive: &'p mut Archive<'_>,
    names: &HashMap<String, usize>,
    part: &str,
) -> Result<Box<dyn Read + 'p>, ExtractError> {
    let index = names
        .get(&compared(part))
        .ok_or_else(|| ExtractError::damaged(format!("its part {} is missing", shown(part))))?;
    let file = archive.by_index(*index).map_err(|error| match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ExtractError::Encrypted,
        _ => ExtractError::damaged(format!("its part {} cannot be opened", shown(part))),
    })?;
    Ok(Box::new(file))
}

/// The next event of a part, unless it is longer than anything that is meant to be read.
pub(super) fn next_event<'b>(
    reader: &mut PartReader<'_, '_>,
    buffer: &'b mut Vec<u8>,
) -> quick_xml::Result<Event<'b>> {
    buffer.clear();
    reader.get_mut().get_mut().event_left = LONGEST_EVENT;
    reader.read_event_into(buffer)
}

pub(super) fn breaks_off(part: &str) -> ExtractError {
    ExtractError::damaged(format!("its part {} breaks off", shown(part)))
}

/// A part that ends with an error when it unpacks to more than it may.
pub(super) struct CountedPart<'a> {
    part: Box<dyn Read + 'a>,
    left: u64,
    /// How much may be read before the next event.
    event_left: u64,
}

impl Read for CountedPart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 || self.event_left == 0 {
            return Err(std::io::Error::other("the part is larger than allowed"));
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.part.read(&mut buffer[..most])?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left -= count.min(self.left);
        self.event_left = self.event_left.saturating_sub(count);
        Ok(read)
    }
}

/// The value of an attribute, whatever its namespace prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    attribute_if(element, |key| local(key) == name)
}

/// The id by which an element refers to a relation. It has a prefix, which the element's own
/// id has not.
pub(super) fn relation_id(element: &BytesStart<'_>) -> Option<String> {
    attribute_if(element, |key| key.contains(&b':') && local(key) == b"id")
}

fn local(key: &[u8]) -> &[u8] {
    let colon = key.iter().position(|&byte| byte == b':');
    colon.map_or(key, |colon| &key[colon + 1..])
}

fn attribute_if(element: &BytesStart<'_>, wanted: impl Fn(&[u8]) -> bool) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| wanted(attribute.key.as_ref()))?;
    found.unescape_value().ok().map(|value| value.into_owned())
}

/// The text that an event stands for: nothing for markup, and for text that is no UTF-8.
pub(super) fn text_of<'e>(event: &Event<'e>) -> Cow<'e, str> {
    match event {
        Event::Text(text) => text.decode().unwrap_or_default(),
        Event::CData(text) => text.decode().unwrap_or_default(),
        Event::GeneralRef(reference) => {
            let character = resolve_reference(reference);
            Cow::Owned(character.map(String::from).unwrap_or_default())
        }
        _ => Cow::Borrowed(""),
    }
}

/// A character reference, or one of the five entities of XML; others are left out.
pub(super) fn resolve_reference(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    let name: &[u8] = reference;
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => None,
    }
}
