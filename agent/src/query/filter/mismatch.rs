//! What to write instead, when two types don't fit together.

use super::{
    check::{Typed, is_microseconds},
    node::{Comparison, Node},
    types::Type,
};

fn sign(how: Comparison) -> &'static str {
    match how {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// How a part is called: its name, else its type.
fn call((node, kind): &Typed) -> String {
    match node {
        Node::Field(field) => format!("{} is {}", field.name, kind.name()),
        _ => format!("that is {}", kind.name()),
    }
}

fn name(node: &Node) -> &'static str {
    match node {
        Node::Field(field) => field.name,
        _ => "…",
    }
}

pub(super) fn comparison(how: Comparison, left: &Typed, right: &Typed) -> String {
    let sign = sign(how);
    // The name first, however it was written.
    let (left, right) = if matches!(right.0, Node::Field(_)) && !matches!(left.0, Node::Field(_)) {
        (right, left)
    } else {
        (left, right)
    };
    let name = name(&left.0);
    let hint = match (&left.1, &right.1, &right.0) {
        (Type::Int | Type::Uint | Type::Float, Type::Text, Node::Text(text)) if text.parse::<f64>().is_ok() => {
            format!("write {name} {sign} {text} without quotes")
        }
        (Type::Text, Type::Int, Node::Int(number)) if name == "id" => {
            format!("ids are texts, written as an answer shows them: id {sign} \"{number}\" has the right type")
        }
        (Type::Text, Type::Int, Node::Int(number)) => format!("write {name} {sign} \"{number}\""),
        (Type::Int, Type::Duration, Node::Duration(nanos)) if is_microseconds(&left.0) => {
            format!("it counts microseconds: write {name} {sign} {}", nanos / 1000)
        }
        (Type::Time, Type::Text, Node::Text(text)) => format!("write {name} {sign} timestamp(\"{text}\")"),
        (Type::Time, _, _) => {
            format!("write {name} {sign} now() - duration(\"5m\"), or timestamp(\"2026-01-31T12:00:00Z\")")
        }
        (Type::Bool, Type::Text, _) | (Type::Bool, Type::Int, _) if name != "…" => {
            format!("write {name} or !{name} alone")
        }
        // `!status_code == 200`
        (Type::Bool, _, _) => format!("! binds closer than {sign}: write !(… {sign} …)"),
        (Type::List(_), Type::Text, Node::Text(text)) => format!("write \"{text}\" in {name}"),
        (Type::Map(_), _, _) => format!("take an entry of it: {name}[\"key\"] {sign} …"),
        (Type::List(_), _, _) => {
            "lists are only == or != to lists; ask size(…), … in list, or list.exists(x, …)".to_owned()
        }
        (_, Type::Bool, _) => format!("a comparison is not a value: write … && … instead of … {sign} …"),
        _ => "both sides need one type".to_owned(),
    };
    format!("{} and {}: {hint}", call(left), other(right))
}

fn other(right: &Typed) -> String {
    match &right.0 {
        Node::Field(field) => format!("{} is {}", field.name, right.1.name()),
        Node::Text(_) => "what is in quotes is a text".to_owned(),
        _ => format!("what it is compared with is {}", right.1.name()),
    }
}

pub(super) fn arithmetic(sign: char, left: &Type, right: &Type) -> String {
    let hint = match (left, right) {
        (Type::Text, _) | (_, Type::Text) if sign == '+' => "; string(…) makes a text",
        (Type::Time, Type::Int) | (Type::Int, Type::Time) => "; write duration(\"5m\")",
        (Type::Float, _) | (_, Type::Float) if sign == '%' => "; int(…) makes a whole number",
        _ => "",
    };
    format!("{sign} can't take {} and {}{hint}", left.name(), right.name())
}

pub(super) fn within(value: &Type, of: &Type) -> String {
    match of {
        Type::Text => "in looks into lists and maps; for a part of a text write text.contains(\"…\")".to_owned(),
        Type::List(inner) => format!("the list holds {}, and this is {}", inner.name(), value.name()),
        Type::Map(_) => format!("the map's keys are texts, and this is {}", value.name()),
        other => format!("in looks into lists and maps, and this is {}", other.name()),
    }
}
