//! Runs a checked filter on one record. Bounded: each part of the tree costs a step, long texts cost more, and a
//! record that takes too many steps doesn't match and is counted (`Failure::TooExpensive`).

use std::{borrow::Cow, cmp::Ordering};

use regex::{Regex, RegexBuilder};

use super::{
    Failure, arithmetic,
    node::{Comparison, Missing, Node, Search},
    value::{Val, entry},
};
use crate::{record::Record, time::Time};

/// Steps for one record: a few milliseconds. A filter of a few comparisons takes ten.
const MAX_STEPS: u32 = 100_000;

/// Bytes of text that are looked through or copied for one step.
const BYTES_A_STEP: usize = 64;

/// Reading a regular expression is dear: what it costs is about this many steps.
const PATTERN_STEPS: u32 = 5_000;

/// What a compiled regular expression may take in memory.
const PATTERN_MEMORY: usize = 1 << 20;

/// How deep its groups may nest.
const PATTERN_DEPTH: u32 = 50;

/// RE2's syntax is the `regex` crate's; matching takes linear time.
pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_MEMORY).dfa_size_limit(PATTERN_MEMORY).nest_limit(PATTERN_DEPTH).build()
}

/// A record under a filter.
pub(super) struct Row<'a> {
    record: &'a Record,
    now: Time,
    steps: u32,
    /// The variables of the macros around, the outermost first.
    pub(super) locals: Vec<Val<'a>>,
}

impl<'a> Row<'a> {
    pub(super) fn new(record: &'a Record, now: Time) -> Self {
        Self { record, now, steps: 0, locals: Vec::new() }
    }

    fn spend(&mut self, steps: u32) -> Result<(), Failure> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Failure::TooExpensive) } else { Ok(()) }
    }

    fn spend_on(&mut self, bytes: usize) -> Result<(), Failure> {
        self.spend(u32::try_from(bytes / BYTES_A_STEP).unwrap_or(u32::MAX))
    }

    /// What is absent is not true.
    pub(super) fn truth(&mut self, node: &'a Node) -> Result<bool, Failure> {
        match self.eval(node)? {
            Val::Bool(value) => Ok(value),
            Val::Absent => Ok(false),
            // Of a map of anything: "present".
            _ => Ok(true),
        }
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Result<Val<'a>, Failure> {
        self.spend(1)?;
        Ok(match node {
            Node::Bool(value) => Val::Bool(*value),
            Node::Int(value) => Val::Int(*value),
            Node::Uint(value) => Val::Uint(*value),
            Node::Float(value) => Val::Float(*value),
            Node::Text(value) => Val::Text(Cow::Borrowed(value)),
            Node::Bytes(value) => Val::Bytes(Cow::Borrowed(value)),
            Node::Time(value) => Val::Time(*value),
            Node::Duration(value) => Val::Duration(*value),
            Node::Now => Val::Time(self.now),
            Node::Field(field) => self.field(field)?,
            Node::Local(at) => self.local(*at)?,
            Node::List(nodes) => Val::List(nodes.iter().map(|node| self.eval(node)).collect::<Result<_, _>>()?),
            Node::Map(entries) => Val::Map(
                entries
                    .iter()
                    .map(|(key, value)| Ok((self.eval(key)?, self.eval(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Node::Not(of) => Val::Bool(!self.truth(of)?),
            Node::And(both) => Val::Bool(self.decided(both, false)?),
            Node::Or(both) => Val::Bool(self.decided(both, true)?),
            Node::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                let taken = if self.truth(condition)? { then } else { otherwise };
                self.eval(taken)?
            }
            Node::Compare(how, both) => {
                let [left, right] = &**both;
                Val::Bool(compare(*how, &self.eval(left)?, &self.eval(right)?))
            }
            Node::Arithmetic(operator, both) => {
                let [left, right] = &**both;
                match (self.eval(left)?, self.eval(right)?) {
                    (Val::Absent, _) | (_, Val::Absent) => Val::Absent,
                    (left, right) => {
                        self.spend_on(length(&left).saturating_add(length(&right)))?;
                        arithmetic::compute(*operator, left, right)?
                    }
                }
            }
            Node::Negate(of) => arithmetic::negate(self.eval(of)?)?,
            Node::In(both) => Val::Bool(self.is_in(both)?),
            Node::Index { of, missing } => self.index(of, *missing)?,
            Node::HasKey(of) => {
                let [of, key] = &**of;
                match (self.eval(of)?, self.eval(key)?) {
                    (Val::Map(entries), key) => Val::Bool(entry(&entries, &key).is_some()),
                    (Val::List(values), key) => Val::Bool(at(&values, &key).is_some()),
                    _ => Val::Bool(false),
                }
            }
            Node::Present(of) => Val::Bool(!matches!(self.eval(of)?, Val::Absent)),
            Node::MapGet(parts) => {
                let [of, key, default] = &**parts;
                let found = match (self.eval(of)?, self.eval(key)?) {
                    (Val::Map(entries), key) => entry(&entries, &key).cloned(),
                    _ => None,
                };
                match found {
                    Some(value) => value,
                    None => self.eval(default)?,
                }
            }
            Node::Search(how, both) => {
                let [text, part] = &**both;
                let (text, part) = (self.eval(text)?, self.eval(part)?);
                self.spend_on(length(&text))?;
                Val::Bool(search(*how, &text, &part))
            }
            Node::Matches(of, pattern) => match self.eval(of)? {
                Val::Text(text) => {
                    self.spend_on(text.len())?;
                    Val::Bool(pattern.is_match(&text))
                }
                _ => Val::Bool(false),
            },
            Node::MatchesAny(both) => {
                let [text, source] = &**both;
                match (self.eval(text)?, self.eval(source)?) {
                    (Val::Text(text), Val::Text(source)) => {
                        self.spend(PATTERN_STEPS)?;
                        self.spend_on(text.len())?;
                        Val::Bool(pattern(&source).map_err(|_| Failure::BadPattern)?.is_match(&text))
                    }
                    _ => Val::Bool(false),
                }
            }
            Node::Size(of) => match self.eval(of)? {
                Val::Text(text) => {
                    self.spend_on(text.len())?;
                    Val::Int(text.chars().count() as i64)
                }
                Val::Bytes(bytes) => Val::Int(bytes.len() as i64),
                Val::List(values) => Val::Int(values.len() as i64),
                Val::Map(entries) => Val::Int(entries.len() as i64),
                _ => Val::Absent,
            },
            Node::Convert(to, of) => arithmetic::convert(*to, self.eval(of)?)?,
            Node::Macro { kind, of, condition, result } => self.run(*kind, of, condition, result.as_deref())?,
        })
    }

    /// Copies the whole value, so that lists of lists grow no faster than steps are spent.
    fn local(&mut self, at: usize) -> Result<Val<'a>, Failure> {
        let weight = self.locals.get(at).map_or(0, weight);
        self.spend(u32::try_from(weight).unwrap_or(u32::MAX))?;
        Ok(self.locals.get(at).cloned().unwrap_or(Val::Absent))
    }

    fn field(&mut self, field: &super::fields::CatalogueField) -> Result<Val<'a>, Failure> {
        let value = Val::from(field.get(self.record));
        if let Val::List(_) | Val::Map(_) = value {
            self.spend(length(&value) as u32)?;
        }
        Ok(value)
    }

    /// `&&` and `||`: either side decides alone, also when the other one fails.
    fn decided(&mut self, both: &'a [Node; 2], by: bool) -> Result<bool, Failure> {
        let [left, right] = both;
        let first = self.truth(left);
        if first == Ok(by) || first == Err(Failure::TooExpensive) {
            return first;
        }
        let second = self.truth(right)?;
        if second == by { Ok(by) } else { first }
    }

    fn is_in(&mut self, both: &'a [Node; 2]) -> Result<bool, Failure> {
        let [value, of] = both;
        let value = self.eval(value)?;
        if matches!(value, Val::Absent) {
            return Ok(false);
        }
        // Without making a list of what stands there anyway.
        if let Node::List(nodes) = of {
            for node in nodes {
                if value.equals(&self.eval(node)?) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        Ok(match self.eval(of)? {
            Val::List(values) => values.iter().any(|other| value.equals(other)),
            Val::Map(entries) => entry(&entries, &value).is_some(),
            _ => false,
        })
    }

    fn index(&mut self, of: &'a [Node; 2], missing: Missing) -> Result<Val<'a>, Failure> {
        let [of, key] = of;
        Ok(match (self.eval(of)?, self.eval(key)?) {
            (Val::Absent, _) | (_, Val::Absent) => Val::Absent,
            (Val::Map(entries), key) => match entry(&entries, &key).cloned() {
                Some(value) => value,
                None if missing == Missing::EmptyText => Val::Text(Cow::Borrowed("")),
                None => Val::Absent,
            },
            (Val::List(values), key) => at(&values, &key).cloned().unwrap_or(Val::Absent),
            _ => Val::Absent,
        })
    }
}

fn compare(how: Comparison, left: &Val<'_>, right: &Val<'_>) -> bool {
    if matches!(left, Val::Absent) || matches!(right, Val::Absent) {
        return false;
    }
    match how {
        Comparison::Equal => left.equals(right),
        Comparison::NotEqual => !left.equals(right),
        Comparison::Less => left.order(right) == Some(Ordering::Less),
        Comparison::LessOrEqual => left.order(right).is_some_and(Ordering::is_le),
        Comparison::Greater => left.order(right) == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => left.order(right).is_some_and(Ordering::is_ge),
    }
}

fn search(how: Search, text: &Val<'_>, part: &Val<'_>) -> bool {
    match (text, part) {
        (Val::Text(text), Val::Text(part)) => match how {
            Search::Contains => text.contains(&**part),
            Search::StartsWith => text.starts_with(&**part),
            Search::EndsWith => text.ends_with(&**part),
        },
        (Val::Bytes(bytes), Val::Bytes(part)) => match how {
            Search::Contains => memchr::memmem::find(bytes, part).is_some(),
            Search::StartsWith => bytes.starts_with(part),
            Search::EndsWith => bytes.ends_with(part),
        },
        _ => false,
    }
}

/// The element at an index.
fn at<'v, 'a>(values: &'v [Val<'a>], index: &Val<'_>) -> Option<&'v Val<'a>> {
    values.get(usize::try_from(index.integer()?).ok()?)
}

/// What a value costs to look through.
fn length(value: &Val<'_>) -> usize {
    match value {
        Val::Text(text) => text.len(),
        Val::Bytes(bytes) => bytes.len(),
        Val::List(values) => values.len(),
        Val::Map(entries) => entries.len(),
        Val::Absent | Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Float(_) | Val::Time(_) | Val::Duration(_) => 0,
    }
}

/// Steps that copying a value costs.
fn weight(value: &Val<'_>) -> usize {
    match value {
        Val::List(values) => values.iter().map(weight).sum::<usize>() + 1,
        Val::Map(entries) => entries.iter().map(|(key, value)| weight(key) + weight(value)).sum::<usize>() + 1,
        other => length(other) / BYTES_A_STEP + 1,
    }
}
