//! Values while a filter runs. They borrow from the record and from the filter.

use std::{borrow::Cow, cmp::Ordering};

use crate::{dissect::Value, time::Time};

#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    /// Not applicable, not known, not collected, or computed from such.
    Absent,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    List(Vec<Val<'a>>),
    Map(Vec<(Val<'a>, Val<'a>)>),
}

impl<'a> From<Value<'a>> for Val<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Absent | Value::Unknown => Self::Absent,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::Text(value) => Self::Text(value),
            Value::Bytes(value) => Self::Bytes(value),
            Value::Timestamp(value) => Self::Time(value),
            Value::Duration(value) => Self::Duration(value),
            Value::TextList(values) => Self::List(values.into_iter().map(Self::Text).collect()),
            Value::TextMap(entries) => {
                Self::Map(entries.into_iter().map(|(key, value)| (Self::Text(key), Self::Text(value))).collect())
            }
        }
    }
}

impl Val<'_> {
    /// As a group's key shows it; `None` when absent.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Uint(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.to_string()),
            Self::Bytes(value) => Some(String::from_utf8_lossy(value).into_owned()),
            Self::Time(value) => Some(value.to_string()),
            Self::Duration(nanos) => Some(duration_text(*nanos)),
            Self::List(values) => Some(values.iter().filter_map(Self::text).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) => {
                let entry = |(key, value): &(Self, Self)| Some(format!("{}={}", key.text()?, value.text()?));
                Some(entries.iter().filter_map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// `None` for values that have no order between them.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Float(a), b) => order_with_float(b.integer()?, *a).map(Ordering::reverse),
            (a, Self::Float(b)) => order_with_float(a.integer()?, *b),
            (a, b) => Some(a.integer()?.cmp(&b.integer()?)),
        }
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| entry(b, key).is_some_and(|other| value.equals(other)))
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    pub(super) fn integer(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(i128::from(*value)),
            Self::Uint(value) => Some(i128::from(*value)),
            _ => None,
        }
    }
}

/// What a map holds under a key.
pub(super) fn entry<'v, 'a>(entries: &'v [(Val<'a>, Val<'a>)], key: &Val<'_>) -> Option<&'v Val<'a>> {
    entries.iter().find(|(name, _)| name.equals(key)).map(|(_, value)| value)
}

/// Exact, unlike a conversion of either.
fn order_with_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // A cast saturates, and every 64-bit number lies between the bounds of 128 bits.
    let whole = float.trunc();
    Some(integer.cmp(&(whole as i128)).then(0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)))
}

/// As CEL prints it: seconds.
fn duration_text(nanos: i64) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (seconds, fraction) = (size / 1_000_000_000, size % 1_000_000_000);
    let text = format!("{sign}{seconds}.{fraction:09}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_kinds_compare() {
        let order = |a: Val<'_>, b: Val<'_>| a.order(&b);
        assert_eq!(order(Val::Int(1), Val::Uint(1)), Some(Ordering::Equal));
        assert_eq!(order(Val::Int(-1), Val::Uint(u64::MAX)), Some(Ordering::Less));
        assert_eq!(order(Val::Int(i64::MAX), Val::Float(9_223_372_036_854_775_807.0)), Some(Ordering::Less));
        assert_eq!(order(Val::Float(1.5), Val::Int(1)), Some(Ordering::Greater));
        assert_eq!(order(Val::Float(-1.5), Val::Int(-1)), Some(Ordering::Less));
        assert_eq!(order(Val::Float(f64::INFINITY), Val::Uint(u64::MAX)), Some(Ordering::Greater));
        assert_eq!(order(Val::Float(f64::NAN), Val::Int(0)), None);
        assert_eq!(order(Val::Text("1".into()), Val::Int(1)), None);
    }

    #[test]
    fn durations_print_as_seconds() {
        assert_eq!(Val::Duration(-1_500_000_000).text().as_deref(), Some("-1.5s"));
        assert_eq!(Val::Duration(100_000_000_000).text().as_deref(), Some("100s"));
        assert_eq!(Val::Duration(i64::MIN).text().as_deref(), Some("-9223372036.854775808s"));
    }
}
