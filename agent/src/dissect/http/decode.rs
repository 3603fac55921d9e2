//! Undoing content codings (RFC 9110 section 8.4): never more than is kept, and what a truncated body gives.

use std::io::{BufRead, BufReader, ErrorKind, Read};

/// Codings in a row. Two are seen, by mistake; more are an attack.
const LAYERS: usize = 4;

/// Bytes that may pass between two codings in a row: a bomb inside a bomb may yield nothing for gigabytes.
const BETWEEN_LAYERS: u64 = 4 << 20;

/// A window of 8 MiB, the most that a sender of `Content-Encoding: zstd` may use (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    pub name: &'static str,
    /// All of the content: nothing was cut, and the coding's end was reached.
    pub whole: bool,
    /// The coded bytes are wrong somewhere.
    pub damaged: bool,
}

/// Undoes the codings that `names` list in the order in which they were applied. `raw_whole`: `raw` is all of the body.
/// `None` when there is nothing to undo; an error names why it stays as it is.
pub fn decode<'a>(
    names: impl Iterator<Item = &'a [u8]>,
    raw: &[u8],
    raw_whole: bool,
    limit: usize,
) -> Result<Option<Decoded>, &'static str> {
    let mut codings = Vec::new();
    for name in names.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii) {
        if !name.is_empty() && !name.eq_ignore_ascii_case(b"identity") && !name.eq_ignore_ascii_case(b"chunked") {
            codings.push(coding(name).ok_or("content_encoding_unknown")?);
        }
    }
    if codings.is_empty() || raw.is_empty() {
        return Ok(None);
    }
    if codings.len() > LAYERS {
        return Err("content_encoding_unknown");
    }
    let mut reader: Box<dyn BufRead + '_> = Box::new(raw);
    for (layer, coding) in codings.iter().rev().enumerate() {
        let outermost = layer + 1 == codings.len();
        let decoder = open(*coding, reader).ok_or("content_encoding")?;
        reader = if outermost {
            Box::new(BufReader::new(decoder))
        } else {
            Box::new(BufReader::new(decoder.take(BETWEEN_LAYERS)))
        };
    }
    let mut bytes = Vec::new();
    // One byte more than is kept tells whether there is more.
    let result = reader.take(limit as u64 + 1).read_to_end(&mut bytes);
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    if let Err(error) = &result
        && bytes.is_empty()
    {
        // Brotli's decoder has one kind of error only.
        let cut_short = error.kind() == ErrorKind::UnexpectedEof || codings.contains(&Coding::Brotli);
        if raw_whole || !cut_short {
            return Err("content_encoding");
        }
    }
    // A decoder that runs out of input says so as an error: no damage when the rest was not kept.
    let damaged = result.is_err() && raw_whole;
    Ok(Some(Decoded { bytes, name: name(&codings), whole: raw_whole && !cut && result.is_ok(), damaged }))
}

/// Names of RFC 9110 section 8.4.1, with their old aliases.
fn coding(name: &[u8]) -> Option<Coding> {
    [
        (&b"gzip"[..], Coding::Gzip),
        (b"x-gzip", Coding::Gzip),
        (b"deflate", Coding::Deflate),
        (b"br", Coding::Brotli),
        (b"zstd", Coding::Zstd),
    ]
    .into_iter()
    .find_map(|(known, coding)| name.eq_ignore_ascii_case(known).then_some(coding))
}

fn name(codings: &[Coding]) -> &'static str {
    match codings {
        [Coding::Gzip] => "gzip",
        [Coding::Deflate] => "deflate",
        [Coding::Brotli] => "br",
        [Coding::Zstd] => "zstd",
        [Coding::Gzip, Coding::Gzip] => "gzip, gzip",
        [Coding::Deflate, Coding::Gzip] => "deflate, gzip",
        [Coding::Brotli, Coding::Gzip] => "br, gzip",
        [Coding::Gzip, Coding::Brotli] => "gzip, br",
        _ => "several",
    }
}

fn open<'a>(coding: Coding, mut raw: Box<dyn BufRead + 'a>) -> Option<Box<dyn Read + 'a>> {
    Some(match coding {
        Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        // RFC 9110 section 8.4.1.2: zlib's format; some send the bare deflate stream all the same. RFC 1950: method 8,
        // and a check that makes the first two bytes a multiple of 31.
        Coding::Deflate => match *raw.fill_buf().ok()? {
            [cmf, flg, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flg]) % 31 == 0 => {
                Box::new(flate2::bufread::ZlibDecoder::new(raw))
            }
            _ => Box::new(flate2::bufread::DeflateDecoder::new(raw)),
        },
        // Its window is at most 16 MiB (RFC 7932), and lives only while this body is decoded.
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(raw, 4096)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).ok()?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(names: &str, raw: &[u8], limit: usize) -> Result<Option<Decoded>, &'static str> {
        decode(std::iter::once(names.as_bytes()), raw, true, limit)
    }

    fn whole(names: &str, raw: &[u8]) -> (Vec<u8>, &'static str) {
        let decoded = run(names, raw, 1 << 16).unwrap().unwrap();
        assert!(decoded.whole && !decoded.damaged);
        (decoded.bytes, decoded.name)
    }

    #[test]
    fn each_coding_is_undone() {
        let text = b"hello hello hello hello".as_slice();
        assert_eq!(whole("gzip", &gzip(text)), (text.to_vec(), "gzip"));
        assert_eq!(whole("X-GZip", &gzip(text)), (text.to_vec(), "gzip"));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(text).unwrap();
        assert_eq!(whole("deflate", &zlib.finish().unwrap()), (text.to_vec(), "deflate"));
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        bare.write_all(text).unwrap();
        assert_eq!(whole("deflate", &bare.finish().unwrap()), (text.to_vec(), "deflate"));
        assert_eq!(whole("zstd", &zstd::encode_all(text, 3).unwrap()), (text.to_vec(), "zstd"));
        // brotli of "hello hello hello hello", as an uncompressed meta-block (RFC 7932 section 9.2).
        let mut brotli = vec![0x0b, 0x0b, 0x80];
        brotli.extend_from_slice(text);
        brotli.push(0x03);
        assert_eq!(whole("br", &brotli), (text.to_vec(), "br"));
    }

    #[test]
    fn codings_in_a_row_are_undone_in_reverse() {
        let both = zstd::encode_all(gzip(b"twice").as_slice(), 3).unwrap();
        assert_eq!(whole("gzip, zstd", &both), (b"twice".to_vec(), "several"));
        assert_eq!(whole("gzip, identity", &gzip(b"once")), (b"once".to_vec(), "gzip"));
    }

    #[test]
    fn a_bomb_yields_no_more_than_is_kept() {
        let bomb = gzip(&vec![0; 50 << 20]);
        let decoded = run("gzip", &bomb, 1000).unwrap().unwrap();
        assert_eq!((decoded.bytes.len(), decoded.whole, decoded.damaged), (1000, false, false));
        let nested = gzip(&bomb);
        assert_eq!(run("gzip, gzip", &nested, 1000).unwrap().unwrap().bytes.len(), 1000);
        // Members that hold nothing: endless input between the layers, no output.
        let hollow = gzip(&gzip(b"").repeat(1 << 20));
        let start = std::time::Instant::now();
        assert_eq!(run("gzip, gzip", &hollow, 1000), Err("content_encoding"));
        assert!(start.elapsed().as_secs() < 30);
    }

    #[test]
    fn a_truncated_body_gives_its_front() {
        let text: Vec<u8> = (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let raw = gzip(&text);
        let decoded = decode(std::iter::once(&b"gzip"[..]), &raw[..raw.len() / 2], false, 1 << 20).unwrap().unwrap();
        assert!(!decoded.whole && !decoded.damaged && decoded.bytes.len() > 10_000);
        assert!(text.starts_with(&decoded.bytes));
    }

    #[test]
    fn a_front_too_short_to_give_anything_is_not_damaged() {
        for (name, front) in [("gzip", &[0x1f][..]), ("zstd", b"("), ("br", b"p\x15")] {
            let decoded = decode(std::iter::once(name.as_bytes()), front, false, 100).unwrap().unwrap();
            assert_eq!((decoded.bytes.len(), decoded.whole, decoded.damaged), (0, false, false), "{name}");
        }
    }

    #[test]
    fn what_can_not_be_undone_is_said() {
        assert_eq!(run("compress", b"abc", 10), Err("content_encoding_unknown"));
        assert_eq!(run("gzip", b"this is plain text", 10), Err("content_encoding"));
        assert_eq!(run("gzip, gzip, gzip, gzip, gzip", b"abc", 10), Err("content_encoding_unknown"));
        assert_eq!(run("identity", b"abc", 10), Ok(None));
        let mut wrong = gzip(b"hello");
        let last = wrong.len() - 5;
        wrong[last] ^= 0xff;
        let decoded = run("gzip", &wrong, 10).unwrap().unwrap();
        assert!(decoded.damaged && !decoded.whole);
    }
}
