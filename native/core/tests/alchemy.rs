//! The engine `alchemy` over real sockets on loopback: requests, credit, ends. What it loses is tested in Python.

#![cfg(feature = "alchemy")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tinyagent_core::Item;
use tinyagent_core::alchemy::hub::Hub;
use tinyagent_core::alchemy::{Ask, RequestError};

/// Far above what anything here takes; turns a hang into a failure.
const LATE: Duration = Duration::from_secs(30);
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]); // the request, or enough of it
                answer(stream);
            });
        }
    });
    url
}

fn ask(url: &str) -> Ask {
    let request = format!(
        r#"{{"model": {{"id": "m", "base_url": "{url}"}}, "context": {{"messages": [{{"role": "user", "content": "hi"}}]}}}}"#
    );
    Ask::from_json(request.as_bytes()).unwrap()
}

fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

/// Read until the peer leaves; then say so.
fn wait_for_leave(mut stream: TcpStream, left: &mpsc::Sender<Instant>) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
    left.send(Instant::now()).unwrap();
}

#[test]
fn a_request_that_is_wrong_is_refused_by_its_path() {
    let wrong = [
        ("[]", "model.id: is missing"),
        (r#"{"model": {"id": "m"}}"#, "model.base_url: is missing"),
        (
            r#"{"model": {"id": "m", "api": "smoke", "base_url": "x"}}"#,
            "model.api: the alchemy engine does not speak it",
        ),
        (
            r#"{"model": {"id": "m", "base_url": "http://localhost"}, "context": {"messages": [null, {"role": "user", "content": [{"type": "image", "url": "http://s3cret"}]}]}}"#,
            "context.messages[1].content[0]: the alchemy engine sends images by their data, not by a URL",
        ),
        (
            r#"{"model": {"id": "m", "base_url": "http://localhost"}, "options": {"max_tokens": -1}}"#,
            "options.max_tokens: must be a whole number above 0",
        ),
    ];
    for (request, words) in wrong {
        let error = Ask::from_json(request.as_bytes()).err().expect("it is refused");
        assert_eq!(error.to_string(), words);
    }
    assert!(matches!(Ask::from_json(b"{"), Err(RequestError::NotJson)));
}

#[test]
fn a_stream_that_is_dropped_closes_its_socket() {
    let (left, leaves) = mpsc::channel();
    let url = serve(move |mut stream| {
        stream.write_all((HEAD.to_owned() + &delta("a")).as_bytes()).unwrap();
        wait_for_leave(stream, &left);
    });
    let hub = Hub::default();
    let stream = hub.open(ask(&url)).unwrap();
    let mut items = Vec::new();
    while !items.contains(&Item::Text("a".to_owned())) {
        items.extend(
            hub.next_batch(LATE)
                .unwrap()
                .unwrap()
                .into_iter()
                .flat_map(|batch| batch.items),
        );
    }
    hub.abort(stream).unwrap();

    leaves.recv_timeout(LATE).unwrap();
    assert_eq!(hub.statistics().unwrap().streams, 0);
}

#[test]
fn without_credit_nothing_is_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let url = serve(move |mut stream| {
        let piece = delta(&"x".repeat(8000));
        let mut sent = stream.write_all(HEAD.as_bytes());
        for _ in 0..20_000 {
            if sent.is_err() {
                return;
            }
            sent = stream.write_all(piece.as_bytes());
            counted.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    let hub = Hub::default();
    let stream = hub.open(ask(&url)).unwrap();
    // The server is held once what it wrote stands still.
    let late = Instant::now() + LATE;
    let mut before = usize::MAX;
    while before != written.load(Ordering::Relaxed) || before == 0 {
        assert!(Instant::now() < late, "the server is never held");
        before = written.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(500));
    }
    assert!(before < 32 << 20, "{before} bytes were taken");
    assert!(hub.statistics().unwrap().queued < 200);
    hub.abort(stream).unwrap();
}

#[test]
fn a_stream_that_is_ended_says_its_last_item() {
    let url = serve(move |mut stream| {
        stream.write_all(HEAD.as_bytes()).unwrap();
        thread::sleep(LATE);
    });
    let hub = Hub::default();
    let stream = hub.open(ask(&url)).unwrap();
    hub.end(stream).unwrap();
    let mut items: Vec<Item> = Vec::new();
    while !items.last().is_some_and(Item::is_last) {
        items.extend(
            hub.next_batch(LATE)
                .unwrap()
                .unwrap()
                .into_iter()
                .flat_map(|batch| batch.items),
        );
    }

    let last = Item::Error("truncated", "the stream was ended".to_owned());
    assert_eq!(items.last(), Some(&last));
}
