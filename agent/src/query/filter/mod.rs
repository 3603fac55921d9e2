//! KFL: CEL, with `map_get(map, key, default)` and `now()`.
//!
//! A filter is read in three steps: `lex` looks at the words, the `cel` crate's parser makes the tree, `check` gives
//! each part its type and its field of the catalogue. What comes out is a small tree of our own (`node`) that `eval`
//! runs row by row. The crate's interpreter is not used: its rules for what is absent are others, and a filter must be
//! bounded in what it costs.
//!
//! What is absent: a comparison, operator, function or macro on an absent or unknown field is false (or absent, inside
//! an expression), and `!` negates that. A missing key of a map is `""`. A name that isn't yes or no, alone, means
//! "present".

mod arithmetic;
mod calls;
mod check;
mod eval;
pub(super) mod fields;
mod lex;
mod literal;
mod macros;
mod mismatch;
mod names;
mod node;
mod read;
#[cfg(test)]
mod tests;
mod types;
mod value;

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{record::Record, time::Time};
use check::Checker;
pub(super) use fields::CatalogueField;
use node::Node;
use value::Val;

/// Why a filter cannot be used: one line that says where and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    pub message: String,
    /// In characters, from 1.
    pub column: Option<usize>,
}

/// Of a message, in characters: it may quote the filter, and is shown on one line.
const MAX_MESSAGE: usize = 400;

impl FilterError {
    /// About the whole.
    pub(super) fn whole(message: impl AsRef<str>) -> Self {
        let line = message.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut message: String = line.clone().take(MAX_MESSAGE).collect();
        if line.count() > MAX_MESSAGE {
            message.push('…');
        }
        Self { message, column: None }
    }

    /// At a byte of the source.
    fn at(source: &str, byte: usize, message: impl AsRef<str>) -> Self {
        let before = source.get(..byte).unwrap_or(source);
        Self { column: Some(before.chars().count() + 1), ..Self::whole(message) }
    }
}

/// Those who ask show it as it is.
impl From<FilterError> for String {
    fn from(error: FilterError) -> Self {
        error.to_string()
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "filter, column {column}: {}", self.message),
            None => write!(f, "filter: {}", self.message),
        }
    }
}

/// Why a filter has no answer for a row, which then doesn't match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    DivisionByZero,
    Overflow,
    BadPattern,
    BadConversion,
    TooExpensive,
}

impl Failure {
    pub const ALL: [Self; 5] =
        [Self::DivisionByZero, Self::Overflow, Self::BadPattern, Self::BadConversion, Self::TooExpensive];

    pub fn name(self) -> &'static str {
        match self {
            Self::DivisionByZero => "division by zero",
            Self::Overflow => "a number out of range",
            Self::BadPattern => "a regular expression that cannot be read",
            Self::BadConversion => "a text that cannot be converted",
            Self::TooExpensive => "too many steps on one record",
        }
    }
}

/// Which records to show. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: String,
    root: Node,
    notes: Vec<String>,
}

impl Filter {
    pub fn parse(source: &str) -> Result<Self, FilterError> {
        let (tree, positions) = read::tree(source)?;
        let mut checker = Checker::new(source, &positions);
        let root = checker.condition(&tree)?;
        let notes = checker.notes();
        Ok(Self(Arc::new(Compiled { source: source.trim().to_owned(), root, notes })))
    }

    /// Whether it shows this record; a failure counts as no.
    pub fn matches(&self, record: &Record, now: Time) -> bool {
        self.evaluate(record, now).unwrap_or(false)
    }

    pub fn evaluate(&self, record: &Record, now: Time) -> Result<bool, Failure> {
        eval::Row::new(record, now).truth(&self.0.root)
    }

    /// Why it may show less than expected: fields that this build doesn't collect.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// As it was given, without spaces around it.
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

/// What calls are grouped by: the name of a field, or any expression that has a value.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Compiled>);

impl Expression {
    pub fn parse(source: &str) -> Result<Self, FilterError> {
        let (tree, positions) = read::tree(source)?;
        let mut checker = Checker::new(source, &positions);
        let root = checker.group_key(&tree)?;
        let notes = checker.notes();
        Ok(Self(Arc::new(Compiled { source: source.trim().to_owned(), root, notes })))
    }

    /// Its values in this record: several for a list, and `None` for what is absent, unknown or failed.
    pub(super) fn values(&self, record: &Record, now: Time) -> Vec<Option<String>> {
        match eval::Row::new(record, now).eval(&self.0.root) {
            Ok(Val::List(values)) if !values.is_empty() => {
                let texts: BTreeSet<_> = values.iter().map(Val::text).collect();
                texts.into_iter().collect()
            }
            Ok(value) => vec![value.text()],
            Err(_) => vec![None],
        }
    }

    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    pub fn source(&self) -> &str {
        &self.0.source
    }
}
