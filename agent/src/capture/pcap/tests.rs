use std::path::PathBuf;

use super::*;

/// A classic file in one byte order.
fn classic(order: Order, magic: u32, minor: u16, link: u32, packets: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    let put32 = |file: &mut Vec<u8>, value: u32| file.extend(bytes32(order, value));
    put32(&mut file, magic);
    file.extend(bytes16(order, 2));
    file.extend(bytes16(order, minor));
    for value in [0, 0, 65_535, link] {
        put32(&mut file, value);
    }
    for (seconds, fraction, bytes, wire_len) in packets {
        for value in [*seconds, *fraction, bytes.len() as u32, *wire_len] {
            put32(&mut file, value);
        }
        file.extend(*bytes);
    }
    file
}

fn bytes32(order: Order, value: u32) -> [u8; 4] {
    if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn bytes16(order: Order, value: u16) -> [u8; 2] {
    if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = bytes32(order, body.len() as u32 + 12);
    [&bytes32(order, kind)[..], &len, &body, &len].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [&bytes32(order, 0x1a2b_3c4d)[..], &bytes16(order, 1), &bytes16(order, 0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&bytes16(order, link)[..], &[0, 0], &bytes32(order, snaplen), options].concat())
}

fn enhanced(order: Order, interface: u32, ticks: u64, wire_len: u32, bytes: &[u8], options: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for value in [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len] {
        body.extend(bytes32(order, value));
    }
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(order, 6, &body)
}

type Read = (u64, u32, Vec<u8>, u32);

/// All frames of a file and how it ended.
fn read(file: &[u8]) -> (Vec<Read>, Result<(), ReadError>) {
    drain(Reader::from_bytes(file.to_vec()))
}

fn drain(mut reader: Reader) -> (Vec<Read>, Result<(), ReadError>) {
    let mut pool = Pool::new(2);
    let mut frames = Vec::new();
    loop {
        match reader.next_block(&mut pool) {
            Ok(Some(block)) => {
                frames.extend(block.frames().iter().map(|f| (f.time.0, f.link.0, block.bytes(f).to_vec(), f.wire_len)))
            }
            Ok(None) => return (frames, Ok(())),
            Err(error) => {
                assert!(matches!(reader.next_block(&mut pool), Ok(None)), "a fault ends the file");
                return (frames, Err(error));
            }
        }
    }
}

#[test]
fn classic_in_both_orders_and_resolutions() {
    for order in [Order::Big, Order::Little] {
        let file = classic(order, 0xa1b2_c3d4, 4, 1, &[(1, 2, b"abc", 3), (3, 4, b"", 60), (5, 6, b"defg", 2)]);
        let (frames, end) = read(&file);
        assert!(end.is_ok());
        assert_eq!(
            frames,
            [
                (1_000_002_000, 1, b"abc".to_vec(), 3),
                (3_000_004_000, 1, vec![], 60),
                // A wire length below what was captured is not believed.
                (5_000_006_000, 1, b"defg".to_vec(), 4)
            ]
        );
        let file = classic(order, 0xa1b2_3c4d, 4, 0xf000_0071, &[(1, 2, b"abc", 3)]);
        assert_eq!(read(&file).0, [(1_000_000_002, 113, b"abc".to_vec(), 3)]);
    }
}

#[test]
fn classic_of_old_and_patched_writers() {
    let mut file = classic(Order::Little, 0xa1b2_c3d4, 2, 1, &[]);
    for value in [1u32, 0, 60, 3] {
        file.extend(value.to_le_bytes());
    }
    file.extend(b"abc");
    assert_eq!(read(&file).0, [(1_000_000_000, 1, b"abc".to_vec(), 60)]);

    let mut file = classic(Order::Little, 0xa1b2_cd34, 4, 1, &[(1, 0, b"", 3)]);
    let at = file.len() - 8;
    file[at..at + 4].copy_from_slice(&3u32.to_le_bytes());
    file.extend([9; 8]);
    file.extend(b"abc");
    assert_eq!(read(&file).0, [(1_000_000_000, 1, b"abc".to_vec(), 3)]);
}

#[test]
fn pcapng_with_sections_interfaces_and_clocks() {
    let little = Order::Little;
    let big = Order::Big;
    let offset = [&[14, 0, 8, 0][..], &100i64.to_le_bytes()].concat();
    let nanos = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let file = [
        section(little),
        block(little, 0x0bad, &[1; 40]),
        interface(little, 1, 0, &[]),
        interface(little, 101, 0, &[&nanos[..8], &offset].concat()),
        enhanced(little, 1, 5, 9, b"xy", &[1, 0, 2, 0, b'h', b'i', 0, 0, 0, 0, 0, 0]),
        enhanced(little, 0, 7, 3, b"abc", &[]),
        section(big),
        // 2^-10 seconds.
        interface(big, 1, 4, &[0, 9, 0, 1, 0x8a, 0, 0, 0]),
        enhanced(big, 0, 1536, 4, b"abcd", &[]),
        // Simple, cut by the snap length.
        block(big, 3, &[0, 0, 0, 6, b'a', b'b', b'c', b'd']),
        // Obsolete: interface 0, 3 drops.
        block(big, 2, &[0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, 1, b'z']),
    ]
    .concat();
    let (frames, end) = read(&file);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(
        frames,
        [
            (100_000_000_005, 101, b"xy".to_vec(), 9),
            (7_000, 1, b"abc".to_vec(), 3),
            (1_500_000_000, 1, b"abcd".to_vec(), 4),
            (1_500_000_000, 1, b"abcd".to_vec(), 6),
            (2_000_000_000, 1, b"z".to_vec(), 1),
        ]
    );
}

#[test]
fn a_cut_file_gives_what_it_has() {
    let bytes = [7; 1000];
    let packets: Vec<(u32, u32, &[u8], u32)> = (0..50).map(|i| (i, 0, &bytes[..i as usize * 7], 1500)).collect();
    let whole = classic(Order::Little, 0xa1b2_c3d4, 4, 1, &packets);
    let ng = [
        section(Order::Big),
        interface(Order::Big, 1, 0, &[]),
        enhanced(Order::Big, 0, 1, 5, b"hello", &[]),
        enhanced(Order::Big, 0, 2, 5, b"world", &[]),
    ]
    .concat();
    for file in [&whole, &ng] {
        let (all, end) = read(file);
        assert!(end.is_ok());
        for cut in 4..file.len() {
            let (frames, end) = read(&file[..cut]);
            assert_eq!(frames, all[..frames.len()]);
            match end {
                Ok(()) => assert!(frames.len() < all.len()),
                Err(ReadError::Truncated(at)) => assert!(at <= cut as u64),
                Err(other) => panic!("{other} at {cut}"),
            }
        }
        assert!(matches!(read(&file[..3]).1, Err(ReadError::Foreign(_))));
    }
    assert!(matches!(read(b"").1, Err(ReadError::Empty)));
    assert!(matches!(read(b"PK\x03\x04 and what follows in an archive").1, Err(ReadError::Foreign(_))));
}

#[test]
fn lengths_that_cannot_be_true_end_the_file() {
    let mut file = classic(Order::Little, 0xa1b2_c3d4, 4, 1, &[(1, 0, b"abc", 3), (2, 0, b"abc", 3)]);
    let at = file.len() - 3 - 8;
    file[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    let (frames, end) = read(&file);
    assert_eq!(frames.len(), 1);
    assert!(matches!(end, Err(ReadError::Malformed { at: 43, .. })), "{end:?}");

    let front = [section(Order::Little), interface(Order::Little, 1, 0, &[])].concat();
    for (kind, body) in [(6, &[0xff; 28][..]), (3, &[0xff, 0xff][..]), (1, &[0; 0][..])] {
        let file = [&front[..], &block(Order::Little, kind, body)].concat();
        let (frames, end) = read(&file);
        // A simple packet's room bounds it; the others say what cannot be.
        assert_eq!(frames.is_empty(), kind != 3);
        assert_eq!(end.is_err(), kind != 3, "{kind}");
    }
    // A block that claims 4 GiB is skipped, not stored.
    let mut file = front.clone();
    file.extend([0xee, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
    file.resize(file.len() + 3_000_000, 0);
    assert!(matches!(read(&file).1, Err(ReadError::Truncated(_))));
}

#[test]
fn blocks_meet_anywhere() {
    // Packets of all sizes across many blocks, one larger than a block.
    let big = vec![3u8; 400_000];
    let packets: Vec<(u32, u32, &[u8], u32)> =
        (0..400u32).map(|i| (i, 0, &big[..if i == 77 { 400_000 } else { (i as usize * 7919) % 9000 }], 0)).collect();
    let file = classic(Order::Little, 0xa1b2_c3d4, 4, 1, &packets);
    let expected: Vec<usize> = packets.iter().map(|packet| packet.2.len()).collect();
    let (frames, end) = read(&file);
    assert!(end.is_ok());
    assert_eq!(frames.iter().map(|frame| frame.2.len()).collect::<Vec<_>>(), expected);
    assert!(frames.iter().all(|frame| frame.2.iter().all(|&byte| byte == 3)));
}

/// Files in a folder of this process's own.
fn written(name: &str, contents: &[&[u8]]) -> (PathBuf, Vec<PathBuf>) {
    let folder = std::env::temp_dir().join(format!("tapwire-pcap-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    let paths = contents.iter().enumerate().map(|(at, bytes)| {
        let path = folder.join(format!("{at}.pcap"));
        std::fs::write(&path, bytes).expect("a file of the test");
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

fn merged(paths: Vec<PathBuf>) -> (Vec<(u64, u64, u8)>, Vec<usize>) {
    let mut merge = Merge::open(paths, 2);
    let mut packets = Vec::new();
    while let Some(run) = merge.next_run() {
        for (number, frame) in (run.number..).zip(&run.block.frames()[run.frames.clone()]) {
            packets.push((number, frame.time.0 / 1_000_000_000, run.block.bytes(frame)[0]));
        }
    }
    let notes = merge.take_notes().iter().map(|note| note.file).collect();
    (packets, notes)
}

#[test]
fn several_files_are_one_capture_by_time() {
    let file = |packets: &[(u32, u8)]| {
        let bytes: Vec<[u8; 1]> = packets.iter().map(|packet| [packet.1]).collect();
        let packets: Vec<(u32, u32, &[u8], u32)> =
            packets.iter().zip(&bytes).map(|(packet, bytes)| (packet.0, 0, &bytes[..], 1)).collect();
        classic(Order::Little, 0xa1b2_c3d4, 4, 1, &packets)
    };
    let late = file(&[(30, b'c'), (31, b'c')]);
    let early = file(&[(1, b'a'), (10, b'a'), (9, b'a'), (20, b'a')]);
    let between = file(&[(10, b'b'), (12, b'b'), (30, b'b')]);
    let (folder, paths) = written("merge", &[&late, b"foreign", &early, &between, b""]);
    let (packets, notes) = merged(paths);
    let order: String = packets.iter().map(|packet| packet.2 as char).collect();
    // At 10 the file that was named first goes first and stays in front while its clock is behind; at 30 likewise.
    assert_eq!(order, "aaabbacbc", "{packets:?}");
    assert_eq!(packets.iter().map(|packet| packet.0).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!(notes, [1, 4]);
    std::fs::remove_dir_all(folder).expect("the test's folder");
}

#[test]
fn compressed_files_read_the_same() {
    use std::io::Write;
    let file = classic(Order::Little, 0xa1b2_c3d4, 4, 1, &[(1, 0, &[1; 9000], 9000), (2, 0, &[2; 9000], 9000)]);
    let (first, second) = file.split_at(9050);
    let mut gzip = Vec::new();
    for member in [first, second] {
        let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
        encoder.write_all(member).and_then(|()| encoder.try_finish()).expect("gzip in memory");
    }
    let zstd = zstd::encode_all(&file[..], 1).expect("zstd in memory");
    let cut = &zstd[..zstd.len() - 7];
    let (folder, paths) = written("compressed", &[&gzip, &zstd, cut, &gzip[..40], &[0x1f, 0x8b]]);
    let expected = read(&file).0;
    for path in &paths[..2] {
        assert_eq!(drain(Reader::open(path).expect("a file of the test")).0, expected);
    }
    assert!(matches!(drain(Reader::open(&paths[2]).expect("a file of the test")).1, Err(ReadError::Truncated(_))));
    assert!(drain(Reader::open(&paths[3]).expect("a file of the test")).1.is_err());
    assert!(drain(Reader::open(&paths[4]).expect("a file of the test")).1.is_err());
    std::fs::remove_dir_all(folder).expect("the test's folder");
}
