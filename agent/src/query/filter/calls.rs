//! Functions and macros.

use cel::common::ast::{Expr, IdedExpr};

use super::{
    FilterError,
    check::{Checker, Typed, lower_case_key},
    eval, literal,
    node::{Conversion, Macro, Node, Search},
    types::Type,
};

/// For messages.
const FUNCTIONS: &str = "size, timestamp, duration, now, int, uint, double, string, map_get, has";
const METHODS: &str = "contains, startsWith, endsWith, matches, size, exists, exists_one, all, filter, map";

impl Checker<'_> {
    /// `name(args)`, or `target.name(args)`.
    pub(super) fn call(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Typed, FilterError> {
        let name = name.trim_start_matches('.');
        match (target, name, args) {
            (None, "now", []) => Ok((Node::Now, Type::Time)),
            (None, "has", [of]) => self.has(of),
            (None, "map_get", [of, key, default]) => self.map_get(of, key, default),
            (None, "size", [of]) | (Some(of), "size", []) => {
                let (node, kind) = self.expr(of)?;
                match kind {
                    Type::Text | Type::Bytes | Type::List(_) | Type::Map(_) | Type::Any => {
                        Ok((Node::Size(Box::new(node)), Type::Int))
                    }
                    kind => {
                        Err(self.error(of, format!("this is {}: only texts, lists and maps have a size", kind.name())))
                    }
                }
            }
            (None, "timestamp" | "duration" | "int" | "uint" | "double" | "string", [of]) => self.convert(name, of),
            (Some(text), "contains" | "startsWith" | "endsWith", [part])
            | (None, "contains" | "startsWith" | "endsWith", [text, part]) => self.search(name, text, part),
            (Some(text), "matches", [pattern]) | (None, "matches", [text, pattern]) => self.matches(text, pattern),
            (Some(of), "exists" | "exists_one" | "existsOne" | "all" | "filter" | "map", [variable, body]) => {
                self.comprehension(name, of, variable, None, body)
            }
            (Some(of), "map", [variable, condition, body]) => {
                self.comprehension(name, of, variable, Some(condition), body)
            }
            _ => Err(self.wrong_call(expr, name, target.is_some(), args.len())),
        }
    }

    fn wrong_call(&self, expr: &IdedExpr, name: &str, method: bool, args: usize) -> FilterError {
        let usage = match name {
            "now" => "now()",
            "has" => "has(name)",
            "map_get" => "map_get(map, \"key\", \"default\")",
            "size" => "size(text)",
            "timestamp" => "timestamp(\"2026-01-31T12:00:00Z\")",
            "duration" => "duration(\"5m\")",
            "int" | "uint" | "double" | "string" => "int(value)",
            "contains" | "startsWith" | "endsWith" => "text.contains(\"part\")",
            "matches" => "text.matches(\"regular expression\")",
            "exists" | "exists_one" | "existsOne" | "all" | "filter" => "list.exists(x, x == \"…\")",
            "map" => "list.map(x, x + \"…\")",
            _ => {
                let known = if method { METHODS } else { FUNCTIONS };
                return self.error(expr, format!("unknown function {name}: there are {known}"));
            }
        };
        self.error(expr, format!("{name} with {args} arguments: write it as in {usage}"))
    }

    fn has(&mut self, of: &IdedExpr) -> Result<Typed, FilterError> {
        let node = match self.expr(of)?.0 {
            Node::Index { of, .. } => Node::HasKey(of),
            node @ (Node::Field(_) | Node::Local(_)) => Node::Present(Box::new(node)),
            _ => return Err(self.error(of, "has takes a name, as in has(request.headers.host)")),
        };
        Ok((node, Type::Bool))
    }

    fn map_get(&mut self, of: &IdedExpr, key: &IdedExpr, default: &IdedExpr) -> Result<Typed, FilterError> {
        let (map, (key_node, key_kind), (default_node, default_kind)) =
            (self.expr(of)?, self.expr(key)?, self.expr(default)?);
        let kind = match map.1 {
            Type::Map(inner) => *inner,
            Type::Any => Type::Any,
            other => {
                return Err(self.error(
                    of,
                    format!(
                        "this is {}: map_get takes a map, as in map_get(local_labels, \"app\", \"\")",
                        other.name()
                    ),
                ));
            }
        };
        if !Type::Text.compares(&key_kind) {
            return Err(self.error(key, "a map's keys are texts"));
        }
        let (held, given) = (kind.name(), default_kind.name());
        let kind = kind.join(default_kind);
        let kind =
            kind.ok_or_else(|| self.error(default, format!("the map holds {held}, and the default is {given}")))?;
        let key_node = lower_case_key(&map.0, key_node);
        Ok((Node::MapGet(Box::new([map.0, key_node, default_node])), kind))
    }

    fn convert(&mut self, name: &str, of: &IdedExpr) -> Result<Typed, FilterError> {
        let (node, kind) = self.expr(of)?;
        let simple = kind.is_number() || matches!(kind, Type::Text | Type::Any);
        let (to, result, fits) = match name {
            "int" => (Conversion::Int, Type::Int, simple || kind == Type::Time),
            "uint" => (Conversion::Uint, Type::Uint, simple),
            "double" => (Conversion::Float, Type::Float, simple),
            "string" => (Conversion::Text, Type::Text, simple || kind.is_ordered()),
            "timestamp" => {
                (Conversion::Time, Type::Time, matches!(kind, Type::Text | Type::Int | Type::Time | Type::Any))
            }
            _ => (Conversion::Duration, Type::Duration, matches!(kind, Type::Text | Type::Duration | Type::Any)),
        };
        if !fits {
            return Err(self.error(of, format!("{name} can't take {}", kind.name())));
        }
        // What is written out is read now, and its mistakes are told.
        let node = match (to, node) {
            (Conversion::Time, Node::Text(text)) => Node::Time(literal::time(&text).ok_or_else(|| {
                self.error(of, format!("{text:?} is no time since 1970: write it as 2026-01-31T12:00:00Z"))
            })?),
            (Conversion::Duration, Node::Text(text)) => Node::Duration(literal::duration(&text).ok_or_else(|| {
                self.error(of, format!("{text:?} is no duration: write it as 90s, 5m, 1h30m or 250ms"))
            })?),
            (to, node) => Node::Convert(to, Box::new(node)),
        };
        Ok((node, result))
    }

    fn search(&mut self, name: &str, text: &IdedExpr, part: &IdedExpr) -> Result<Typed, FilterError> {
        let how = match name {
            "contains" => Search::Contains,
            "startsWith" => Search::StartsWith,
            _ => Search::EndsWith,
        };
        let (text_node, text_kind) = self.expr(text)?;
        let (part_node, part_kind) = self.expr(part)?;
        match &text_kind {
            Type::Text | Type::Bytes | Type::Any => {}
            Type::List(_) => {
                let message = format!("this is a list: write \"…\" in list, or list.exists(x, x.{name}(\"…\"))");
                return Err(self.error(text, message));
            }
            Type::Map(_) => {
                let message = format!("this is a map: write \"key\" in map, or map[\"key\"].{name}(\"…\")");
                return Err(self.error(text, message));
            }
            other => return Err(self.error(text, format!("this is {}: {name} looks into texts", other.name()))),
        }
        if !text_kind.compares(&part_kind) {
            return Err(
                self.error(part, format!("{name} takes {}, and this is {}", text_kind.name(), part_kind.name()))
            );
        }
        Ok((Node::Search(how, Box::new([text_node, part_node])), Type::Bool))
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Result<Typed, FilterError> {
        let (text_node, kind) = self.expr(text)?;
        if !Type::Text.compares(&kind) {
            return Err(self.error(text, format!("this is {}: matches looks into texts", kind.name())));
        }
        let node = match self.expr(pattern)? {
            (Node::Text(source), _) => {
                let compiled = eval::pattern(&source).map_err(|error| self.error(pattern, bad_pattern(&error)))?;
                Node::Matches(Box::new(text_node), compiled)
            }
            (node, Type::Text | Type::Any) => Node::MatchesAny(Box::new([text_node, node])),
            (_, kind) => return Err(self.error(pattern, format!("matches takes a text, and this is {}", kind.name()))),
        };
        Ok((node, Type::Bool))
    }

    fn comprehension(
        &mut self,
        name: &str,
        of: &IdedExpr,
        variable: &IdedExpr,
        condition: Option<&IdedExpr>,
        body: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let (of_node, of_kind) = self.expr(of)?;
        let element = match of_kind {
            Type::List(inner) => *inner,
            Type::Map(_) => Type::Text,
            Type::Any => Type::Any,
            other => {
                return Err(
                    self.error(of, format!("this is {}: {name} goes over a list or the keys of a map", other.name()))
                );
            }
        };
        let Expr::Ident(variable_name) = &variable.expr else {
            return Err(self.error(variable, format!("{name} needs a name for each element, as in list.{name}(x, …)")));
        };
        self.scope.push((variable_name.clone(), element.clone()));
        let checked = self.bodies(name, condition, body);
        self.scope.pop();
        let (condition, result, result_kind) = checked?;
        let (kind, yields) = match name {
            "exists" => (Macro::Exists, Type::Bool),
            "all" => (Macro::All, Type::Bool),
            "filter" => (Macro::Filter, Type::List(Box::new(element))),
            "map" => (Macro::Map, Type::List(Box::new(result_kind))),
            _ => (Macro::ExistsOne, Type::Bool),
        };
        let node =
            Node::Macro { kind, of: Box::new(of_node), condition: Box::new(condition), result: result.map(Box::new) };
        Ok((node, yields))
    }

    /// What selects, and for `map` what is kept with its type.
    fn bodies(
        &mut self,
        name: &str,
        condition: Option<&IdedExpr>,
        body: &IdedExpr,
    ) -> Result<(Node, Option<Node>, Type), FilterError> {
        if name != "map" {
            return Ok((self.condition(body)?, None, Type::Bool));
        }
        let condition = condition.map_or(Ok(Node::Bool(true)), |condition| self.condition(condition))?;
        let (node, kind) = self.expr(body)?;
        Ok((condition, Some(node), kind))
    }
}

/// One line of what the `regex` crate draws over several.
fn bad_pattern(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the regular expression cannot be read: {reason}")
        }
    }
}
