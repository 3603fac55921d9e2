//! The golden file beside each capture: its records and its coverage, redaction off. `TAPWIRE_BLESS=1` writes them anew;
//! what changed is reviewed like code.

use tapwire_tests::{corpus, pipeline};

const FOLDERS: [&str; 4] = ["http", "http1", "made", "tcp"];

#[test]
fn records_are_those_of_the_golden_files() {
    let bless = std::env::var_os("TAPWIRE_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut captures = 0;
    for path in FOLDERS.iter().flat_map(|folder| corpus::captures(folder)) {
        let packets = corpus::packets(&path).unwrap_or_else(|error| panic!("{} {error}", corpus::name(&path)));
        let outcome = pipeline::real(&packets);
        let mut text: String = outcome.records.iter().map(|record| String::from_utf8_lossy(record) + "\n").collect();
        text += &format!("coverage {}\n", outcome.coverage());
        let golden = path.with_extension("jsonl");
        captures += 1;
        if bless {
            std::fs::write(&golden, &text).expect("the corpus is writable");
        }
        let there = std::fs::read_to_string(&golden).unwrap_or_default();
        if there != text {
            let at = there.lines().zip(text.lines()).take_while(|(there, here)| there == here).count();
            let (expected, found) = (there.lines().nth(at), text.lines().nth(at));
            wrong.push(format!(
                "{}, line {}:\n  expected {expected:?}\n  found    {found:?}",
                corpus::name(&path),
                at + 1
            ));
        }
    }
    println!("{captures} captures");
    assert!(captures > 60);
    assert!(wrong.is_empty(), "{} captures differ from their golden files:\n{}", wrong.len(), wrong.join("\n"));
}
