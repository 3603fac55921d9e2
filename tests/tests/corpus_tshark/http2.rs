//! HTTP/2, stream by stream: header lists, trailers and body bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;
use tapwire_tests::{
    corpus::{self, Owned},
    pipeline,
    tshark_http2::{self, Half},
};

use crate::{Difference, end_of};

/// How many halves of streams were compared.
pub fn compare(path: &Path, packets: &[Owned], found: &mut BTreeSet<Difference>) -> usize {
    let records: Vec<Value> =
        pipeline::real(packets).values().into_iter().filter(|record| record["stream_id"].is_u64()).collect();
    if records.is_empty() {
        return 0;
    }
    let capture = corpus::name(path);
    let begun =
        packets.iter().any(|packet| packet.payload.starts_with(b"PRI * ") || packet.payload.starts_with(b"GET "));
    let ports: BTreeSet<u64> = records.iter().filter_map(|record| record["dst"]["port"].as_u64()).collect();
    let ports: Vec<u64> = ports.into_iter().filter(|_| !begun).collect();
    let mut theirs = tshark_http2::halves(path, &ports);
    theirs.retain(|_, half| !half.lists.is_empty());
    let mut differ = |half: &Half, what: String| {
        found.insert((capture.clone(), half.frame.to_string(), what));
    };
    let mut compared = 0;
    for record in &records {
        let id = record["stream_id"].as_u64().unwrap_or_default();
        let (client, server) = (end_of(record, "src"), end_of(record, "dst"));
        for (name, from, to) in [("request", &client, &server), ("response", &server, &client)] {
            let ours = record.get(name).filter(|half| half.is_object());
            let half = theirs.remove(&(from.clone(), to.clone(), id));
            match (ours, half) {
                (None, None) => {}
                (Some(_), None) => differ(&Half::default(), format!("only tapwire: {name} of stream {id}")),
                (None, Some(half)) => differ(&half, format!("only tshark: {name} of stream {id}")),
                (Some(ours), Some(half)) => {
                    compared += 1;
                    for what in differences(record, name, ours, &half) {
                        differ(&half, format!("{name} of stream {id}: {what}"));
                    }
                }
            }
        }
    }
    for ((_, _, id), half) in &theirs {
        differ(half, format!("only tshark: a half of stream {id}"));
    }
    compared
}

/// What we say otherwise than tshark.
fn differences(record: &Value, name: &str, ours: &Value, half: &Half) -> Vec<String> {
    let mut found = Vec::new();
    let informational =
        |list: &Vec<(String, String)>| list.iter().any(|(name, value)| name == ":status" && value.starts_with('1'));
    let mut lists = half.lists.iter().filter(|list| !informational(list));
    let headers = lists.next().cloned().unwrap_or_default();
    let trailers = lists.next().cloned().unwrap_or_default();
    let pseudo: BTreeMap<&str, &str> = headers
        .iter()
        .filter(|(name, _)| name.starts_with(':'))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut check = |what: &str, ours: &Value, theirs: Option<String>| {
        if ours.is_null() && theirs.is_some() {
            found.push(format!("{what} is not known"));
        } else if !ours.is_null() && Some(as_text(ours)) != theirs {
            found.push(format!("{what} is {ours} and {theirs:?}"));
        }
    };
    let said = |name: &str| pseudo.get(name).map(|value| (*value).to_owned());
    if name == "request" {
        check("method", &record["method"], said(":method"));
        let url = |path: String| {
            let (scheme, authority) = (said(":scheme").unwrap_or_default(), said(":authority").unwrap_or_default());
            if path.starts_with('/') { format!("{scheme}://{authority}{path}") } else { path }
        };
        check("url", &record["url"], said(":path").map(url));
    } else {
        check("status", &record["status_code"], said(":status"));
    }
    for (what, theirs) in [("headers", headers), ("trailers", trailers)] {
        let theirs: Vec<_> = theirs.into_iter().filter(|(name, _)| !name.starts_with(':')).collect();
        let list = ours[what].as_array();
        let ours: Option<Vec<(String, String)>> =
            list.map(|list| list.iter().map(|pair| (as_text(&pair[0]), as_text(&pair[1]))).collect());
        match ours {
            None => found.push(format!("{what} are not known")),
            Some(ours) if ours == theirs => {}
            Some(ours) if ours.iter().flat_map(|(name, value)| [name, value]).any(|text| text == UNKNOWN) => {
                found.push(format!("{what} are known in part"));
            }
            Some(ours) => found.push(format!("{what} are {ours:?} and {theirs:?}")),
        }
    }
    if ours["body_size"].as_u64().is_some_and(|size| size != half.body) {
        found.push(format!("body has {} and {} bytes", ours["body_size"], half.body));
    }
    found
}

const UNKNOWN: &str = "(unknown)";

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => UNKNOWN.to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
