//! The numbers of the model: arrays of numpy in an archive.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

/// No array of the model is larger; a damaged archive may say what it likes.
const MOST_BYTES: u64 = 64 << 20;

/// What is wrong with the weights, as the end of a sentence that begins with their name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    /// It is no archive, or a part of it cannot be read.
    #[error("cannot be read as an archive of arrays at {0}")]
    Archive(String),
    /// An array is not what the model needs.
    #[error("has in {name} no {expected}")]
    Array {
        /// Which.
        name: String,
        /// What it should be.
        expected: String,
    },
}

/// The archive. Copies read it side by side.
#[derive(Clone)]
pub(super) struct Weights<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Weights<'a> {
    /// From the bytes of the file.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let archive = ZipArchive::new(Cursor::new(bytes));
        Ok(Self(
            archive.map_err(|_| Wrong::Archive("its end".to_owned()))?,
        ))
    }

    /// As many 32-bit floats.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Wrong> {
        let bytes = self.array(name, "<f4", shape, 4)?;
        let words = bytes.as_chunks::<4>().0.iter();
        Ok(words.map(|word| f32::from_le_bytes(*word)).collect())
    }

    /// As many bytes.
    pub(super) fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, Wrong> {
        self.array(name, "|u1", shape, 1)
    }

    /// The bytes of an array of this kind and shape, row by row.
    fn array(
        &mut self,
        name: &str,
        kind: &str,
        shape: &[usize],
        size: usize,
    ) -> Result<Vec<u8>, Wrong> {
        let expected = || Wrong::Array {
            name: name.to_owned(),
            expected: format!("array {shape:?} of {kind}"),
        };
        let broken = || Wrong::Archive(name.to_owned());
        let entry = self
            .0
            .by_name(&format!("{name}.npy"))
            .map_err(|_| expected())?;
        let mut all = Vec::with_capacity(entry.size().min(MOST_BYTES) as usize);
        let read = entry.take(MOST_BYTES).read_to_end(&mut all);
        read.map_err(|_| broken())?;
        // Magic, two bytes of version, the header's length, the header: a dictionary as Python writes it.
        let Some(([b'\x93', b'N', b'U', b'M', b'P', b'Y', 1, _, low, high], rest)) =
            all.split_first_chunk::<10>()
        else {
            return Err(broken());
        };
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let Some((header, numbers)) = rest.split_at_checked(length) else {
            return Err(broken());
        };
        let header = String::from_utf8_lossy(header);
        let is_right = header.contains(&format!("'descr': '{kind}'"))
            && header.contains("'fortran_order': False")
            && shape_in(&header).as_deref() == Some(shape)
            && numbers.len() == shape.iter().product::<usize>() * size;
        if !is_right {
            return Err(expected());
        }
        let begin = all.len() - numbers.len();
        all.drain(..begin);
        Ok(all)
    }
}

fn shape_in(header: &str) -> Option<Vec<usize>> {
    let (_, shape) = header.split_once("'shape': (")?;
    let (shape, _) = shape.split_once(')')?;
    let sizes = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(header: &str, numbers: &[u8]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer
            .start_file("a.npy", SimpleFileOptions::default())
            .unwrap();
        writer.write_all(b"\x93NUMPY\x01\x00").unwrap();
        writer
            .write_all(&(header.len() as u16).to_le_bytes())
            .unwrap();
        writer.write_all(header.as_bytes()).unwrap();
        writer.write_all(numbers).unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn reads_what_numpy_writes_and_nothing_else() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n";
        let numbers = [0, 0, 128, 63, 0, 0, 0, 64];
        let whole = archive(header, &numbers);
        let read =
            |bytes: &[u8], name: &str, shape: &[usize]| Weights::open(bytes)?.floats(name, shape);
        assert_eq!(read(&whole, "a", &[2]).unwrap(), [1.0, 2.0]);
        assert!(read(&whole, "a", &[2, 1]).is_err());
        assert!(read(&whole, "b", &[2]).is_err());
        assert!(read(&whole[..whole.len() - 30], "a", &[2]).is_err());
        assert!(read(&archive(header, &numbers[..7]), "a", &[2]).is_err());
        assert!(read(&archive(&header.replace("<f4", "<f8"), &numbers), "a", &[2]).is_err());
        assert!(
            read(
                &archive(&header.replace("False", "True"), &numbers),
                "a",
                &[2]
            )
            .is_err()
        );
        let message = read(&whole, "a", &[3]).unwrap_err().to_string();
        assert_eq!(message, "has in a no array [3] of <f4");
    }
}
