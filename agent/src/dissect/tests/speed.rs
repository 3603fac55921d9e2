//! How long one exchange takes in this stage: `cargo test --release -p tapwire --lib dissect::tests::speed -- --ignored --nocapture`.

use super::*;

/// Nanoseconds that this thread was running: other load on the machine must not count.
fn on_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement, to be run by hand in the release profile"]
fn small_exchanges() {
    let request = b"GET /api/v1/items/1234?full=1 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8.5.0\r\n\
        Accept: application/json\r\nAccept-Encoding: identity\r\nX-Request-Id: 3f1c9a72d4e80b56\r\nConnection: keep-alive\r\n\r\n";
    let text = "{\"id\":1234,\"name\":\"something\",\"tags\":[\"a\",\"b\"]}".repeat(5);
    let response = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Type: application/json\r\n\
        Content-Length: {}\r\nConnection: keep-alive\r\nETag: \"5f3e\"\r\n\r\n{text}",
        text.len()
    );
    const ROUNDS: u64 = 500_000;
    for _ in 0..3 {
        let mut conversation =
            Conversation::new(&Settings { max_body: MAX_BODY, ..Settings::default() }, Protocol4::Tcp, false);
        let (mut counters, mut done, mut count) = (Counters::default(), Vec::new(), 0);
        let start = on_cpu();
        for n in 0..ROUNDS {
            let time = Time(n * 1000);
            conversation.feed(ToServer, Piece::Chunk { bytes: request, time }, &mut counters, &mut done);
            conversation.feed(ToClient, Piece::Chunk { bytes: response.as_bytes(), time }, &mut counters, &mut done);
            count += done.len() as u64;
            done.clear();
        }
        let nanos = (on_cpu() - start) / ROUNDS;
        assert_eq!(count, ROUNDS);
        println!("{nanos} ns an exchange of {} + {} bytes", request.len(), response.len());
    }
}
