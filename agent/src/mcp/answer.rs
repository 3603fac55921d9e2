//! An answer and its size. Text and structure say the same twice, since some assistants read one and some the other;
//! the budget counts both, as they go over the wire.

use std::io::Write;

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::Value;

/// Bytes of one answer, everything in it.
pub const ANSWER_MAX: usize = 24 << 10;
/// Of those, for what stands around the answer: the JSON-RPC envelope and its names.
const ENVELOPE: usize = 512;
/// What text and structure may have together.
pub(super) const BUDGET: usize = ANSWER_MAX - ENVELOPE;

/// What a tool answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) structured: Value,
}

impl Answer {
    /// Bytes as JSON.
    pub(super) fn size(&self) -> usize {
        size(&self.text) + size(&self.structured)
    }

    pub(super) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::structured(self.structured);
        result.content = vec![ContentBlock::text(self.text)];
        result
    }
}

/// Bytes of a value as JSON, without writing it.
pub(super) fn size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither the writer nor text and JSON values can fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The largest of `0..=most` for which `fits` holds, given that smaller ones fit when larger ones do.
pub(super) fn largest(most: usize, mut fits: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Cuts long texts and long lists anywhere in a value, each with a mark that says how much is missing. Returns
/// whether it cut anything.
pub(super) fn shorten(value: &mut Value, text_max: usize, items_max: usize) -> bool {
    match value {
        Value::String(text) if text.len() > text_max => {
            let kept = text.floor_char_boundary(text_max);
            let cut = text.len() - kept;
            text.truncate(kept);
            text.push_str(&format!("… [{cut} B more]"));
            true
        }
        Value::Array(items) => {
            let cut = items.len().saturating_sub(items_max);
            items.truncate(items_max);
            let any = items.iter_mut().fold(cut > 0, |any, item| shorten(item, text_max, items_max) | any);
            if cut > 0 {
                // A list of pairs stays one: headers are.
                items.push(match items.first() {
                    Some(Value::Array(_)) => serde_json::json!(["…", format!("[{cut} more]")]),
                    _ => format!("… [{cut} more]").into(),
                });
            }
            any
        }
        Value::Object(fields) => {
            fields.values_mut().fold(false, |any, field| shorten(field, text_max, items_max) | any)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn largest_finds_the_edge() {
        for edge in 0..20 {
            assert_eq!(largest(19, |n| n <= edge), edge.min(19));
        }
        assert_eq!(largest(0, |_| false), 0);
    }

    #[test]
    fn shorten_marks_what_it_cut() {
        let mut value = json!({"a": "äöü", "l": [[1, 2], [3, 4], [5, 6]], "n": 7});
        assert!(!shorten(&mut value.clone(), 6, 3));
        assert!(shorten(&mut value, 3, 2));
        assert_eq!(value, json!({"a": "ä… [4 B more]", "l": [[1, 2], [3, 4], ["…", "[1 more]"]], "n": 7}));
    }
}
