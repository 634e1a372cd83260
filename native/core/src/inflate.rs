//! Inflating compressed bodies in bounded steps: a small body may hold a huge one.

use flate2::{Decompress, FlushDecompress, Status};
use thiserror::Error;

/// Bytes that one step gives at most.
pub const STEP: usize = 64 * 1024;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const WINDOW_BITS: u8 = 15;

/// A compressed body that is damaged.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BrokenBody {
    /// What came is not what its beginning said.
    #[error("the compressed body is damaged")]
    Damaged,
    /// It ended in the middle.
    #[error("the compressed body ended in the middle")]
    Cut,
}

/// Turns compressed pieces into plain ones: gzip (of several members too), zlib, or deflate without a header.
#[derive(Debug, Default)]
pub struct Inflater {
    machine: Option<Decompress>,
    /// The machine has seen the end of what it inflates.
    is_ended: bool,
    rest: Vec<u8>,
}

impl Inflater {
    /// Take a piece of the body.
    pub fn feed(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
    }

    /// Give the next bytes, [`STEP`] at most; none if it must be fed first.
    ///
    /// # Errors
    ///
    /// [`BrokenBody::Damaged`].
    pub fn step(&mut self) -> Result<Vec<u8>, BrokenBody> {
        let mut plain = vec![0; STEP];
        let mut size = 0;
        while size < STEP {
            self.prepare();
            let Some(machine) = self.machine.as_mut().filter(|_| !self.is_ended) else {
                break;
            };
            let (taken, given) = (machine.total_in(), machine.total_out());
            let status = machine
                .decompress(&self.rest, &mut plain[size..], FlushDecompress::None)
                .map_err(|_| BrokenBody::Damaged)?;
            let taken = bounded(machine.total_in() - taken);
            let given = bounded(machine.total_out() - given);
            self.is_ended = status == Status::StreamEnd;
            self.rest.drain(..taken);
            size += given;
            if !self.is_ended && taken == 0 && given == 0 {
                break;
            }
        }
        plain.truncate(size);
        Ok(plain)
    }

    /// Say that the body ended.
    ///
    /// # Errors
    ///
    /// [`BrokenBody::Cut`].
    pub fn close(&self) -> Result<(), BrokenBody> {
        let is_empty = self.machine.is_none() && self.rest.is_empty();
        if is_empty || self.is_ended {
            Ok(())
        } else {
            Err(BrokenBody::Cut)
        }
    }

    /// Make a machine where one is wanted; two bytes tell which it must be.
    fn prepare(&mut self) {
        let is_wanted = self.machine.is_none() || self.is_ended;
        let [first, second, ..] = *self.rest else {
            return;
        };
        if !is_wanted {
            return;
        }
        let is_gzip = self.rest.starts_with(GZIP_MAGIC);
        if self.is_ended && !is_gzip {
            self.rest.clear(); // Padding behind the last member.
            return;
        }
        let is_zlib = first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0;
        self.is_ended = false;
        self.machine = Some(if is_gzip {
            Decompress::new_gzip(WINDOW_BITS)
        } else {
            Decompress::new(is_zlib)
        });
    }
}

/// What one step took or gave, which is no more than a buffer holds.
fn bounded(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn inflate(pieces: &[&[u8]]) -> Result<Vec<u8>, BrokenBody> {
        let mut inflater = Inflater::default();
        let mut plain = Vec::new();
        for piece in pieces {
            inflater.feed(piece);
            loop {
                let step = inflater.step()?;
                if step.is_empty() {
                    break;
                }
                assert!(step.len() <= STEP);
                plain.extend(step);
            }
        }
        inflater.close()?;
        Ok(plain)
    }

    fn codings(plain: &[u8]) -> Result<[Vec<u8>; 3], std::io::Error> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(plain)?;
        zlib.write_all(plain)?;
        deflate.write_all(plain)?;
        Ok([gzip.finish()?, zlib.finish()?, deflate.finish()?])
    }

    #[test]
    fn each_coding_comes_back_however_it_is_split() -> Outcome {
        let plain = b"data: hello\n\n".repeat(50);
        for coded in codings(&plain)? {
            for at in 0..=coded.len() {
                assert_eq!(inflate(&[&coded[..at], &coded[at..]])?, plain);
            }
        }
        Ok(())
    }

    #[test]
    fn members_follow_each_other_and_padding_is_nothing() -> Outcome {
        let [one, ..] = codings(b"one")?;
        let [two, ..] = codings(b"two")?;

        assert_eq!(inflate(&[&one, &two, b"\0\0\0\0"])?, b"onetwo");
        Ok(())
    }

    #[test]
    fn a_huge_body_comes_in_steps() -> Outcome {
        let [coded, ..] = codings(&vec![b' '; 5_000_000])?;

        assert_eq!(inflate(&[&coded])?.len(), 5_000_000);
        Ok(())
    }

    #[test]
    fn damage_and_cuts_are_told() -> Outcome {
        for coded in codings(b"hello hello hello hello")? {
            assert_eq!(inflate(&[&coded[..coded.len() - 1]]), Err(BrokenBody::Cut));
        }
        let [mut gzip, ..] = codings(b"hello hello hello hello")?;
        gzip[12] ^= 0xff;
        assert!(inflate(&[&gzip]).is_err());
        assert_eq!(inflate(&[b"x"]), Err(BrokenBody::Cut));
        assert_eq!(inflate(&[]), Ok(Vec::new()));
        Ok(())
    }
}
