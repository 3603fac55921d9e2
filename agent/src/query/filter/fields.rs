//! Names of the filter → fields of the catalogue, with the names of Kubeshark's older dialect.

use crate::record::fields as catalogue;
pub(in crate::query) use catalogue::CatalogueField;

/// Older names, and what they are called now.
const ALIASES: [(&str, &str); 14] = [
    ("request.method", "method"),
    ("request.path", "path"),
    ("request.url", "url"),
    ("request.query", "query_string"),
    ("request.queryString", "query_string"),
    ("request.bodySize", "request_body_size"),
    ("request.body_size", "request_body_size"),
    ("response.status", "status_code"),
    ("response.statusCode", "status_code"),
    ("response.status_code", "status_code"),
    ("response.bodySize", "response_body_size"),
    ("response.body_size", "response_body_size"),
    ("elapsedTime", "elapsed_time"),
    ("status", "status_code"),
];

/// The field of that name, or of an older name for it.
pub(in crate::query) fn field(name: &str) -> Option<&'static CatalogueField> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    catalogue::field(name)
}

/// Names like that one, the nearest first.
pub(super) fn nearest(name: &str) -> Vec<&'static str> {
    catalogue::nearest(name)
}
