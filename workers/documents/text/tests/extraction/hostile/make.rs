//! Files by hand, byte by byte, where a library would refuse to write them.

/// The text of a Word document around its paragraphs.
pub(super) const DOCUMENT_START: &str = "<w:document xmlns:w='w'><w:body>";
pub(super) const DOCUMENT_END: &str = "</w:body></w:document>";

/// A file in an archive, as its headers describe it.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// Its name where its content begins, which should be the same.
    pub(super) other_name: Option<Vec<u8>>,
    pub(super) content: Vec<u8>,
    /// 0 as it is, 8 deflated.
    pub(super) method: u16,
    pub(super) flags: u16,
    /// What it says it unpacks to.
    pub(super) size: u32,
    /// Lies where the entry of that number lies, and has no content of its own.
    pub(super) same_as: Option<usize>,
}

impl Entry {
    pub(super) fn stored(name: &str, content: &str) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            content: content.as_bytes().to_vec(),
            size: content.len() as u32,
            ..Self::default()
        }
    }

    pub(super) fn deflated(name: &str, content: Vec<u8>, size: u32) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            content,
            method: 8,
            size,
            ..Self::default()
        }
    }

    fn checksum(&self) -> u32 {
        if self.method == 0 {
            crc32(&self.content)
        } else {
            0
        }
    }

    fn common(&self, name: &[u8]) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(20_u16.to_le_bytes());
        header.extend(self.flags.to_le_bytes());
        header.extend(self.method.to_le_bytes());
        header.extend([0; 4]);
        header.extend(self.checksum().to_le_bytes());
        header.extend((self.content.len() as u32).to_le_bytes());
        header.extend(self.size.to_le_bytes());
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0; 2]);
        header
    }
}

pub(super) fn archive_of(entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut offsets = Vec::new();
    for entry in entries {
        if let Some(number) = entry.same_as {
            offsets.push(offsets[number]);
            continue;
        }
        offsets.push(file.len() as u32);
        let name = entry.other_name.as_ref().unwrap_or(&entry.name);
        file.extend(b"PK\x03\x04");
        file.extend(entry.common(name));
        file.extend(name);
        file.extend(&entry.content);
    }
    let start = file.len();
    for (entry, offset) in entries.iter().zip(&offsets) {
        let content = entry.same_as.map_or(entry, |number| &entries[number]);
        let described = Entry {
            name: entry.name.clone(),
            ..content.clone()
        };
        file.extend(b"PK\x01\x02\x14\x00");
        file.extend(described.common(&entry.name));
        file.extend([0; 10]);
        file.extend(offset.to_le_bytes());
        file.extend(&entry.name);
    }
    let size = file.len() - start;
    end_of_archive(&mut file, entries.len(), start, size);
    file
}

/// A table of contents of that many entries without content, and hardly any bytes before it.
pub(super) fn archive_of_many(count: usize) -> Vec<u8> {
    let mut file = archive_of(&[Entry::stored("word/document.xml", "<w:document/>")]);
    let start = file
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    file.truncate(start);
    let mut header = b"PK\x01\x02\x14\x00".to_vec();
    header.extend(Entry::stored("12345678", "").common(b"12345678"));
    header.extend([0; 14]);
    for number in 0..count {
        file.extend(&header);
        file.extend(format!("{number:08}").as_bytes());
    }
    let size = file.len() - start;
    end_of_archive(&mut file, count, start, size);
    file
}

/// The end in the form for large archives where the numbers are too large for the other one.
fn end_of_archive(file: &mut Vec<u8>, count: usize, start: usize, size: usize) {
    let end = file.len() as u64;
    let large = count > 0xfffe;
    if large {
        file.extend(b"PK\x06\x06");
        file.extend(44_u64.to_le_bytes());
        file.extend([45, 0, 45, 0]);
        file.extend([0; 8]);
        for number in [count, count, size, start] {
            file.extend((number as u64).to_le_bytes());
        }
        file.extend(b"PK\x06\x07");
        file.extend([0; 4]);
        file.extend(end.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
    }
    file.extend(b"PK\x05\x06");
    file.extend([0; 4]);
    let count = if large { 0xffff } else { count as u16 };
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend((size as u32).to_le_bytes());
    file.extend((start as u32).to_le_bytes());
    file.extend([0; 2]);
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = u32::MAX;
    for &byte in bytes {
        checksum ^= u32::from(byte);
        for _ in 0..8 {
            let low = checksum & 1;
            checksum = (checksum >> 1) ^ (0xedb8_8320 * low);
        }
    }
    !checksum
}

/// As many bytes as anybody likes, deflated by hand (RFC 1951, fixed codes): a beginning, a
/// piece of 64 bytes over and over until there are `size` bytes of it, an end.
pub(super) fn deflated(beginning: &str, piece: &str, size: u64, end: &str) -> Vec<u8> {
    assert_eq!(piece.len(), 64);
    let mut bits = Bits::default();
    // The last block, with fixed codes.
    bits.push(0b011, 3);
    for &byte in beginning.as_bytes().iter().chain(piece.as_bytes()) {
        bits.literal(byte);
    }
    // 258 bytes from 64 bytes before: length code 285, distance code 11 with 15 in 4 bits.
    let length = u64::from(0b1100_0101_u8.reverse_bits());
    let distance = u64::from(11_u8.reverse_bits() >> 3);
    let copy = length | (distance << 8) | (15 << 13);
    for _ in 0..size / 258 {
        bits.push(copy, 17);
    }
    // What was copied may have ended in the middle of a piece: the rest of it.
    let over = (size / 258 * 258 % 64) as usize;
    for &byte in &piece.as_bytes()[over..] {
        bits.literal(byte);
    }
    for &byte in end.as_bytes() {
        bits.literal(byte);
    }
    bits.push(0, 7);
    bits.push(0, 7);
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.waiting as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    fn literal(&mut self, byte: u8) {
        assert!(byte < 144);
        self.push(u64::from((0x30 + byte).reverse_bits()), 8);
    }
}

/// A PDF of these objects, the first one its root, with a cross-reference table that is right.
pub(super) fn pdf_of_objects(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend(format!("{number} 0 obj\n").bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    file.extend(table.bytes());
    let size = objects.len() + 1;
    file.extend(format!("trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").bytes());
    file
}

/// An object that is a stream.
pub(super) fn stream(dictionary: &str, content: &[u8]) -> Vec<u8> {
    let mut object = format!("<<{dictionary}/Length {}>>stream\n", content.len()).into_bytes();
    object.extend(content);
    object.extend(b"\nendstream");
    object
}
