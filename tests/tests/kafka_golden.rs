//! Every version of every Kafka API, encoded by Kafka's own classes with random values (xtask/kafka/MakeGolden.java), is
//! read back to the same values. Needs those classes, which `cargo xtask test` installs; says so and passes without them.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tapwire::dissect::{Carried, Half, kafka};
use tapwire_tests::{kafka as peers, live::skip};

/// Of the random values. Another one is worth a try after a change: `TAPWIRE_TEST_SEED`.
const SEED: &str = "1";

/// APIs whose messages the older release has by other names, or in another form that no released broker speaks.
const RENAMED: [i64; 3] = [52, 74, 87];

#[test]
fn every_version_of_every_api_is_read_back() {
    if peers::RELEASES.iter().any(|release| !peers::jars(release).exists()) {
        skip("every_version_of_every_api_is_read_back", "Kafka's jars are missing; cargo xtask test installs them");
        return;
    }
    let seed = std::env::var("TAPWIRE_TEST_SEED").unwrap_or(SEED.to_owned());
    let mut seen = BTreeSet::new();
    let mut lines = 0;
    for release in peers::RELEASES {
        let mut made = BTreeSet::new();
        let mut child = Command::new("java")
            .args(["-cp", &format!("{}/*", peers::jars(release).display()), &peers::source("MakeGolden.java"), &seed])
            .stdout(Stdio::piped())
            .spawn()
            .expect("java, which `cargo xtask test` installs");
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let name = (number(&line, "key"), number(&line, "version"), line["direction"].as_str().unwrap().to_owned());
            if seen.contains(&name) || release != peers::RELEASES[0] && RENAMED.contains(&name.0) {
                continue;
            }
            check(&line).unwrap_or_else(|why| panic!("{release} {name:?}: {why}\n{line}"));
            lines += 1;
            made.insert(name);
        }
        assert!(child.wait().unwrap().success(), "{release}");
        seen.append(&mut made);
    }
    let table = kafka::schema::table();
    let versions = |layouts: &[kafka::schema::Layout]| -> usize {
        layouts.iter().map(|layout| layout.versions.clone().count()).sum()
    };
    let all: usize = table.apis().iter().map(|api| versions(&api.requests) + versions(&api.responses)).sum();
    println!("{} of {all} (API, version, direction) read back in {lines} messages, seed {seed}", seen.len());
    assert_eq!(seen.len(), all, "some are in the table and were not made");
}

fn number(line: &Value, name: &str) -> i64 {
    line[name].as_i64().unwrap()
}

fn check(line: &Value) -> Result<(), String> {
    let bytes = hex(line["hex"].as_str().unwrap());
    let request = line["direction"] == "request";
    let (half, header) = match (request, number(line, "header")) {
        (true, 0) => (Half::Request, 8),
        (true, header) => {
            let client = line["client_id"].as_str().map_or(0, str::len);
            (Half::Request, 10 + client + usize::from(header == 2))
        }
        (false, header) => (Half::Response, 4 + usize::from(header == 1)),
    };
    let (key, version) = (number(line, "key") as i16, number(line, "version") as i16);
    let api = kafka::schema::table().api(key).ok_or("no such API")?;
    let layout = if request { api.request(version) } else { api.response(version) };
    let known = layout.map(|layout| layout.header).ok_or("no such version")?;
    same_number(i64::from(known), number(line, "header"), "header")?;
    let read = kafka::read(half, key, version, &bytes[header..], 1 << 20).ok_or("no such version")?;
    if let Some(bad) = read.bad.or(read.of_records) {
        return Err(bad.to_owned());
    }
    let Some(Carried::Fields { json, cut: false, .. }) = &read.carried else { return Err("cut".to_owned()) };
    let ours: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut batches = Vec::new();
    compare(&ours, &line["body"], "", &mut batches)?;
    let empty = Vec::new();
    let expected = line["records"].as_array().unwrap_or(&empty);
    same_number(batches.len() as i64, expected.len() as i64, "record sets")?;
    let mut count = 0;
    for (ours, theirs) in batches.iter().zip(expected) {
        let ours: Vec<&Value> = ours["batches"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|batch| batch["records"].as_array().unwrap())
            .collect();
        let theirs: Vec<&Value> = theirs.as_array().into_iter().flatten().collect();
        same_number(ours.len() as i64, theirs.len() as i64, "records")?;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            compare_record(ours, theirs)?;
        }
        count += theirs.len() as u64;
    }
    let counted = read.facts.records.map_or(Some(0), |records| records.count);
    if counted == Some(count) { Ok(()) } else { Err(format!("counted {counted:?} of {count} records")) }
}

fn same_number(ours: i64, theirs: i64, what: &str) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours} instead of {theirs}")) }
}

/// `batches`: what stands under the names of records, in order.
fn compare<'a>(ours: &'a Value, theirs: &Value, path: &str, batches: &mut Vec<&'a Value>) -> Result<(), String> {
    if path.to_lowercase().ends_with("records") && (ours.is_null() || ours.get("batches").is_some()) {
        batches.push(ours);
        return if ours.is_null() == theirs.is_null() { Ok(()) } else { Err(format!("{path}: null")) };
    }
    match (ours, theirs) {
        (Value::Object(map), Value::Object(expected)) => {
            for (name, theirs) in expected {
                let plain = |name: &str| name.replace('_', "").to_lowercase();
                let found = map.iter().find(|(ours, _)| plain(ours) == plain(name));
                let (_, ours) = found.ok_or_else(|| format!("{path}.{name}: missing"))?;
                compare(ours, theirs, &format!("{path}.{name}"), batches)?;
            }
            // Names of error codes are ours.
            let extra = map.keys().filter(|name| !name.ends_with("error")).count();
            let theirs = expected.keys().filter(|name| !name.to_lowercase().ends_with("error")).count();
            same_number(extra as i64, theirs as i64, path)
        }
        (Value::Array(list), Value::Array(expected)) => {
            same_number(list.len() as i64, expected.len() as i64, path)?;
            list.iter().zip(expected).try_for_each(|(ours, theirs)| compare(ours, theirs, path, batches))
        }
        (Value::Object(map), Value::String(text)) if map.get("base64") == Some(&Value::from(text.as_str())) => Ok(()),
        (Value::String(ours), Value::String(theirs)) if *theirs == STANDARD.encode(ours) => Ok(()),
        _ if ours == theirs => Ok(()),
        _ => Err(format!("{path}: {ours} instead of {theirs}")),
    }
}

fn compare_record(ours: &Value, theirs: &Value) -> Result<(), String> {
    same_number(number(ours, "offset"), number(theirs, "offset"), "offset")?;
    let timestamp = ours.get("timestamp").map_or(-1, |_| number(ours, "timestamp"));
    same_number(timestamp, number(theirs, "timestamp"), "timestamp")?;
    for name in ["key", "value"] {
        same_bytes(&ours[name], &theirs[name], name)?;
    }
    let empty = Vec::new();
    let headers = ours["headers"].as_array().unwrap_or(&empty);
    let expected = theirs["headers"].as_array().unwrap_or(&empty);
    same_number(headers.len() as i64, expected.len() as i64, "headers")?;
    for (ours, theirs) in headers.iter().zip(expected) {
        let (name, value) = ours.as_object().unwrap().iter().next().unwrap();
        if theirs[0] != name.as_str() {
            return Err(format!("header {name} instead of {}", theirs[0]));
        }
        same_bytes(value, &theirs[1], name)?;
    }
    Ok(())
}

fn same_bytes(ours: &Value, theirs: &Value, name: &str) -> Result<(), String> {
    let shown = match ours {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(map) => map.get("base64").and_then(Value::as_str).map(|text| STANDARD.decode(text).unwrap()),
        _ => None,
    };
    let expected = theirs.as_str().map(hex);
    if shown == expected { Ok(()) } else { Err(format!("{name}: {ours} instead of {theirs}")) }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
