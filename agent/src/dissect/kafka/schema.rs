//! What Kafka's messages look like: a table made from Kafka's own classes (`cargo xtask kafka-schemas`), read once.

use std::{ops::RangeInclusive, sync::OnceLock};

use super::meaning::{Meaning, Place};

const TEXT: &str = include_str!("schemas.txt");

/// Every API and every error code.
#[derive(Debug, Default)]
pub struct Table {
    apis: Vec<Api>,
    data: Vec<Data>,
    errors: Vec<(i16, &'static str)>,
}

#[derive(Debug)]
pub struct Api {
    pub key: i16,
    /// As Kafka's logs write it: PRODUCE, API_VERSIONS.
    pub name: String,
    pub requests: Vec<Layout>,
    pub responses: Vec<Layout>,
}

/// What travels inside bytes, behind a version of its own.
#[derive(Debug)]
struct Data {
    name: &'static str,
    layouts: Vec<(RangeInclusive<i16>, Shape)>,
}

/// A message in some versions.
#[derive(Debug)]
pub struct Layout {
    pub versions: RangeInclusive<i16>,
    /// Version of the header before it.
    pub header: u8,
    pub body: Shape,
}

/// A message's body.
#[derive(Debug)]
pub struct Shape {
    /// Lengths are variable, and structs end with tagged fields.
    pub flexible: bool,
    pub fields: Struct,
}

#[derive(Debug, Default)]
pub struct Struct {
    pub fields: Vec<Field>,
    /// By tag.
    pub tagged: Vec<(u32, Field)>,
}

#[derive(Debug)]
pub struct Field {
    /// Empty for an array's element.
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
    pub meaning: Meaning,
}

#[derive(Debug)]
pub enum Kind {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    Text,
    Bytes,
    Records,
    Array(Box<Field>),
    Struct(Struct),
}

/// The one table.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The text is part of the program; a test reads it whole.
        Table::parse(TEXT).unwrap_or_default()
    })
}

impl Table {
    pub fn api(&self, key: i16) -> Option<&Api> {
        self.apis.binary_search_by_key(&key, |api| api.key).ok().and_then(|at| self.apis.get(at))
    }

    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    pub fn error(&self, code: i16) -> Option<&'static str> {
        self.errors.binary_search_by_key(&code, |(known, _)| *known).ok().map(|at| self.errors[at].1)
    }

    /// What travels inside bytes under this name.
    pub fn data(&self, name: &str, version: i16) -> Option<&Shape> {
        let data = self.data.iter().find(|data| data.name == name)?;
        data.layouts.iter().find(|(versions, _)| versions.contains(&version)).map(|(_, shape)| shape)
    }

    fn parse(text: &'static str) -> Option<Self> {
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ')?;
            let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            match word {
                "error" => table.errors.push((first.parse().ok()?, rest)),
                "api" => {
                    let name = constant(rest);
                    table.apis.push(Api { key: first.parse().ok()?, name, requests: vec![], responses: vec![] });
                }
                "request" | "response" => {
                    let api = table.apis.last_mut()?;
                    let layout = Layout::parse(&api.name, first, rest)?;
                    if word == "request" { &mut api.requests } else { &mut api.responses }.push(layout);
                }
                "data" => table.data.push(Data { name: first, layouts: vec![] }),
                "version" => {
                    let data = table.data.last_mut()?;
                    data.layouts.push((versions(first)?, Shape::parse(data.name, rest)?));
                }
                _ => return None,
            }
        }
        Some(table)
    }
}

impl Api {
    pub fn request(&self, version: i16) -> Option<&Layout> {
        self.requests.iter().find(|layout| layout.versions.contains(&version))
    }

    pub fn response(&self, version: i16) -> Option<&Layout> {
        self.responses.iter().find(|layout| layout.versions.contains(&version))
    }
}

/// `ApiVersions` → `API_VERSIONS`.
fn constant(name: &str) -> String {
    let mut constant = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            constant.push('_');
        }
        constant.push(letter.to_ascii_uppercase());
    }
    constant
}

impl Layout {
    /// `3-8`, and `header 1 plain transactional_id:string? …`.
    fn parse(api: &str, versions: &str, rest: &'static str) -> Option<Self> {
        let (header, rest) = rest.strip_prefix("header ")?.split_once(' ')?;
        Some(Self { versions: self::versions(versions)?, header: header.parse().ok()?, body: Shape::parse(api, rest)? })
    }
}

/// `3-8`, or `3`.
fn versions(text: &str) -> Option<RangeInclusive<i16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

impl Shape {
    /// `plain transactional_id:string? …`.
    fn parse(api: &str, rest: &'static str) -> Option<Self> {
        let (shape, fields) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut parser = Parser { rest: fields };
        let fields = parser.fields(Place { api, list: "", depth: 0 })?;
        let flexible = match shape {
            "flexible" => true,
            "plain" => false,
            _ => return None,
        };
        parser.rest.is_empty().then_some(Self { flexible, fields })
    }
}

/// Of a line's fields.
struct Parser {
    rest: &'static str,
}

impl Parser {
    /// Up to the end, or to the brace that closes the struct.
    fn fields(&mut self, place: Place<'_>) -> Option<Struct> {
        let mut fields = Struct::default();
        while !self.rest.is_empty() && !self.rest.starts_with('}') {
            self.eat(' ');
            if self.eat('#') {
                let (tag, rest) = self.rest.split_once(':')?;
                self.rest = rest;
                let field = self.field(place)?;
                fields.tagged.push((tag.parse().ok()?, field));
            } else {
                let field = self.field(place)?;
                fields.fields.push(field);
            }
        }
        Some(fields)
    }

    fn field(&mut self, place: Place<'_>) -> Option<Field> {
        let (name, rest) = self.rest.split_once(':')?;
        self.rest = rest;
        self.typed(name, name, place)
    }

    /// The type behind a name. `list`: the name of the list that it is an element of, or its own.
    fn typed(&mut self, name: &'static str, list: &'static str, place: Place<'_>) -> Option<Field> {
        let inner = Place { list, depth: place.depth + 1, ..place };
        let kind = if self.eat('[') {
            let element = self.typed("", list, place)?;
            self.eat(']').then_some(())?;
            Kind::Array(Box::new(element))
        } else if self.eat('{') {
            let fields = self.fields(inner)?;
            self.eat('}').then_some(())?;
            Kind::Struct(fields)
        } else {
            let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            scalar(word)?
        };
        let nullable = self.eat('?');
        let meaning =
            if name.is_empty() { Meaning::of_element(list, &kind, place.api) } else { Meaning::of(name, &kind, place) };
        Some(Field { name, kind, nullable, meaning })
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn scalar(word: &str) -> Option<Kind> {
    Some(match word {
        "bool" => Kind::Bool,
        "i8" => Kind::I8,
        "i16" => Kind::I16,
        "u16" => Kind::U16,
        "i32" => Kind::I32,
        "u32" => Kind::U32,
        "i64" => Kind::I64,
        "f64" => Kind::F64,
        "uuid" => Kind::Uuid,
        "string" => Kind::Text,
        "bytes" => Kind::Bytes,
        "records" => Kind::Records,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let table = Table::parse(TEXT).expect("every line is understood");
        let lines = |word: &str| TEXT.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(table.apis().len(), lines("api "));
        assert_eq!(table.errors.len(), lines("error "));
        let layouts: usize = table.apis().iter().map(|api| api.requests.len() + api.responses.len()).sum();
        assert_eq!(layouts, lines("request ") + lines("response "));
        for name in [super::super::meaning::SUBSCRIPTION, super::super::meaning::ASSIGNMENT] {
            assert_eq!([0, 3, 4].map(|version| table.data(name, version).is_some()), [true, true, false], "{name}");
        }
        assert!(table.apis().is_sorted_by_key(|api| api.key) && table.errors.is_sorted());
        for api in table.apis() {
            for layouts in [&api.requests, &api.responses] {
                assert!(layouts.windows(2).all(|two| two[0].versions.end() < two[1].versions.start()), "{}", api.name);
            }
        }
    }

    #[test]
    fn names_are_those_of_kafkas_logs() {
        let name = |key| table().api(key).map(|api| api.name.as_str());
        assert_eq!(
            [name(0), name(18), name(23)],
            [Some("PRODUCE"), Some("API_VERSIONS"), Some("OFFSET_FOR_LEADER_EPOCH")]
        );
        assert_eq!(name(-1), None);
        assert_eq!([table().error(3), table().error(9999)], [Some("UNKNOWN_TOPIC_OR_PARTITION"), None]);
    }

    #[test]
    fn headers_go_with_versions() {
        let produce = table().api(0).unwrap();
        assert_eq!(
            [8, 9, 99].map(|version| produce.request(version).map(|layout| layout.header)),
            [Some(1), Some(2), None]
        );
        // ApiVersions is asked before anybody knows what the broker understands.
        assert_eq!(table().api(18).unwrap().response(3).map(|layout| layout.header), Some(0));
    }
}
