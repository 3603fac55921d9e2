//! The common harness over the whole corpus, and the proof that it finds mistakes.

use tapwire::dissect::PROTOCOLS;
use tapwire_tests::{
    harness::{Connection, Report, connections_of, cuts, late, loss, plants, probes},
    pipeline::{Pipeline, real},
};

/// Folders whose captures are dissected by now.
const DISSECTED: [&str; 6] = ["http", "http1", "kafka", "made", "tcp", "websocket"];
const OTHERS: [&str; 10] = ["amqp", "dns", "ldap", "mongodb", "mqtt", "mysql", "nats", "postgres", "redis", "tls"];

/// Folders whose captures are of this protocol.
fn own(protocol: &str) -> &'static [&'static str] {
    match protocol {
        "kafka" => &["kafka"],
        _ => &["http", "http1", "made", "tcp", "websocket"],
    }
}

/// Captures in folders of other protocols whose connections begin with this one's bytes.
const REALLY: [(&str, &str); 3] = [
    ("http", "postgres/zeek-http-on-port-5432.pcap"),
    // OCSP is asked over plain HTTP, and a web server answers a ClientHello that it does not understand.
    ("http", "tls/zeek-ocsp-"),
    ("http", "tls/zeek-ssl-to-http-server.pcap"),
];

/// Where who joins late can't know better.
const UNTELLABLE: [(&str, u64); 6] = [
    // Inside of a tunnel, which was made to look like HTTP.
    ("made/upgrade.pcap from packet 1", 9),
    ("made/upgrade.pcap from packet 1", 10),
    ("made/upgrade.pcap from packet 1", 11),
    ("made/upgrade.pcap from packet 1", 12),
    // The capture lacks a call between this packet and the next request. Who doesn't know that pairs the request with
    // its answer, and is right (by the numbers of their bytes); who knows it leaves them apart.
    ("http1/zeek-zero-length-bodies-with-drops.pcap from packet 1", 16),
    ("http1/zeek-zero-length-bodies-with-drops.pcap from packet 1", 17),
];

#[test]
fn cut_anywhere_the_records_are_the_same() {
    cuts::check(&connections_of(&DISSECTED), &real).settle("cuts");
}

#[test]
fn a_lost_segment_makes_no_value_wrong_and_is_told() {
    loss::check(&connections_of(&DISSECTED), &real).settle("losses");
}

#[test]
fn a_late_join_makes_no_value_wrong() {
    late::check(&connections_of(&DISSECTED), &UNTELLABLE, &real).settle("joins");
}

#[test]
fn no_probe_takes_another_protocol_for_its_own() {
    let mut report = Report::default();
    for protocol in PROTOCOLS {
        let folders: Vec<&str> =
            DISSECTED.iter().chain(&OTHERS).filter(|folder| !own(protocol.name).contains(folder)).copied().collect();
        let others: Vec<Connection> = connections_of(&folders)
            .into_iter()
            .filter(|other| {
                !REALLY.iter().any(|(name, capture)| *name == protocol.name && other.name.starts_with(capture))
            })
            .collect();
        report.add(probes::check(protocol, &others));
    }
    report.settle("probes");
}

type Check = fn(&[Connection], &Pipeline<'_>) -> Report;

fn late_anywhere(connections: &[Connection], pipeline: &Pipeline<'_>) -> Report {
    late::check(connections, &[], pipeline)
}

#[test]
fn planted_mistakes_are_found() {
    let some = connections_of(&["made"]);
    let plants: [(&str, Check, &Pipeline<'_>); 7] = [
        ("drops a header when split", cuts::check, &plants::drops_a_header_when_split),
        ("loses a byte when split", cuts::check, &plants::loses_a_byte_when_split),
        ("shifts pairs after a gap", loss::check, &plants::shifts_pairs_after_a_gap),
        ("fills gaps with zeros", loss::check, &plants::fills_gaps_with_zeros),
        ("hides loss", loss::check, &plants::hides_loss),
        ("takes a front for the body", loss::check, &plants::takes_a_front_for_the_body),
        ("trusts a late join", late_anywhere, &plants::trusts_a_late_join),
    ];
    for (name, check, plant) in plants {
        // Large bodies make cuts slow and no mistake plainer.
        let small: Vec<Connection> =
            some.iter().filter(|connection| !connection.name.contains("large")).cloned().collect();
        let found = check(&small, plant).wrong;
        println!("{name}: {} found", found.len());
        assert!(!found.is_empty(), "the harness does not find a decoder that {name}");
    }
}
