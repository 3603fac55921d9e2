//! Every capture of the corpus is read to its end, and our own are what their scripts write.

use tapwire_tests::{corpus, made};

/// All folders but the one for what we made.
const FOLDERS: [&str; 16] = [
    "amqp",
    "dns",
    "http",
    "http1",
    "kafka",
    "ldap",
    "made",
    "mongodb",
    "mqtt",
    "mysql",
    "nats",
    "postgres",
    "redis",
    "tcp",
    "tls",
    "websocket",
];

#[test]
fn every_capture_is_read_to_its_end() {
    let mut captures = 0;
    for folder in FOLDERS {
        for path in corpus::captures(folder) {
            let packets = corpus::packets(&path).unwrap_or_else(|error| panic!("{} {error}", corpus::name(&path)));
            assert!(!packets.is_empty(), "{} has no packets", corpus::name(&path));
            captures += 1;
        }
    }
    println!("{captures} captures read");
    assert!(captures > 190, "{captures}");
}

#[test]
fn our_own_captures_are_what_their_scripts_write() {
    let folder = corpus::root().join("made");
    let bless = std::env::var_os("TAPWIRE_BLESS").is_some();
    for (name, bytes) in made::all() {
        let path = folder.join(name);
        if bless {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&path, &bytes))
                .expect("the corpus is writable");
        }
        let there = std::fs::read(&path).unwrap_or_else(|error| panic!("made/{name}: {error}"));
        assert!(there == bytes, "made/{name} is not what its script writes: TAPWIRE_BLESS=1 writes it anew");
    }
    assert_eq!(corpus::captures("made").len(), made::all().len(), "a capture without a script");
}
