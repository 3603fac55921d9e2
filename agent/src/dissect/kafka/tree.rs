//! A message as JSON, written while it is read, and never longer than a limit: what comes beyond it is left out whole,
//! and the tree is marked as cut.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Room that a tree begins with: most of them need no more.
const FIRST: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Tree {
    out: Vec<u8>,
    limit: usize,
    /// Something stands in the innermost list or object that is written.
    filled: bool,
    /// Lists and objects that are left out.
    hidden: u32,
    /// Brackets that are open.
    open: Vec<u8>,
    cut: bool,
}

impl Tree {
    /// Of an object.
    pub fn new(limit: usize) -> Self {
        let mut out = Vec::with_capacity(limit.clamp(1, FIRST));
        out.push(b'{');
        Self { out, limit, filled: false, hidden: 0, open: vec![b'}'], cut: false }
    }

    /// Nothing more will be written.
    pub fn full(&self) -> bool {
        self.out.len() >= self.limit
    }

    /// Bytes that may still be written.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.out.len())
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.out.capacity() + self.open.capacity()
    }

    /// Nothing more is written. Behind a name that is cut nobody knows whose value it is, and whether it is a secret.
    pub fn stop(&mut self) {
        self.limit = self.limit.min(self.out.len());
        self.cut = true;
    }

    /// Something is left out.
    pub fn set_cut(&mut self) {
        self.cut = true;
    }

    /// The text, and whether something was left out of it.
    pub fn finish(mut self) -> (Vec<u8>, bool) {
        while let Some(bracket) = self.open.pop() {
            self.out.push(bracket);
        }
        (self.out, self.cut)
    }

    /// `name`: empty inside a list.
    pub fn object(&mut self, name: &str) {
        self.begin(name, b'{', b'}');
    }

    pub fn list(&mut self, name: &str) {
        self.begin(name, b'[', b']');
    }

    fn begin(&mut self, name: &str, bracket: u8, closing: u8) {
        if self.member(name, |out| out.push(bracket)) {
            self.open.push(closing);
            self.filled = false;
        } else {
            self.hidden += 1;
        }
    }

    /// Ends what `object` or `list` began.
    pub fn end(&mut self) {
        if self.hidden > 0 {
            self.hidden -= 1;
        } else if let Some(bracket) = self.open.pop() {
            self.out.push(bracket);
            self.filled = true;
        }
    }

    pub fn null(&mut self, name: &str) {
        self.literal(name, "null");
    }

    pub fn bool(&mut self, name: &str, value: bool) {
        self.literal(name, if value { "true" } else { "false" });
    }

    pub fn int(&mut self, name: &str, value: i64) {
        let mut digits = [0; 20];
        self.literal(name, decimal(value, &mut digits));
    }

    /// RFC 8259 section 6: JSON has no number that is none.
    pub fn float(&mut self, name: &str, value: f64) {
        if value.is_finite() { self.literal(name, &format!("{value:?}")) } else { self.null(name) }
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.try_text(name, text);
    }

    fn try_text(&mut self, name: &str, text: &str) -> bool {
        // Writing to memory does not fail.
        self.member(name, |out| drop(serde_json::to_writer(out, text)))
    }

    /// A record's key or value: as `bytes`, and what schema registries' serializers put before it apart, which is a zero
    /// and the schema's number; behind it stands often JSON.
    pub fn content(&mut self, name: &str, bytes: &[u8], whole: bool) {
        if readable(bytes, whole).is_none()
            && let Some(([0, number @ ..], rest)) = bytes.split_first_chunk::<5>()
            && let Some(text) = readable(rest, whole).filter(|text| !text.is_empty())
        {
            self.object(name);
            self.int("schema_id", i64::from(u32::from_be_bytes(*number)));
            self.bytes("text", text.as_bytes(), whole);
            self.end();
        } else {
            self.bytes(name, bytes, whole);
        }
    }

    /// Text where it is some, else `{"base64": …}`; as much of it as there is room for. `whole`: there is no more of it.
    pub fn bytes(&mut self, name: &str, bytes: &[u8], whole: bool) {
        self.cut |= !whole;
        match readable(bytes, whole) {
            Some(text) => {
                let mut end = text.len().min(self.room());
                // Escapes take room that is known only when they are written.
                while !self.try_text(name, &text[..text.floor_char_boundary(end)]) && end > 0 {
                    end /= 2;
                }
                if end < text.len() {
                    self.stop();
                }
            }
            None => {
                let front = bytes.get(..self.room() / 4 * 3).unwrap_or(bytes);
                self.object(name);
                let mut end = front.len();
                while !self.try_text("base64", &STANDARD.encode(&front[..end])) && end > 0 {
                    end = end / 2 / 3 * 3;
                }
                self.cut |= end < bytes.len();
                self.end();
            }
        }
    }

    fn literal(&mut self, name: &str, text: &str) {
        self.member(name, |out| out.extend_from_slice(text.as_bytes()));
    }

    /// Writes a value under its name; nothing and false when there is no room for it.
    fn member(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.hidden > 0 {
            return false;
        }
        let start = self.out.len();
        if self.filled {
            self.out.push(b',');
        }
        if self.open.last() == Some(&b'}') {
            // Names of fields are plain, those of record headers are anything.
            if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            } else {
                let _ = serde_json::to_writer(&mut self.out, name);
                self.out.push(b':');
            }
        }
        value(&mut self.out);
        if self.out.len() > self.limit {
            self.out.truncate(start);
            self.cut = true;
            return false;
        }
        self.filled = true;
        true
    }
}

/// Text that people can read.
fn readable(bytes: &[u8], whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        // Without branches first: nearly all texts are plain.
        Ok(text) if bytes.iter().fold(true, |plain, byte| plain & matches!(byte, 0x20..=0x7e)) => return Some(text),
        Ok(text) => text,
        // A character that was cut in two.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!text.chars().any(|c| c.is_control() && !c.is_whitespace())).then_some(text)
}

fn decimal(value: i64, digits: &mut [u8; 20]) -> &str {
    let mut rest = value.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tree: Tree) -> (String, bool) {
        let (out, cut) = tree.finish();
        (String::from_utf8(out).unwrap(), cut)
    }

    #[test]
    fn values_stand_under_their_names() {
        let mut tree = Tree::new(1000);
        tree.int("a", i64::MIN);
        tree.list("b");
        tree.bool("", true);
        tree.object("");
        tree.null("c");
        tree.end();
        tree.int("", 0);
        tree.end();
        tree.text("d", "x\"\n");
        tree.float("e", f64::NAN);
        tree.float("f", 1.5);
        let expected = r#"{"a":-9223372036854775808,"b":[true,{"c":null},0],"d":"x\"\n","e":null,"f":1.5}"#;
        assert_eq!(text(tree), (expected.to_owned(), false));
    }

    #[test]
    fn bytes_are_text_where_they_are_some() {
        let mut tree = Tree::new(1000);
        tree.bytes("a", "grün".as_bytes(), true);
        tree.bytes("b", b"\xff\x00", true);
        tree.bytes("c", b"\x00", true);
        tree.bytes("d", &"grün".as_bytes()[..3], false);
        let expected = r#"{"a":"grün","b":{"base64":"/wA="},"c":{"base64":"AA=="},"d":"gr"}"#;
        assert_eq!(text(tree), (expected.to_owned(), true));
    }

    #[test]
    fn a_schemas_number_stands_before_a_records_text() {
        let mut tree = Tree::new(1000);
        tree.content("a", b"\0\0\0\x01\x02{\"id\": 1}", true);
        tree.content("b", b"\0\0\0\x01\x02\xff", true);
        tree.content("c", b"plain", true);
        tree.bytes("d", b"\0\0\0\x01\x02{}", true);
        let expected = r#"{"a":{"schema_id":258,"text":"{\"id\": 1}"},"b":{"base64":"AAAAAQL/"},"c":"plain","d":{"base64":"AAAAAQJ7fQ=="}}"#;
        assert_eq!(text(tree), (expected.to_owned(), false));
    }

    #[test]
    fn beyond_the_limit_nothing_is_written_and_the_rest_is_valid() {
        for limit in 0..120 {
            let mut tree = Tree::new(limit);
            tree.list("list");
            for n in 0..5 {
                tree.object("");
                tree.int("n", n);
                tree.bytes("bytes", b"\xff\xfe\xfd", true);
                tree.bytes("text", "größer".as_bytes(), true);
                tree.end();
            }
            tree.end();
            tree.text("last", "value");
            let (text, cut) = text(tree);
            assert!(cut, "{limit}");
            assert!(text.len() <= limit + 8, "{limit}: {text}");
            serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{limit}: {error}: {text}"));
        }
    }

    #[test]
    fn escapes_count_too() {
        for limit in [40, 100, 1000] {
            let mut tree = Tree::new(limit);
            tree.bytes("a", &[0x0b; 5000], true);
            tree.object(&"\"".repeat(limit));
            tree.end();
            let (text, cut) = text(tree);
            assert!(cut && text.len() <= limit + 2, "{limit}: {}", text.len());
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
    }
}
