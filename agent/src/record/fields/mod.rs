//! The catalogue of fields: every name that a filter, a grouping or a schema may use, with its type, its meaning and how
//! it is read from a record. Three sources are merged, the first that names a field wins: the record's own fields
//! (`own`), those of each protocol in `PROTOCOLS`, and the names that Kubeshark's users know (`known`).

mod known;
mod nearest;
mod own;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::LazyLock};

pub use nearest::nearest;
pub use own::set_node_name;
pub(super) use own::view;

use super::Record;
use crate::{
    dissect::{Exchange, Kind, PROTOCOLS, Protocol, Value},
    flow::Protocol4,
};

/// One name. Where a field has parts (`src.pod.namespace`), the whole path is its name.
pub struct CatalogueField {
    pub name: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
    /// Whether this build can have a value for it. The others are always absent.
    pub collected: bool,
    source: Source,
}

/// Where a field's value comes from.
enum Source {
    Record(for<'a> fn(&'a Record) -> Value<'a>),
    /// Whether the record is of this protocol, or of one above it.
    Layer(&'static str),
    /// By protocol: its variables imply it.
    Exchange(Vec<(&'static str, for<'a> fn(&'a Exchange) -> Value<'a>)>),
    Nothing,
}

impl std::fmt::Debug for CatalogueField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kind, doc: _, collected, source: _ } = self;
        f.debug_struct("CatalogueField")
            .field("name", name)
            .field("kind", kind)
            .field("collected", collected)
            .finish_non_exhaustive()
    }
}

impl CatalogueField {
    /// The field's value in a record.
    pub fn get<'a>(&self, record: &'a Record) -> Value<'a> {
        match &self.source {
            Source::Record(get) => get(record),
            Source::Layer(name) => Value::Bool(has_layer(record, name)),
            Source::Exchange(getters) => {
                let protocol = record.exchange.protocol.name;
                match getters.iter().find(|(name, _)| *name == protocol) {
                    Some((_, get)) => get(&record.exchange),
                    None => Value::Absent,
                }
            }
            Source::Nothing => Value::Absent,
        }
    }
}

/// Protocols that stand on another one: `protocol` is the most specific, the flags of those below are true as well.
const BELOW: [(&str, &str); 5] =
    [("grpc", "http"), ("gql", "http"), ("gqlv1", "gql"), ("gqlv2", "gql"), ("ws", "http")];

fn has_layer(record: &Record, layer: &str) -> bool {
    let protocol = record.exchange.protocol;
    let transport = match protocol.transport {
        Protocol4::Tcp => "tcp",
        Protocol4::Udp => "udp",
    };
    if layer == transport {
        return true;
    }
    let mut name = protocol.name;
    loop {
        if name == layer {
            return true;
        }
        match BELOW.into_iter().find(|(above, _)| *above == name) {
            Some((_, below)) => name = below,
            None => return false,
        }
    }
}

/// The field of this name.
pub fn field(name: &str) -> Option<&'static CatalogueField> {
    CATALOGUE.by_name.get(name).and_then(|&index| CATALOGUE.fields.get(index))
}

/// Every field, in the order of the docs: the record's own, the protocols', then the rest.
pub fn all() -> &'static [CatalogueField] {
    &CATALOGUE.fields
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(PROTOCOLS));

struct Catalogue {
    fields: Vec<CatalogueField>,
    by_name: HashMap<&'static str, usize>,
}

impl Catalogue {
    fn of(protocols: &[&'static Protocol]) -> Self {
        let mut catalogue = Self { fields: Vec::new(), by_name: HashMap::new() };
        for &(name, kind, doc, get) in own::OWN {
            catalogue.add(CatalogueField { name, kind, doc, collected: true, source: Source::Record(get) });
        }
        for (name, doc) in [("tcp", "the call went over TCP"), ("udp", "the call went over UDP")] {
            catalogue.add(CatalogueField { name, kind: Kind::Bool, doc, collected: true, source: Source::Layer(name) });
        }
        for protocol in protocols {
            let (name, doc) = (protocol.name, "the call is of this protocol, or of one above it");
            catalogue.add(CatalogueField { name, kind: Kind::Bool, doc, collected: true, source: Source::Layer(name) });
        }
        for protocol in protocols {
            for field in protocol.fields() {
                catalogue.add_of_protocol(protocol.name, field);
            }
        }
        for &(name, kind, doc) in known::KNOWN {
            catalogue.add(CatalogueField { name, kind, doc, collected: false, source: Source::Nothing });
        }
        catalogue
    }

    fn add(&mut self, field: CatalogueField) {
        if !self.by_name.contains_key(field.name) {
            self.by_name.insert(field.name, self.fields.len());
            self.fields.push(field);
        }
    }

    /// Protocols may share a name (`method`): each reads it from its own exchanges.
    fn add_of_protocol(&mut self, protocol: &'static str, field: &'static crate::dissect::Field) {
        let here = self.by_name.get(field.name).copied();
        match here.and_then(|index| self.fields.get_mut(index)).map(|field| &mut field.source) {
            Some(Source::Exchange(getters)) if getters.iter().any(|(name, _)| *name == protocol) => {}
            Some(Source::Exchange(getters)) => getters.push((protocol, field.get)),
            Some(Source::Record(_) | Source::Layer(_) | Source::Nothing) => {}
            None => self.add(CatalogueField {
                name: field.name,
                kind: field.kind,
                doc: field.doc,
                collected: true,
                source: Source::Exchange(vec![(protocol, field.get)]),
            }),
        }
    }
}

/// A value as a group's key or a table's cell; `None` for what is absent or unknown. Lists and maps are JSON.
pub fn to_text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Absent | Value::Unknown => None,
        Value::Text(text) => Some(text.clone().into_owned()),
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Timestamp(time) => Some(time.to_string()),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Duration(_)
        | Value::TextList(_)
        | Value::TextMap(_) => {
            let mut out = Vec::new();
            super::json::value(&mut out, value);
            Some(String::from_utf8_lossy(&out).into_owned())
        }
    }
}
