//! Where a capture's bytes come from: a file or standard input, decompressed when the first bytes say gzip or zstd.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Compressed bytes read at a time.
const COMPRESSED_BLOCK: usize = 256 * 1024;
/// A zstd frame may ask for a window of 2^this bytes, which the decoder allocates; `zstd --ultra -22` writes 2^27.
const ZSTD_WINDOW_LOG: u32 = 27;

/// An open source and what is known of it.
pub(super) struct Source {
    pub(super) bytes: Box<dyn Read + Send>,
    /// Can be opened again and read from the start.
    pub(super) again: bool,
    /// Bytes arrive as somebody writes them: what is there must not wait for a full block.
    pub(super) live: bool,
}

/// Opens a file, or standard input for `-`.
pub(super) fn open(path: &Path) -> io::Result<Source> {
    if path.as_os_str() == "-" {
        return Ok(Source { bytes: decompressed(io::stdin())?, again: false, live: true });
    }
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    Ok(Source { bytes: decompressed(file)?, again: kind.is_file(), live: !kind.is_file() })
}

fn decompressed(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut front = [0; ZSTD.len()];
    let mut len = 0;
    while len < front.len() {
        match raw.read(&mut front[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let gzip = len >= GZIP.len() && front.starts_with(&GZIP);
    let zstd = len == front.len() && front == ZSTD;
    let whole = Cursor::new(front).take(len as u64).chain(raw);
    Ok(if gzip {
        // Several members in a row are one stream: `cat a.gz b.gz` (RFC 1952, section 2.2).
        Box::new(flate2::bufread::MultiGzDecoder::new(io::BufReader::with_capacity(COMPRESSED_BLOCK, whole)))
    } else if zstd {
        let mut decoder = zstd::Decoder::with_buffer(io::BufReader::with_capacity(COMPRESSED_BLOCK, whole))?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Box::new(decoder)
    } else {
        Box::new(whole)
    })
}
