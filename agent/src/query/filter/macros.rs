//! `exists`, `exists_one`, `all`, `filter` and `map`, run over the elements of a list or the keys of a map.

use super::{
    Failure,
    eval::Row,
    node::{Macro, Node},
    value::Val,
};

impl<'a> Row<'a> {
    /// A macro over a list, or over the keys of a map.
    pub(super) fn run(
        &mut self,
        kind: Macro,
        of: &'a Node,
        condition: &'a Node,
        result: Option<&'a Node>,
    ) -> Result<Val<'a>, Failure> {
        let values = match self.eval(of)? {
            Val::List(values) => values,
            Val::Map(entries) => entries.into_iter().map(|(key, _)| key).collect(),
            _ => {
                let absent = matches!(kind, Macro::Filter | Macro::Map);
                return Ok(if absent { Val::Absent } else { Val::Bool(false) });
            }
        };
        let (mut kept, mut count, mut failed) = (Vec::new(), 0, None);
        for value in values {
            let copy = if kind == Macro::Filter { Some(value.clone()) } else { None };
            self.locals.push(value);
            let truth = self.truth(condition);
            let mapped = match (&truth, result) {
                (Ok(true), Some(result)) => Some(self.eval(result)),
                _ => None,
            };
            self.locals.pop();
            match (truth, kind) {
                (Err(failure @ Failure::TooExpensive), _) => return Err(failure),
                // As with `||` and `&&`, another element may decide.
                (Err(failure), Macro::Exists | Macro::All) => failed = Some(failure),
                (Err(failure), _) => return Err(failure),
                (Ok(true), Macro::Exists) => return Ok(Val::Bool(true)),
                (Ok(false), Macro::All) => return Ok(Val::Bool(false)),
                (Ok(true), Macro::ExistsOne) => count += 1,
                (Ok(true), Macro::Filter) => kept.extend(copy),
                (Ok(true), Macro::Map) => kept.extend(mapped.transpose()?),
                (Ok(_), Macro::Exists | Macro::ExistsOne | Macro::All | Macro::Filter | Macro::Map) => {}
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(match kind {
                Macro::Exists => Val::Bool(false),
                Macro::All => Val::Bool(true),
                Macro::ExistsOne => Val::Bool(count == 1),
                Macro::Filter | Macro::Map => Val::List(kept),
            }),
        }
    }
}
