//! Names of the filter → fields of the catalogue, with the names of Kubeshark's older dialect.

pub(in crate::query) use stand_in::CatalogueField;

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
    stand_in::field(name)
}

/// Names like that one, the nearest first.
pub(super) fn nearest(name: &str) -> Vec<&'static str> {
    stand_in::nearest(name)
}

/// Until the record's catalogue is merged.
mod stand_in {
    use crate::{
        dissect::{Head, Kind, Message, Value},
        record::Record,
    };

    #[derive(Debug)]
    pub(in crate::query) struct CatalogueField {
        pub name: &'static str,
        pub kind: Kind,
        pub collected: bool,
        pub get: for<'a> fn(&'a Record) -> Value<'a>,
    }

    pub(super) fn field(name: &str) -> Option<&'static CatalogueField> {
        FIELDS.iter().find(|field| field.name == name)
    }

    pub(super) fn nearest(name: &str) -> Vec<&'static str> {
        FIELDS.iter().map(|field| field.name).filter(|known| known.replace('_', "") == name.replace('_', "")).collect()
    }

    const fn collected(name: &'static str, kind: Kind, get: for<'a> fn(&'a Record) -> Value<'a>) -> CatalogueField {
        CatalogueField { name, kind, collected: true, get }
    }

    const fn absent(name: &'static str, kind: Kind) -> CatalogueField {
        CatalogueField { name, kind, collected: false, get: |_| Value::Absent }
    }

    fn headers(message: Option<&Message>) -> Value<'_> {
        let Some(message) = message else { return Value::Absent };
        let mut map: Vec<(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> = Vec::new();
        for (name, value) in message.headers.iter() {
            let (name, value) = (String::from_utf8_lossy(name).to_lowercase(), String::from_utf8_lossy(value));
            match map.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = format!("{known}, {value}").into(),
                None => map.push((name.into(), value)),
            }
        }
        Value::TextMap(map)
    }

    fn protocol<'a>(record: &Record, name: &str) -> Value<'a> {
        Value::Bool(record.exchange.protocol.name == name)
    }

    static FIELDS: &[CatalogueField] = &[
        collected("id", Kind::Text, |r| Value::Text(format!("{}-{}", r.id.conn, r.id.number).into())),
        collected("timestamp", Kind::Timestamp, |r| Value::Timestamp(r.timestamp)),
        collected("protocol", Kind::Text, |r| Value::Text(r.exchange.protocol.name.into())),
        collected("http", Kind::Bool, |r| protocol(r, "http")),
        collected("dns", Kind::Bool, |r| protocol(r, "dns")),
        collected("grpc", Kind::Bool, |r| protocol(r, "grpc")),
        collected("redis", Kind::Bool, |r| protocol(r, "redis")),
        collected("kafka", Kind::Bool, |r| protocol(r, "kafka")),
        collected("postgresql", Kind::Bool, |r| protocol(r, "postgresql")),
        collected("tlsx", Kind::Bool, |r| protocol(r, "tlsx")),
        collected("tcp", Kind::Bool, |_| Value::Bool(true)),
        collected("tcp_flow", Kind::Bool, |_| Value::Bool(false)),
        collected("capture_source", Kind::Text, |r| Value::Text(r.source.name().into())),
        collected("src.ip", Kind::Text, |r| Value::Text(r.client.ip().to_string().into())),
        collected("dst.ip", Kind::Text, |r| Value::Text(r.server.ip().to_string().into())),
        collected("src.port", Kind::Int, |r| Value::Int(r.client.port().into())),
        collected("dst.port", Kind::Int, |r| Value::Int(r.server.port().into())),
        collected("namespaces", Kind::TextList, |_| Value::TextList(vec!["internal".into(), "public".into()])),
        collected("method", Kind::Text, |r| match r.exchange.request.as_ref().map(|m| &m.head) {
            Some(Head::HttpRequest(request)) => Value::Text((&*request.method).into()),
            _ => Value::Absent,
        }),
        collected("path", Kind::Text, |r| match r.exchange.request.as_ref().map(|m| &m.head) {
            Some(Head::HttpRequest(request)) => Value::Text(String::from_utf8_lossy(&request.target)),
            _ => Value::Absent,
        }),
        collected("url", Kind::Text, |r| match r.exchange.request.as_ref().map(|m| &m.head) {
            Some(Head::HttpRequest(request)) => Value::Text(String::from_utf8_lossy(&request.target)),
            _ => Value::Absent,
        }),
        collected("http_version", Kind::Text, |_| Value::Text("1.1".into())),
        collected("status_code", Kind::Int, |r| match r.exchange.response.as_ref().map(|m| &m.head) {
            Some(Head::HttpResponse(response)) => Value::Int(response.status.into()),
            _ => Value::Absent,
        }),
        collected("elapsed_time", Kind::Int, |r| match (&r.exchange.request, &r.exchange.response) {
            (Some(request), Some(response)) => Value::Int(response.ended.micros_since(request.started) as i64),
            _ => Value::Absent,
        }),
        collected("request.headers", Kind::TextMap, |r| headers(r.exchange.request.as_ref())),
        collected("response.headers", Kind::TextMap, |r| headers(r.exchange.response.as_ref())),
        collected("query_string", Kind::TextMap, |_| Value::TextMap(Vec::new())),
        collected("response_body_size", Kind::Int, |r| match &r.exchange.response {
            Some(message) => message.body.size.map_or(Value::Unknown, |size| Value::Int(size as i64)),
            None => Value::Absent,
        }),
        absent("dst.pod.namespace", Kind::Text),
        absent("src.pod.namespace", Kind::Text),
        absent("src.service.namespace", Kind::Text),
        absent("dst.service.namespace", Kind::Text),
        absent("dns_questions", Kind::TextList),
        absent("grpc_status", Kind::Int),
        absent("local_labels", Kind::TextMap),
        absent("redis_key", Kind::Text),
        absent("kafka_api_key_name", Kind::Text),
        absent("kafka_request_summary", Kind::Text),
        absent("postgresql_success", Kind::Bool),
        absent("postgresql_error_code", Kind::Text),
        absent("tcp_error_type", Kind::Text),
        absent("flow_local_bps", Kind::Int),
        absent("tlsx_cipher_suites", Kind::TextList),
        absent("tcp_payload", Kind::Bytes),
        absent("node", Kind::Map),
    ];
}
