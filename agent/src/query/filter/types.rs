//! The types that the check knows.

use crate::dissect::Kind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Uint,
    Float,
    Text,
    Bytes,
    Time,
    Duration,
    List(Box<Type>),
    /// By what it holds; the keys of the catalogue's maps are texts.
    Map(Box<Type>),
    /// Known only when it is evaluated.
    Any,
}

impl Type {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool,
            Kind::Int => Self::Int,
            Kind::Float => Self::Float,
            Kind::Text => Self::Text,
            Kind::Bytes => Self::Bytes,
            Kind::Timestamp => Self::Time,
            Kind::Duration => Self::Duration,
            Kind::TextList => Self::List(Box::new(Self::Text)),
            Kind::TextMap => Self::Map(Box::new(Self::Text)),
            Kind::Map => Self::Map(Box::new(Self::Any)),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Float)
    }

    /// Whether values of both can be equal.
    pub(super) fn compares(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(mine), Self::List(theirs)) | (Self::Map(mine), Self::Map(theirs)) => mine.compares(theirs),
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// Whether values of it have an order.
    pub(super) fn is_ordered(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }

    /// The one type of both, for lists and `? :`.
    pub(super) fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (mine, theirs) if mine == theirs => Some(mine),
            (Self::List(mine), Self::List(theirs)) => mine.join(*theirs).map(|both| Self::List(Box::new(both))),
            (Self::Map(mine), Self::Map(theirs)) => mine.join(*theirs).map(|both| Self::Map(Box::new(both))),
            (mine, theirs) if mine.compares(&theirs) => Some(Self::Any),
            _ => None,
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bool => "yes or no",
            Self::Int | Self::Uint | Self::Float => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Any => "of any type",
        }
    }
}
