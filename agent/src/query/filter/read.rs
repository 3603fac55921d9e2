//! From text to the `cel` crate's tree. Its macros stay unexpanded calls (`Env::default` has none), so that `check`
//! sees what was written.

use cel::{
    Env,
    common::ast::{IdedExpr, SourceInfo},
};

use super::{FilterError, lex};

pub(super) fn tree(source: &str) -> Result<(IdedExpr, SourceInfo), FilterError> {
    let text = lex::prepare(source)?;
    let parser = Env::default().parser().enable_optional_syntax(false);
    parser.parse_with_source_info(&text).map_err(|errors| {
        let Some(first) = errors.errors.first() else {
            return FilterError::whole("this cannot be read");
        };
        let (line, column) = first.pos;
        let byte = byte_of(source, line, column);
        let message = match byte.and_then(|byte| lex::word_at(source, byte)) {
            Some(word) => format!("unexpected {word}: an operator, a value or a bracket is missing or too many"),
            None if byte == Some(source.len()) => {
                "the filter ends too early: a value or a closing bracket is missing".to_owned()
            }
            None => first.msg.lines().next().unwrap_or_default().to_owned(),
        };
        match byte {
            Some(byte) => FilterError::at(source, byte, message),
            None => FilterError::whole(message),
        }
    })
}

/// The parser counts lines from 1, and columns in bytes from 1.
fn byte_of(source: &str, line: isize, column: isize) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let byte = (start + column).min(source.len());
    source.is_char_boundary(byte).then_some(byte)
}
