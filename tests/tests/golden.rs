//! The golden file beside each capture: what `tapwire read` prints of it, redaction off, and the coverage as its last
//! line. `TAPWIRE_BLESS=1` writes them anew; what changed is reviewed like code.

use std::process::Command;

use tapwire_tests::{corpus, live::tapwire};

const FOLDERS: [&str; 5] = ["http", "http1", "kafka", "made", "tcp"];

#[test]
fn records_are_those_of_the_golden_files() {
    let bless = std::env::var_os("TAPWIRE_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut captures = 0;
    for path in FOLDERS.iter().flat_map(|folder| corpus::captures(folder)) {
        let output = Command::new(tapwire())
            .args(["read", "--no-redact", "-o", "jsonl"])
            .arg(&path)
            .output()
            .unwrap_or_else(|error| panic!("tapwire: {error}"));
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let golden = path.with_extension("jsonl");
        captures += 1;
        if bless {
            std::fs::write(&golden, &*text).expect("the corpus is writable");
        }
        let there = std::fs::read_to_string(&golden).unwrap_or_default();
        if !output.status.success() || there != text {
            let at = there.lines().zip(text.lines()).take_while(|(there, here)| there == here).count();
            let (expected, found) = (there.lines().nth(at), text.lines().nth(at));
            let name = corpus::name(&path);
            wrong.push(format!("{name}, line {}:\n  expected {expected:?}\n  found    {found:?}", at + 1));
        }
    }
    println!("{captures} captures");
    assert!(captures > 60);
    assert!(wrong.is_empty(), "{} captures differ from their golden files:\n{}", wrong.len(), wrong.join("\n"));
}
