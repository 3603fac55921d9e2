//! How large and deep a tree may become. A payload of a few bytes can ask for much: each field costs more in a tree than
//! on the wire, and a schema's names can be long. All that makes trees pays from here; what can't be paid is left out,
//! and the tree is marked as cut.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Fields and elements of a tree. At some 200 bytes each, what a hostile message can cost; a record with more is not read.
const FIELDS: u32 = 8192;

/// Messages within messages. Each gives up to two levels of JSON (a list of messages), and common JSON parsers refuse
/// more than 128 levels, of which the record around needs some. Protobuf's own parsers stop at 100.
pub(super) const DEPTH: u32 = 48;

/// What is left for one tree.
#[derive(Debug)]
pub struct Budget {
    fields: u32,
    bytes: usize,
    cut: bool,
}

impl Budget {
    /// `bytes`: of texts and names that the tree may hold, before JSON escapes them.
    pub fn new(bytes: usize) -> Self {
        Self { fields: FIELDS, bytes, cut: false }
    }

    /// Something was left out of the tree.
    pub fn cut(&self) -> bool {
        self.cut
    }

    pub(super) fn set_cut(&mut self) {
        self.cut = true;
    }

    /// Pays for one field or element.
    pub(super) fn field(&mut self) -> bool {
        let paid = self.fields > 0;
        self.fields -= u32::from(paid);
        self.cut |= !paid;
        paid
    }

    /// Pays for a name, which is all there or not at all.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        match self.bytes.checked_sub(name.len()) {
            Some(left) => self.bytes = left,
            None => {
                self.cut = true;
                return None;
            }
        }
        Some(name.to_owned())
    }

    /// As much of a text as can be paid.
    pub(super) fn text(&mut self, text: &str) -> Value {
        let end = text.floor_char_boundary(self.bytes.min(text.len()));
        let front = text.get(..end).unwrap_or_default();
        self.cut |= front.len() < text.len();
        self.bytes -= front.len();
        Value::String(front.to_owned())
    }

    /// As much of the bytes as can be paid, in base64.
    pub(super) fn base64(&mut self, bytes: &[u8]) -> String {
        // Four characters for three bytes.
        let front = bytes.get(..self.bytes / 4 * 3).unwrap_or(bytes);
        self.cut |= front.len() < bytes.len();
        let text = STANDARD.encode(front);
        self.bytes = self.bytes.saturating_sub(text.len());
        text
    }

    /// Bytes in a tree where a text would mean a text.
    pub(super) fn marked_base64(&mut self, bytes: &[u8]) -> Value {
        let text = self.base64(bytes);
        Value::Object([("base64".to_owned(), Value::String(text))].into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_paid_is_left_out() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.text("größe"), "größe");
        assert!(!budget.cut());
        assert_eq!(budget.text("größe"), "gr");
        assert!(budget.cut());
        assert_eq!(budget.name("name"), None);
        let mut budget = Budget::new(9);
        assert_eq!(budget.base64(&[0; 9]), "AAAAAAAA");
        assert_eq!(budget.name("x").as_deref(), Some("x"));
        assert_eq!(budget.base64(b"\0"), "");
        // What the limit on fields reckons with: a value with its key and its place in a map's index.
        assert!(size_of::<(u64, String, Value)>() < 150);
        let mut budget = Budget::new(0);
        assert_eq!((0..10_000).filter(|_| budget.field()).count(), FIELDS as usize);
        assert!(budget.cut());
    }
}
