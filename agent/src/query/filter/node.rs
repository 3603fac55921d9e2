//! The checked filter: names are resolved, types are right, constant patterns are compiled.

use regex::Regex;

use super::CatalogueField;
use crate::time::Time;

#[derive(Debug)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    Now,
    Field(&'static CatalogueField),
    /// A macro's variable, by how many are around it.
    Local(usize),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// Condition, then, else.
    Choice(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Operator, Box<[Node; 2]>),
    Negate(Box<Node>),
    /// A value, and a list or map.
    In(Box<[Node; 2]>),
    /// A list or map, and an index or key.
    Index {
        of: Box<[Node; 2]>,
        missing: Missing,
    },
    /// The same: whether there is such a key.
    HasKey(Box<[Node; 2]>),
    Present(Box<Node>),
    /// Map, key, default.
    MapGet(Box<[Node; 3]>),
    /// A text, and what it may hold.
    Search(Search, Box<[Node; 2]>),
    Matches(Box<Node>, Regex),
    /// With a pattern that is itself computed.
    MatchesAny(Box<[Node; 2]>),
    Size(Box<Node>),
    Convert(Conversion, Box<Node>),
    Macro {
        kind: Macro,
        of: Box<Node>,
        condition: Box<Node>,
        result: Option<Box<Node>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What an index yields when there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// As for labels and headers.
    EmptyText,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    Int,
    Uint,
    Float,
    Text,
    Time,
    Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Macro {
    Exists,
    ExistsOne,
    All,
    Filter,
    /// `condition` selects, `result` is what is kept.
    Map,
}
