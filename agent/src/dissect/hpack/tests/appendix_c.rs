//! The examples of RFC 7541 appendix C: fields, and the table after each block.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Decodes one block and checks its fields, and the size and the entries of the table behind it.
fn check(decoder: &mut Decoder, hex: &str, fields: &[&str], size: usize, entries: &[&str]) {
    assert_eq!(text(decoder, &bytes(hex)), fields);
    let (table, counted) = decoder.table.listed();
    let table: Vec<_> = table
        .into_iter()
        .map(|(name, value)| format!("{}: {}", name.unwrap().escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(table, entries);
    assert_eq!(counted, size);
    assert!(decoder.complete());
}

#[test]
fn c_2_representations() {
    let mut decoder = Decoder::new(true);
    let custom = ["custom-key: custom-header"];
    let hex = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(&mut decoder, hex, &custom, 55, &custom);
    let mut decoder = Decoder::new(true);
    check(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468", &[":path: /sample/path"], 0, &[]);
    check(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74", &["password: secret"], 0, &[]);
    check(&mut decoder, "82", &[":method: GET"], 0, &[]);
}

#[test]
fn only_c_2_3_is_never_indexed() {
    for hex in ["1008 7061 7373 776f 7264 0673 6563 7265 74", "040c 2f73 616d 706c 652f 7061 7468", "5801 31", "90"] {
        let mut never = None;
        let result = Decoder::new(true).decode(&bytes(hex), |field| never = Some(field.never_indexed));
        assert_eq!((result.is_ok(), never), (true, Some(hex.starts_with('1'))));
    }
}

fn requests(blocks: [&str; 3]) {
    let mut decoder = Decoder::new(true);
    let authority = ":authority: www.example.com";
    let first = [":method: GET", ":scheme: http", ":path: /", authority];
    check(&mut decoder, blocks[0], &first, 57, &[authority]);
    let second = [":method: GET", ":scheme: http", ":path: /", authority, "cache-control: no-cache"];
    check(&mut decoder, blocks[1], &second, 110, &["cache-control: no-cache", authority]);
    let third = [":method: GET", ":scheme: https", ":path: /index.html", authority, "custom-key: custom-value"];
    check(&mut decoder, blocks[2], &third, 164, &["custom-key: custom-value", "cache-control: no-cache", authority]);
}

#[test]
fn c_3_requests() {
    requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
}

#[test]
fn c_4_requests_in_the_huffman_code() {
    requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
}

/// The table has 256 bytes. The examples take that for agreed; here it is said, by the update in front.
fn responses(blocks: [&str; 3]) {
    let mut decoder = Decoder::new(true);
    decoder.set_limit(256);
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    let location = "location: https://www.example.com";
    let private = "cache-control: private";
    let first = [":status: 302", private, date, location];
    let update = format!("3fe101 {}", blocks[0]);
    check(&mut decoder, &update, &first, 222, &[location, date, private, ":status: 302"]);
    let second = [":status: 307", private, date, location];
    check(&mut decoder, blocks[1], &second, 222, &[":status: 307", location, date, private]);
    let date = "date: Mon, 21 Oct 2013 20:13:22 GMT";
    let encoding = "content-encoding: gzip";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let third = [":status: 200", private, date, location, encoding, cookie];
    check(&mut decoder, blocks[2], &third, 215, &[cookie, encoding, date]);

    // Without the update the table keeps its size, and reads the same.
    let mut decoder = Decoder::new(true);
    decoder.set_limit(256);
    assert_eq!(text(&mut decoder, &bytes(blocks[0])), first);
    assert_eq!(text(&mut decoder, &bytes(blocks[1])), second);
    assert_eq!(text(&mut decoder, &bytes(blocks[2])), third);
}

#[test]
fn c_5_responses() {
    responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 \
         474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 \
         666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 \
         3630 303b 2076 6572 7369 6f6e 3d31",
    ]);
}

#[test]
fn c_6_responses_in_the_huffman_code() {
    responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
         63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
         b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}
