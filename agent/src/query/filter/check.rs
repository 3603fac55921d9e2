//! Gives each part of the tree its type and its field, and says where and what to write when it can't.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::{
    FilterError, mismatch,
    node::{Comparison, Missing, Node, Operator},
    types::Type,
};
use crate::dissect::Kind;

/// A checked part.
pub(super) type Typed = (Node, Type);

pub(super) struct Checker<'s> {
    source: &'s str,
    positions: &'s SourceInfo,
    /// The variables of the macros around, the outermost first.
    pub(super) scope: Vec<(String, Type)>,
    /// Fields that the filter asks for and this build doesn't collect.
    pub(super) uncollected: BTreeSet<&'static str>,
}

impl<'s> Checker<'s> {
    pub(super) fn new(source: &'s str, positions: &'s SourceInfo) -> Self {
        Self { source, positions, scope: Vec::new(), uncollected: BTreeSet::new() }
    }

    /// What the asker should know beside the answer.
    pub(super) fn notes(self) -> Vec<String> {
        if self.uncollected.is_empty() {
            return Vec::new();
        }
        let names: Vec<_> = self.uncollected.into_iter().collect();
        vec![format!("not collected by this build, so never present: {}", names.join(", "))]
    }

    pub(super) fn error(&self, at: &IdedExpr, message: impl AsRef<str>) -> FilterError {
        let byte = self.positions.offset_for(at.id).map_or(0, |(start, _)| start as usize);
        FilterError::at(self.source, byte, message)
    }

    /// What is asked yes or no; a name that has another type asks whether it is present.
    pub(super) fn condition(&mut self, expr: &IdedExpr) -> Result<Node, FilterError> {
        let (node, kind) = self.expr(expr)?;
        match (node, kind) {
            (node, Type::Bool) => Ok(node),
            (node @ (Node::Field(_) | Node::Local(_)), _) => Ok(Node::Present(Box::new(node))),
            (Node::Index { of, .. }, _) => Ok(Node::HasKey(of)),
            (_, kind) => Err(self
                .error(expr, format!("this is {}, where yes or no is needed: compare it with something", kind.name()))),
        }
    }

    /// What a group is named after.
    pub(super) fn group_key(&mut self, expr: &IdedExpr) -> Result<Node, FilterError> {
        match self.expr(expr)? {
            (_, Type::Map(_)) => {
                Err(self.error(expr, "this is a map: group by one of its entries, as in request.headers[\"host\"]"))
            }
            (node, _) => Ok(node),
        }
    }

    pub(super) fn expr(&mut self, expr: &IdedExpr) -> Result<Typed, FilterError> {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(_) | Expr::Select(_) => self.name(expr),
            Expr::Call(call) => match &call.target {
                None if call.func_name.starts_with(|first: char| !first.is_ascii_alphabetic()) => {
                    self.operator(expr, &call.func_name, &call.args)
                }
                target => self.call(expr, &call.func_name, target.as_deref(), &call.args),
            },
            Expr::List(list) => {
                let (nodes, kind) = self.alike(&list.elements, "a list")?;
                Ok((Node::List(nodes), Type::List(Box::new(kind))))
            }
            Expr::Map(map) => {
                let mut entries = Vec::new();
                let mut kind = None;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(self.error(expr, "a map's entries are key: value"));
                    };
                    let (key, value) = (self.expr(&entry.key)?, self.expr(&entry.value)?);
                    if key.1 != Type::Text {
                        return Err(self.error(&entry.key, "a map's keys are texts"));
                    }
                    kind = match kind {
                        None => Some(value.1),
                        Some(kind) => Some(Type::join(kind, value.1).unwrap_or(Type::Any)),
                    };
                    entries.push((key.0, value.0));
                }
                Ok((Node::Map(entries), Type::Map(Box::new(kind.unwrap_or(Type::Any)))))
            }
            Expr::Struct(_) => Err(self.error(expr, "there are no messages here: a map is {\"key\": value}")),
            Expr::Comprehension(_) | Expr::Unspecified => Err(self.error(expr, "this cannot be read")),
        }
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Result<Typed, FilterError> {
        Ok(match literal {
            LiteralValue::Boolean(value) => (Node::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Node::Int(*value.inner()), Type::Int),
            LiteralValue::UInt(value) => (Node::Uint(*value.inner()), Type::Uint),
            LiteralValue::Double(value) => (Node::Float(*value.inner()), Type::Float),
            LiteralValue::String(value) => (Node::Text(value.inner().to_owned()), Type::Text),
            LiteralValue::Bytes(value) => (Node::Bytes(value.inner().to_vec()), Type::Bytes),
            LiteralValue::Null => {
                return Err(
                    self.error(expr, "null is not needed: a name alone asks whether it is present, as in !status_code")
                );
            }
        })
    }

    /// Nodes of one type.
    fn alike(&mut self, exprs: &[IdedExpr], of: &str) -> Result<(Vec<Node>, Type), FilterError> {
        let mut nodes = Vec::with_capacity(exprs.len());
        let mut kind: Option<Type> = None;
        for expr in exprs {
            let (node, this) = self.expr(expr)?;
            nodes.push(node);
            kind = Some(match kind {
                None => this,
                Some(kind) => {
                    let (was, is) = (kind.name(), this.name());
                    let message = || format!("this is {is}, the part before it {was}: {of} holds one type");
                    kind.join(this).ok_or_else(|| self.error(expr, message()))?
                }
            });
        }
        Ok((nodes, kind.unwrap_or(Type::Any)))
    }

    fn operator(&mut self, expr: &IdedExpr, name: &str, args: &[IdedExpr]) -> Result<Typed, FilterError> {
        match (name, args) {
            (operators::LOGICAL_AND, [left, right]) => {
                Ok((Node::And(Box::new([self.condition(left)?, self.condition(right)?])), Type::Bool))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Ok((Node::Or(Box::new([self.condition(left)?, self.condition(right)?])), Type::Bool))
            }
            (operators::LOGICAL_NOT, [of]) => Ok((Node::Not(Box::new(self.condition(of)?)), Type::Bool)),
            (operators::NEGATE, [of]) => {
                let (node, kind) = self.expr(of)?;
                if !matches!(kind, Type::Int | Type::Float | Type::Duration | Type::Any) {
                    return Err(
                        self.error(expr, format!("- before {}: only numbers and durations have a sign", kind.name()))
                    );
                }
                Ok((Node::Negate(Box::new(node)), kind))
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.condition(condition)?;
                let ((then, kind), (other, other_kind)) = (self.expr(then)?, self.expr(otherwise)?);
                let (is, was) = (other_kind.name(), kind.name());
                let kind = kind.join(other_kind);
                let kind = kind.ok_or_else(|| {
                    self.error(otherwise, format!("this is {is}, the other choice {was}: both need one type"))
                })?;
                Ok((Node::Choice(Box::new([condition, then, other])), kind))
            }
            (operators::INDEX, [of, key]) => {
                let (of, key) = (self.expr(of)?, self.expr(key)?);
                self.entry(expr, of, key)
            }
            (operators::IN, [value, of]) => self.within(expr, value, of),
            (_, [left, right]) => {
                if let Some(how) = comparison(name) {
                    let (left, right) = (self.expr(left)?, self.expr(right)?);
                    let ordered = matches!(how, Comparison::Equal | Comparison::NotEqual) || left.1.is_ordered();
                    if !left.1.compares(&right.1) || !ordered {
                        return Err(self.error(expr, mismatch::comparison(how, &left, &right)));
                    }
                    return Ok((Node::Compare(how, Box::new([left.0, right.0])), Type::Bool));
                }
                let Some((operator, sign)) = arithmetic(name) else {
                    return Err(self.error(expr, "this operator is not known"));
                };
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let Some(kind) = result(operator, &left.1, &right.1) else {
                    return Err(self.error(expr, mismatch::arithmetic(sign, &left.1, &right.1)));
                };
                Ok((Node::Arithmetic(operator, Box::new([left.0, right.0])), kind))
            }
            _ => Err(self.error(expr, "this operator is not known")),
        }
    }

    fn within(&mut self, expr: &IdedExpr, value: &IdedExpr, of: &IdedExpr) -> Result<Typed, FilterError> {
        let (value, (of, of_kind)) = (self.expr(value)?, self.expr(of)?);
        let (fits, value_node) = match &of_kind {
            Type::List(inner) => (inner.compares(&value.1), value.0),
            Type::Map(_) => (Type::Text.compares(&value.1), lower_case_key(&of, value.0)),
            Type::Any => (true, value.0),
            _ => (false, value.0),
        };
        if !fits {
            return Err(self.error(expr, mismatch::within(&value.1, &of_kind)));
        }
        Ok((Node::In(Box::new([value_node, of])), Type::Bool))
    }

    /// `of[key]`
    pub(super) fn entry(&self, expr: &IdedExpr, of: Typed, key: Typed) -> Result<Typed, FilterError> {
        let ((of, of_kind), (key, key_kind)) = (of, key);
        let (kind, missing) = match of_kind {
            Type::Map(inner) if Type::Text.compares(&key_kind) => {
                let missing =
                    if matches!(*inner, Type::Text | Type::Any) { Missing::EmptyText } else { Missing::Absent };
                (*inner, missing)
            }
            Type::List(inner) if matches!(key_kind, Type::Int | Type::Uint | Type::Any) => (*inner, Missing::Absent),
            Type::Any => (Type::Any, Missing::Absent),
            other => {
                let message = format!("{} has no entry under {}", other.name(), key_kind.name());
                return Err(self.error(expr, message));
            }
        };
        let key = lower_case_key(&of, key);
        Ok((Node::Index { of: Box::new([of, key]), missing }, kind))
    }
}

/// Header names are lower case in these maps, however they were sent; so are they here, however they were typed.
pub(super) fn lower_case_key(of: &Node, key: Node) -> Node {
    match (of, key) {
        (Node::Field(field), Node::Text(name)) if matches!(field.name, "request.headers" | "response.headers") => {
            Node::Text(name.to_ascii_lowercase())
        }
        (_, key) => key,
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<(Operator, char)> {
    Some(match name {
        operators::ADD => (Operator::Add, '+'),
        operators::SUBSTRACT => (Operator::Subtract, '-'),
        operators::MULTIPLY => (Operator::Multiply, '*'),
        operators::DIVIDE => (Operator::Divide, '/'),
        operators::MODULO => (Operator::Modulo, '%'),
        _ => return None,
    })
}

/// The type that an operator yields; `None` when it can't take these.
fn result(operator: Operator, left: &Type, right: &Type) -> Option<Type> {
    use Operator::{Add, Modulo, Subtract};
    match (operator, left, right) {
        (_, Type::Any, _) | (_, _, Type::Any) => Some(Type::Any),
        (Add, Type::Text, Type::Text) => Some(Type::Text),
        (Add, Type::Bytes, Type::Bytes) => Some(Type::Bytes),
        (Add, Type::List(_), Type::List(_)) => left.clone().join(right.clone()),
        (Add | Subtract, Type::Time, Type::Duration) | (Add, Type::Duration, Type::Time) => Some(Type::Time),
        (Add | Subtract, Type::Duration, Type::Duration) | (Subtract, Type::Time, Type::Time) => Some(Type::Duration),
        (Modulo, Type::Float, _) | (Modulo, _, Type::Float) => None,
        (_, left, right) if left.is_number() && right.is_number() => Some(match (left, right) {
            (Type::Float, _) | (_, Type::Float) => Type::Float,
            (Type::Uint, Type::Uint) => Type::Uint,
            _ => Type::Int,
        }),
        _ => None,
    }
}

/// Fields that hold a count of microseconds.
pub(super) fn is_microseconds(node: &Node) -> bool {
    matches!(node, Node::Field(field) if field.kind == Kind::Int && (field.name == "elapsed_time" || field.name == "time_to_first_byte"))
}
