//! Undoing the compression of record batches: no more than is shown is handed on, and what a front gives. What the
//! decoders hold meanwhile is bounded by the largest block of each format: 4 MiB of snappy, three times that of lz4 (which
//! allows blocks of 4 MiB), 8 MiB of zstd.

use std::{borrow::Cow, io::Read};

/// As for HTTP: librdkafka and Kafka's own clients use windows far below 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Snappy's blocks are undone whole, so their size is what the peer says. Three bytes copy at most 64.
const SNAPPY_RATIO: usize = 22;

/// A block of snappy. Kafka's clients write blocks of 32 KiB, librdkafka a whole batch, which is 1 MB at most by default.
const SNAPPY_BLOCK: usize = 4 << 20;

/// Kafka's Java clients put snappy's blocks into the frames of snappy-java.
const SNAPPY_JAVA: &[u8] = b"\x82SNAPPY\0";

/// Behind that, two version numbers.
const SNAPPY_JAVA_HEADER: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// By a batch's attributes: `None` is uncompressed, an error a codec that nobody knows.
    pub fn of(attributes: i16) -> Result<Option<Self>, &'static str> {
        Ok(Some(match attributes & 7 {
            0 => return Ok(None),
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return Err("compression_unknown"),
        }))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Undone {
    pub bytes: Vec<u8>,
    /// There is no more.
    pub whole: bool,
    /// Why it goes no further.
    pub refused: Option<&'static str>,
}

impl Undone {
    fn refused(why: &'static str) -> Self {
        Self { refused: Some(why), ..Self::default() }
    }
}

/// The compressed bytes are wrong somewhere.
const DAMAGED: &str = "records_compression";

/// To undo it would take more memory than the largest block or window that is allowed.
const TOO_LARGE: &str = "records_compression_limit";

/// Undoes up to `limit` bytes. `whole`: `bytes` is all that there was.
pub fn undo(codec: Codec, bytes: &[u8], whole: bool, limit: usize) -> Undone {
    match codec {
        Codec::Gzip => read(flate2::bufread::MultiGzDecoder::new(bytes), whole, limit),
        Codec::Lz4 => {
            let frame = with_smaller_blocks(bytes);
            read(lz4_flex::frame::FrameDecoder::new(&*frame), whole, limit)
        }
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            });
            decoder.map_or_else(|_| Undone::refused(DAMAGED), |decoder| read(decoder, whole, limit))
        }
        Codec::Snappy => {
            let mut undone = snappy(bytes, whole, limit);
            undone.whole &= undone.bytes.len() <= limit;
            undone.bytes.truncate(limit);
            undone
        }
    }
}

fn read(reader: impl Read, whole: bool, limit: usize) -> Undone {
    let mut bytes = Vec::new();
    // One byte more than is wanted tells whether there is more.
    let result = reader.take(limit as u64 + 1).read_to_end(&mut bytes);
    let more = bytes.len() > limit;
    bytes.truncate(limit);
    let why = result.as_ref().err().map(|error| if asks_for_too_much(error) { TOO_LARGE } else { DAMAGED });
    // A front that ends somewhere is no damage.
    Undone { bytes, whole: whole && !more && result.is_ok(), refused: why.filter(|why| whole || *why == TOO_LARGE) }
}

/// zstd's window is larger than what is allowed; of this error, nothing but its text reaches us.
fn asks_for_too_much(error: &std::io::Error) -> bool {
    error.to_string().contains("too much memory")
}

/// What a byte of lz4 stands for at most.
const LZ4_RATIO: usize = 255;

/// A frame says how large its blocks may be, and the decoder clears as much memory, though the frame be small: as small as
/// its own size allows (64 KiB, 256 KiB, 1 MiB or 4 MiB: LZ4 frame format, BD byte).
fn with_smaller_blocks(frame: &[u8]) -> Cow<'_, [u8]> {
    const BLOCK_SIZE: usize = 5;
    const SHIFT: u8 = 4;
    let said = frame.get(BLOCK_SIZE).map_or(0, |size| size >> SHIFT & 7);
    let enough = (4..7).find(|size| 1 << (8 + 2 * size) >= frame.len().saturating_mul(LZ4_RATIO)).unwrap_or(7);
    if said <= enough {
        return Cow::Borrowed(frame);
    }
    let mut smaller = frame.to_vec();
    if let Some(size) = smaller.get_mut(BLOCK_SIZE) {
        *size = enough << SHIFT;
    }
    // A wrong one stays wrong.
    let right = with_right_checksum(frame) == frame;
    Cow::Owned(if right { with_right_checksum(&smaller) } else { smaller })
}

/// Before magic 1, Kafka's clients took the checksum of an lz4 frame's header over too much of it (KAFKA-3160).
pub fn with_right_checksum(frame: &[u8]) -> Vec<u8> {
    /// Behind the frame's own magic number: flags and block size, then a content size where the flags say so.
    const DESCRIPTOR: usize = 4;
    const CONTENT_SIZE: u8 = 1 << 3;
    let mut frame = frame.to_vec();
    let sized = frame.get(DESCRIPTOR).is_some_and(|flags| flags & CONTENT_SIZE != 0);
    let end = DESCRIPTOR + if sized { 10 } else { 2 };
    if let Some(descriptor) = frame.get(DESCRIPTOR..end) {
        let checksum = (twox_hash::XxHash32::oneshot(0, descriptor) >> 8) as u8;
        if let Some(place) = frame.get_mut(end) {
            *place = checksum;
        }
    }
    frame
}

fn snappy(bytes: &[u8], whole: bool, limit: usize) -> Undone {
    let mut undone = Undone::default();
    if !bytes.starts_with(SNAPPY_JAVA) {
        // Of a part of a block nothing can be told.
        let refused = if whole { snappy_block(bytes, &mut undone.bytes).err() } else { None };
        return Undone { whole: whole && refused.is_none(), refused, ..undone };
    }
    let mut rest = bytes.get(SNAPPY_JAVA_HEADER..).unwrap_or_default();
    while undone.bytes.len() < limit
        && let Some((size, after)) = rest.split_first_chunk::<4>()
    {
        let block = after.split_at_checked(u32::from_be_bytes(*size) as usize);
        let Some((block, after)) = block else {
            return Undone { refused: whole.then_some(DAMAGED), ..undone };
        };
        if let Err(why) = snappy_block(block, &mut undone.bytes) {
            return Undone { refused: Some(why), ..undone };
        }
        rest = after;
    }
    Undone { whole: whole && rest.is_empty(), ..undone }
}

/// Appends what a block stands for.
fn snappy_block(block: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let size = snap::raw::decompress_len(block).map_err(|_| DAMAGED)?;
    if size > block.len().saturating_mul(SNAPPY_RATIO) {
        return Err(DAMAGED);
    }
    if size > SNAPPY_BLOCK {
        return Err(TOO_LARGE);
    }
    let start = out.len();
    out.resize(start + size, 0);
    let done = snap::raw::Decoder::new().decompress(block, &mut out[start..]).is_ok_and(|written| written == size);
    if !done {
        out.truncate(start);
        return Err(DAMAGED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        }
    }

    const ALL: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    #[test]
    fn each_is_undone() {
        let bytes = b"orders orders orders orders".repeat(50);
        for codec in ALL {
            let undone = undo(codec, &compressed(codec, &bytes), true, 1 << 20);
            assert!(undone.bytes == bytes && undone.whole && undone.refused.is_none(), "{codec:?}");
        }
    }

    #[test]
    fn a_bomb_gives_no_more_than_is_shown() {
        let zeros = vec![0; 2 << 20];
        for codec in ALL {
            let undone = undo(codec, &compressed(codec, &zeros), true, 1000);
            assert!(undone.bytes.len() == 1000 && !undone.whole && undone.refused.is_none(), "{codec:?}");
        }
        let claims = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 20]].concat();
        assert_eq!(undo(Codec::Snappy, &claims, true, 1000).refused, Some(DAMAGED));
    }

    #[test]
    fn what_asks_for_too_much_is_no_damage() {
        let zeros = vec![0; 2 * SNAPPY_BLOCK];
        let block = compressed(Codec::Snappy, &zeros);
        assert_eq!(undo(Codec::Snappy, &block, true, 1000).refused, Some(TOO_LARGE));
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG + 2).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&zeros).unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!(undo(Codec::Zstd, &frame, true, 1000).refused, Some(TOO_LARGE));
    }

    #[test]
    fn a_front_is_not_damaged() {
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for codec in ALL {
            let all = compressed(codec, &bytes);
            let undone = undo(codec, &all[..all.len() / 2], false, 1 << 20);
            assert!(!undone.whole && undone.refused.is_none() && bytes.starts_with(&undone.bytes), "{codec:?}");
            assert_eq!(undo(codec, &all[..all.len() / 2], true, 1 << 20).refused, Some(DAMAGED), "{codec:?}");
        }
    }

    #[test]
    fn a_small_frame_takes_no_large_blocks() {
        let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max4MB);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&[7; 10_000]).unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!((frame[5], with_smaller_blocks(&frame)[5]), (0x70, 0x40));
        let undone = undo(Codec::Lz4, &frame, true, 1 << 20);
        assert!(undone.whole && undone.refused.is_none() && undone.bytes == [7; 10_000]);
        let mut damaged = frame;
        damaged[6] ^= 1;
        assert_eq!(undo(Codec::Lz4, &damaged, true, 1 << 20).refused, Some(DAMAGED));
    }

    #[test]
    fn frames_of_snappy_java() {
        let block = compressed(Codec::Snappy, b"one block");
        let mut framed = [SNAPPY_JAVA, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for _ in 0..2 {
            framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
            framed.extend_from_slice(&block);
        }
        let undone = undo(Codec::Snappy, &framed, true, 100);
        assert!(undone.whole && undone.bytes == b"one blockone block");
        let undone = undo(Codec::Snappy, &framed[..framed.len() - 1], false, 100);
        assert!(!undone.whole && undone.refused.is_none() && undone.bytes == b"one block");
    }
}
