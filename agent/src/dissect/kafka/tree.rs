//! A message as JSON, written while it is read, and never longer than a limit: what comes beyond it is left out whole,
//! and the tree is marked as cut.

use base64::{Engine, engine::general_purpose::STANDARD};

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
        Self { out: vec![b'{'], limit, filled: false, hidden: 0, open: vec![b'}'], cut: false }
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

    /// Text where it is some, else `{"base64": …}`; as much of it as there is room for. `whole`: there is no more of it.
    pub fn bytes(&mut self, name: &str, bytes: &[u8], whole: bool) {
        self.cut |= !whole;
        match readable(bytes, whole) {
            // The framing of schema registries' serializers: a zero, the schema's number, and often JSON.
            None if let [0, number @ ..] = bytes.get(..5).unwrap_or_default()
                && let Ok(number) = <[u8; 4]>::try_from(number)
                && let Some(text) = readable(&bytes[5..], whole).filter(|text| !text.is_empty()) =>
            {
                self.object(name);
                self.int("schema_id", i64::from(u32::from_be_bytes(number)));
                self.bytes("text", text.as_bytes(), whole);
                self.end();
            }
            Some(text) => {
                let mut end = text.len().min(self.room());
                // Escapes take room that is known only when they are written.
                while !self.try_text(name, &text[..text.floor_char_boundary(end)]) && end > 0 {
                    end /= 2;
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
            let _ = serde_json::to_writer(&mut self.out, name);
            self.out.push(b':');
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
