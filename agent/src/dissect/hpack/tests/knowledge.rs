//! What is known of a table after a late join, a loss, a limit, an update.

use super::*;

const UNKNOWN: &str = "?: ?";

#[test]
fn a_late_join_knows_what_was_inserted_since() {
    let mut decoder = Decoder::new(false);
    assert_eq!(text(&mut decoder, &[0x82, 0xbe, 0xbf]), [":method: GET", UNKNOWN, UNKNOWN]);
    assert_eq!(text(&mut decoder, &insert("a", "1")), ["a: 1"]);
    // The newest entry is known; what was the newest before lies below it.
    assert_eq!(text(&mut decoder, &[0xbe, 0xbf]), ["a: 1", UNKNOWN]);
    assert_eq!(text(&mut decoder, &insert("b", "2")), ["b: 2"]);
    assert_eq!(text(&mut decoder, &[0xc0, 0xbf, 0xbe]), [UNKNOWN, "a: 1", "b: 2"]);
    assert!(!decoder.complete());
}

#[test]
fn an_unknown_name_with_a_known_value() {
    let mut decoder = Decoder::new(false);
    // Indexed name 62, value `v`; then the entry that it made; then its name alone.
    assert_eq!(text(&mut decoder, b"\x7e\x01v\xbe\x7e\x01w\x0f\x2f\x01x"), ["?: v", "?: v", "?: w", "?: x"]);
}

#[test]
fn a_whole_table_has_no_unknown_entry() {
    let mut decoder = Decoder::new(true);
    assert!(decoder.complete());
    assert_eq!(read(&mut decoder, &[0x82, 0xbe]).1, Err(Error::Index));
    // The error lost the table: from here on there may be entries.
    assert!(!decoder.complete());
    assert_eq!(text(&mut decoder, &[0xbe]), [UNKNOWN]);
    assert_eq!(read(&mut decoder, &[0x80]).1, Err(Error::Index));
}

#[test]
fn a_loss_moves_every_entry() {
    let mut decoder = Decoder::new(true);
    let _ = text(&mut decoder, &insert("a", "1"));
    decoder.lose();
    assert_eq!(text(&mut decoder, &[0xbe]), [UNKNOWN]);
    assert_eq!(text(&mut decoder, &insert("b", "2")), ["b: 2"]);
    assert_eq!(text(&mut decoder, &[0xbe, 0xbf]), ["b: 2", UNKNOWN]);
}

#[test]
fn fields_before_an_error_are_given() {
    let mut decoder = Decoder::new(true);
    let (fields, result) = read(&mut decoder, &[&insert("a", "1")[..], &[0xbe, 0x40, 0x05, b'b']].concat());
    assert_eq!(result, Err(Error::Truncated));
    assert_eq!(fields, vec![(Some(b"a".to_vec()), Some(b"1".to_vec())); 2]);
}

#[test]
fn an_update_to_zero_empties_the_table() {
    let mut decoder = Decoder::new(false);
    assert_eq!(text(&mut decoder, &[resize(0), resize(4096)].concat()), [""; 0]);
    assert!(decoder.complete());
    assert_eq!(text(&mut decoder, &[&insert("a", "1")[..], &[0xbe]].concat()), ["a: 1", "a: 1"]);
    assert_eq!(read(&mut decoder, &[0xbf]).1, Err(Error::Index));
}

#[test]
fn a_known_size_bounds_what_is_unknown() {
    let mut decoder = Decoder::new(false);
    // 100 bytes are room for three entries, then for one more beside one of 36 bytes: 64 bytes are left for two.
    assert_eq!(text(&mut decoder, &[&resize(100)[..], &[0xbe, 0xbf, 0xc0]].concat()), [UNKNOWN; 3]);
    assert_eq!(text(&mut decoder, &[&insert("ab", "12")[..], &[0xc0]].concat()), ["ab: 12", UNKNOWN]);
    assert_eq!(text(&mut decoder, &[&insert("cd", "")[..], &[0xbf]].concat()), ["cd: ", "ab: 12"]);
    assert!(decoder.complete());
    // The oldest goes when its place is needed, and only then.
    assert_eq!(text(&mut decoder, &[&insert("e", "")[..], &[0xbf]].concat()), ["e: ", "cd: "]);
    assert_eq!(read(&mut decoder, &[0xc0]).1, Err(Error::Index));
}

#[test]
fn known_names_are_not_needed_to_fill_a_table() {
    let mut decoder = Decoder::new(false);
    assert_eq!(text(&mut decoder, &[&resize(80)[..], b"\x7e\x10aaaaaaaaaaaaaaaa\xbe"].concat()).len(), 2);
    // 48 bytes and the unknown name: one entry of 32 bytes may lie below.
    assert_eq!(text(&mut decoder, &[0xbf]), [UNKNOWN]);
    assert_eq!(text(&mut decoder, b"\x7e\x00\xbf"), ["?: ", "?: aaaaaaaaaaaaaaaa"]);
    assert!(!decoder.complete());
    assert_eq!(read(&mut decoder, &[0xc0]).1, Err(Error::Index));
}

#[test]
fn an_entry_too_large_empties_the_table() {
    let mut decoder = Decoder::new(true);
    let blocks = [resize(40), insert("a", "1"), insert("too", "large"), insert("too large", "")];
    assert_eq!(text(&mut decoder, &blocks.concat()), ["a: 1", "too: large", "too large: "]);
    assert_eq!(decoder.table.listed(), (vec![], 0));
    // Of a table of unknown size nobody knows whether it is in; what is inserted then stands where it does in both.
    let mut decoder = Decoder::new(false);
    let large = [&[0x40, 1, b'l', 0x7f, 0x81, 0xff, 0x01][..], &[b'x'; 0x8000]].concat();
    assert_eq!(read(&mut decoder, &large).0.len(), 1);
    assert_eq!(
        text(&mut decoder, &[&[0xbe][..], &insert("a", "1"), &[0xbe, 0xbf]].concat())[1..],
        ["a: 1", "a: 1", UNKNOWN]
    );
}

#[test]
fn the_name_of_an_entry_that_goes() {
    let mut decoder = Decoder::new(true);
    let name = "a-name-of-twenty-two-b";
    let blocks = [&resize(60)[..], &insert(name, "1"), b"\x7e\x012\xbe"];
    let expected = [format!("{name}: 1"), format!("{name}: 2"), format!("{name}: 2")];
    assert_eq!(text(&mut decoder, &blocks.concat()), expected);
    assert_eq!(decoder.table.listed().0.len(), 1);
}

#[test]
fn limits() {
    // Section 6.3: above the limit that is in force.
    assert_eq!(read(&mut Decoder::new(true), &resize(4097)).1, Err(Error::SizeUpdate));
    let mut decoder = Decoder::new(true);
    decoder.set_limit(65536);
    assert_eq!(text(&mut decoder, &resize(65536)), [""; 0]);
    // Nobody knows the limit of a connection that was joined late, or whose settings may be missing.
    assert_eq!(text(&mut Decoder::new(false), &resize(1 << 20)), [""; 0]);
    decoder.lose();
    assert_eq!(read(&mut decoder, &resize(65537)).1, Err(Error::SizeUpdate));
    decoder.forget_limit();
    assert_eq!(text(&mut decoder, &resize(65537)), [""; 0]);
    // Behind a field there is none, whatever is known.
    for whole in [false, true] {
        assert_eq!(read(&mut Decoder::new(whole), &[0x82, 0x20]).1, Err(Error::SizeUpdate));
    }
}

#[test]
fn a_limit_is_not_a_size() {
    // A higher limit lets the encoder use more, which it then says; until then old entries go as before.
    let mut decoder = Decoder::new(true);
    decoder.set_limit(1 << 20);
    for n in 0..200 {
        let _ = text(&mut decoder, &insert("name", &n.to_string()));
    }
    assert!(decoder.table.listed().1 <= 4096);
    // A lower one has the encoder use less, which it says too; one that doesn't is read all the same.
    decoder.set_limit(0);
    assert_eq!(text(&mut decoder, &[0xbe]), ["name: 199"]);
    assert_eq!(text(&mut decoder, &resize(0)), [""; 0]);
    assert_eq!(decoder.table.listed(), (vec![], 0));
    // When the size isn't known, the limit bounds it.
    let mut decoder = Decoder::new(false);
    decoder.set_limit(64);
    assert_eq!(text(&mut decoder, &[0xbe, 0xbf]), [UNKNOWN; 2]);
    assert_eq!(read(&mut decoder, &[0xc0]).1, Err(Error::Index));
}

#[test]
fn what_is_not_kept_is_unknown_again() {
    for (size, bytes) in [(Some(1 << 20), 64 << 10), (None, 16 << 10)] {
        let mut decoder = Decoder::new(size.is_some());
        if let Some(size) = size {
            decoder.set_limit(size);
            let _ = text(&mut decoder, &resize(size));
        }
        for n in 0..5000 {
            let _ = text(&mut decoder, &insert("name", &format!("{n:0100}")));
        }
        let kept = bytes / 136;
        assert_eq!(decoder.table.listed().0.len(), kept);
        let mut block = Vec::new();
        model::integer(&mut block, 0x80, 7, 61 + kept as u32);
        model::integer(&mut block, 0x80, 7, 62 + kept as u32);
        assert_eq!(text(&mut decoder, &block), [format!("name: {:0100}", 5000 - kept), UNKNOWN.into()]);
        assert!(!decoder.complete());
        assert!(decoder.heap() < 3 * bytes, "{}", decoder.heap());
        decoder.lose();
        assert_eq!(decoder.heap(), 0);
    }
}
