//! Dotted names: fields of the catalogue, entries of maps, variables of macros.

use cel::common::ast::{Expr, IdedExpr};

use super::{
    FilterError,
    check::{Checker, Typed},
    fields,
    node::Node,
    types::Type,
};

/// Shown to those whose name is like none.
const COMMON: &str = "protocol, method, path, url, status_code, elapsed_time, src.ip, dst.ip, dst.port, timestamp";

impl Checker<'_> {
    /// `method`, `dst.pod.namespace`, `local_labels.app`, a macro's variable.
    pub(super) fn name(&mut self, expr: &IdedExpr) -> Result<Typed, FilterError> {
        let Some(path) = path(expr) else {
            // A part of what is itself computed.
            let Expr::Select(select) = &expr.expr else { return Err(self.error(expr, "this cannot be read")) };
            let of = self.expr(&select.operand)?;
            return self.part(expr, of, &select.field);
        };
        let found = match self.scope.iter().rposition(|(name, _)| *name == path[0]) {
            Some(at) => Some((Node::Local(at), self.scope[at].1.clone(), 1)),
            None => self.field(&path),
        };
        let Some((node, kind, used)) = found else { return Err(self.unknown(expr, &path.join("."))) };
        let mut of = (node, kind);
        for part in &path[used..] {
            of = self.part(expr, of, part)?;
        }
        Ok(of)
    }

    /// The field with the longest name that the path begins with, and how many parts it takes.
    fn field(&mut self, path: &[&str]) -> Option<(Node, Type, usize)> {
        (1..=path.len()).rev().find_map(|used| {
            let field = fields::field(&path[..used].join("."))?;
            if !field.collected {
                self.uncollected.insert(field.name);
            }
            // A flag of a layer that this build doesn't read is known: it isn't that.
            Some((Node::Field(field), Type::of(field.kind), used))
        })
    }

    /// `of.name`: an entry of a map.
    fn part(&mut self, expr: &IdedExpr, of: Typed, name: &str) -> Result<Typed, FilterError> {
        if let (Node::Field(field), false) = (&of.0, matches!(of.1, Type::Map(_) | Type::Any)) {
            let whole = format!("{}.{name}", field.name);
            let mut near = fields::nearest(&whole);
            near.retain(|other| *other != field.name);
            let message = format!("{} has no parts{}", field.name, did_you_mean(&near));
            return Err(self.error(expr, message));
        }
        self.entry(expr, of, (Node::Text(name.to_owned()), Type::Text))
    }

    fn unknown(&self, expr: &IdedExpr, name: &str) -> FilterError {
        let at = path_start(expr);
        let hint = match fields::nearest(name).as_slice() {
            [] => format!("; none is like it, some are {COMMON}"),
            near => did_you_mean(near),
        };
        // `method == GET`
        let text = !name.contains('.') && name.chars().all(|c| c.is_ascii_uppercase());
        let quotes = if text { format!("; a text stands in quotes: \"{name}\"") } else { String::new() };
        self.error(at, format!("unknown name {name}{hint}{quotes}"))
    }
}

/// The parts of a dotted name.
fn path(expr: &IdedExpr) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut at = expr;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                parts.push(name.trim_start_matches('.'));
                parts.reverse();
                return Some(parts);
            }
            Expr::Select(select) => {
                parts.push(&select.field);
                at = &select.operand;
            }
            _ => return None,
        }
    }
}

/// Where a dotted name begins.
fn path_start(expr: &IdedExpr) -> &IdedExpr {
    let mut at = expr;
    while let Expr::Select(select) = &at.expr {
        at = &select.operand;
    }
    at
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}
