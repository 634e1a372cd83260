//! The hub over real sockets on loopback: credit, ends, panics, connections. What a provider may do is tested in Python.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tinyagent_core::dialect::decoder_for;
use tinyagent_core::transport::Request;
use tinyagent_core::{Batch, Decode, DecoderOptions, Hub, HubError, Item, StreamRequest};

/// Far above what anything here takes; turns a hang into a failure.
const LATE: Duration = Duration::from_secs(20);
const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Serve each connection with `answer`; give the URL.
fn serve(answer: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || answer(stream));
        }
    });
    url
}

/// Read a request with an empty body; false if the client has left.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => received.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn delta(member: &str, text: &str) -> String {
    chunk(&format!(
        "data: {{\"choices\":[{{\"delta\":{{\"{member}\":\"{text}\"}}}}]}}\n\n"
    ))
}

fn done() -> String {
    chunk("data: [DONE]\n\n") + "0\r\n\r\n"
}

fn open_with(hub: &Hub, url: &str, decoder: Box<dyn Decode>) -> u64 {
    let request = Request::new(url, &[], Bytes::new(), Some(LATE)).unwrap();
    hub.open(StreamRequest {
        request,
        decoder,
        capture: false,
    })
    .unwrap()
}

fn open(hub: &Hub, url: &str) -> u64 {
    let decoder = decoder_for("openai-completions", DecoderOptions::default()).unwrap();
    open_with(hub, url, decoder)
}

fn next(hub: &Hub) -> Vec<Batch> {
    hub.next_batch(LATE).unwrap().expect("the hub is open")
}

/// Read a stream to its end, giving credit back at once.
fn read_all(hub: &Hub, stream: u64) -> Vec<Item> {
    let mut items = Vec::new();
    let late = Instant::now() + LATE;
    while !items.last().is_some_and(Item::is_last) {
        assert!(Instant::now() < late, "the stream does not end: {items:?}");
        for batch in next(hub).into_iter().filter(|batch| batch.stream == stream) {
            items.extend(batch.items);
            hub.release(stream, batch.cost).unwrap();
        }
    }
    items
}

fn text_of(items: &[Item]) -> String {
    let texts = items.iter().map(|item| match item {
        Item::Text(text) => text.as_str(),
        _ => "",
    });
    texts.collect()
}

#[test]
fn a_stream_comes_whole_and_its_connection_serves_again() {
    let url = serve(|mut stream| {
        while read_request(&mut stream) {
            let answer = HEAD.to_owned() + &delta("content", "hello") + &done();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let hub = Hub::new().unwrap();
    for _ in 0..3 {
        let stream = open(&hub, &url);
        let items = read_all(&hub, stream);

        assert!(matches!(items[0], Item::Head(200, _)));
        assert_eq!(text_of(&items), "hello");
        assert_eq!(items.last(), Some(&Item::End));
    }
    let counted = hub.statistics().unwrap();
    assert_eq!((counted.opened, counted.requests, counted.streams), (1, 3, 0));
}

#[test]
fn a_reader_that_stops_stops_the_socket_and_credit_lets_it_go_on() {
    let (told, written) = mpsc::channel();
    let pairs = 20_000;
    let url = serve(move |mut stream| {
        read_request(&mut stream);
        stream.write_all(HEAD.as_bytes()).unwrap();
        let pair = delta("content", &"t".repeat(500)) + &delta("reasoning", "u"); // which never merge
        for _ in 0..pairs {
            stream.write_all(pair.as_bytes()).unwrap();
        }
        told.send(()).unwrap();
        stream.write_all(done().as_bytes()).unwrap();
    });
    let hub = Hub::new().unwrap();
    let stream = open(&hub, &url);
    let mut taken = next(&hub);
    while hub
        .next_batch(Duration::from_millis(300))
        .unwrap()
        .is_some_and(|batch| {
            let has_more = !batch.is_empty();
            taken.extend(batch);
            has_more
        })
    {}

    // Nothing is given back, so it came to a stop; the server is held too.
    let events: usize = taken.iter().map(|batch| batch.cost.events).sum();
    assert!((64..2000).contains(&events), "{events}");
    assert!(written.try_recv().is_err());
    let mut items: Vec<Item> = Vec::new();
    for batch in taken {
        hub.release(stream, batch.cost).unwrap();
        items.extend(batch.items);
    }
    items.extend(read_all(&hub, stream));
    written.recv_timeout(LATE).unwrap();
    assert_eq!(text_of(&items).len(), 500 * pairs);
}

#[test]
fn an_idle_stream_is_not_starved_by_a_fast_one() {
    let url = serve(|mut stream| {
        read_request(&mut stream);
        stream.write_all(HEAD.as_bytes()).unwrap();
        let piece = delta("content", &"x".repeat(1000)).repeat(50);
        while stream.write_all(piece.as_bytes()).is_ok() {}
    });
    let slow_url = serve(|mut stream| {
        read_request(&mut stream);
        stream
            .write_all((HEAD.to_owned() + &delta("content", "slow") + &done()).as_bytes())
            .unwrap();
    });
    let hub = Hub::new().unwrap();
    let fast = open(&hub, &url);
    while text_of(&next(&hub).remove(0).items).is_empty() {}
    let slow = open(&hub, &slow_url);
    let mut items = Vec::new();
    let late = Instant::now() + LATE;
    while !items.last().is_some_and(Item::is_last) {
        assert!(Instant::now() < late);
        for batch in next(&hub) {
            if batch.stream == slow {
                items.extend(batch.items);
            }
            hub.release(batch.stream, batch.cost).unwrap();
        }
    }

    assert_eq!(text_of(&items), "slow");
    hub.abort(fast).unwrap();
}

#[test]
fn an_abort_closes_the_connection_and_says_nothing_more() {
    let (told, left) = mpsc::channel();
    let url = serve(move |mut stream| {
        read_request(&mut stream);
        stream
            .write_all((HEAD.to_owned() + &delta("content", "a")).as_bytes())
            .unwrap();
        told.send(stream.read(&mut [0])).unwrap();
    });
    let hub = Hub::new().unwrap();
    let stream = open(&hub, &url);
    next(&hub);
    hub.abort(stream).unwrap();
    hub.abort(stream).unwrap();

    let read = left.recv_timeout(LATE).unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    assert_eq!(
        hub.next_batch(Duration::from_millis(50))
            .unwrap()
            .map(|batch| batch.len()),
        Some(0)
    );
    assert_eq!(hub.statistics().unwrap().streams, 0);
}

#[test]
fn an_end_lets_go_what_is_held() {
    let url = serve(|mut stream| {
        read_request(&mut stream);
        let half = delta("content", "a\\ud83d");
        stream.write_all((HEAD.to_owned() + &half).as_bytes()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let hub = Hub::new().unwrap();
    let stream = open(&hub, &url);
    let mut items = Vec::new();
    while text_of(&items).is_empty() {
        items.extend(next(&hub).remove(0).items);
    }
    hub.end(stream).unwrap();
    items.extend(read_all(&hub, stream));

    assert_eq!(text_of(&items), "a\u{fffd}");
    assert!(matches!(items.last(), Some(Item::Error("truncated", _))));
}

#[test]
fn an_end_before_the_answer_is_one_too() {
    let url = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let hub = Hub::new().unwrap();
    let stream = open(&hub, &url);
    hub.end(stream).unwrap();

    assert!(matches!(read_all(&hub, stream)[..], [Item::Error("truncated", _)]));
}

/// A decoder with a defect.
struct Panicking;

impl Decode for Panicking {
    fn feed(&mut self, _: &[u8]) -> Vec<Item> {
        panic!("a defect")
    }

    fn end(&mut self, _: Option<&str>) -> Vec<Item> {
        vec![Item::End]
    }

    fn is_done(&self) -> bool {
        false
    }
}

#[test]
fn a_panic_is_the_end_of_its_stream_alone() {
    let url = serve(|mut stream| {
        while read_request(&mut stream) {
            let answer = HEAD.to_owned() + &delta("content", "fine") + &done();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let hub = Hub::new().unwrap();
    let broken = open_with(&hub, &url, Box::new(Panicking));
    let items = read_all(&hub, broken);
    let well = open(&hub, &url);

    let expected = Item::Error("connection_error", "the engine panicked: a defect".to_owned());
    assert_eq!(items.last(), Some(&expected));
    assert_eq!(text_of(&read_all(&hub, well)), "fine");
}

#[test]
fn nobody_listens() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://user:secret@{}/v1", listener.local_addr().unwrap())
    };
    let hub = Hub::new().unwrap();
    let stream = open(&hub, &url);
    let items = read_all(&hub, stream);

    let [Item::Error("connection_error", words)] = &items[..] else {
        panic!("{items:?}");
    };
    assert!(words.starts_with("127.0.0.1: ") && words.contains("refused"), "{words}");
    assert!(!words.contains("secret"));
}

#[test]
fn what_cannot_be_sent_is_refused_without_its_values() {
    let bad = |url, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Request::new(url, &headers, Bytes::new(), None).unwrap_err().to_string()
    };

    for url in ["ftp://x/", "no url", "http://", "unix:/x"] {
        assert_eq!(bad(url, &[]), "the URL is not one that can be asked");
    }
    assert_eq!(bad("http://x/", &[("a b", "v")]), "the header \"a b\" cannot be sent");
    assert_eq!(
        bad("http://x/", &[("key", "sec\nret")]),
        "the header \"key\" cannot be sent"
    );
}

#[test]
fn closing_wakes_the_reader_and_ends_all() {
    let url = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let hub = Hub::new().unwrap();
    open(&hub, &url);
    thread::scope(|scope| {
        let reader = scope.spawn(|| hub.next_batch(LATE).unwrap().is_none());
        hub.close().unwrap();
        assert!(reader.join().unwrap());
    });

    let request = Request::new(&url, &[], Bytes::new(), None).unwrap();
    let decoder = decoder_for("openai-completions", DecoderOptions::default()).unwrap();
    assert!(matches!(
        hub.open(StreamRequest {
            request,
            decoder,
            capture: false
        }),
        Err(HubError::Closed)
    ));
    assert_eq!(hub.statistics().unwrap().streams, 0);
}

#[test]
fn a_batch_that_nothing_comes_for_is_empty() {
    let hub = Hub::new().unwrap();

    assert!(
        hub.next_batch(Duration::ZERO)
            .unwrap()
            .is_some_and(|batch| batch.is_empty())
    );
}

#[cfg(target_os = "linux")]
mod polled {
    use std::os::fd::BorrowedFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Wait until the descriptor of a hub is readable; false if it is not after so long.
    #[allow(unsafe_code, reason = "the hub owns the descriptor, and lives")]
    fn is_rung(hub: &Hub, within: Duration) -> bool {
        // SAFETY: `hub` is borrowed for the whole call.
        let bell = unsafe { BorrowedFd::borrow_raw(hub.descriptor().unwrap()) };
        let limit = Timespec {
            tv_sec: within.as_secs().try_into().unwrap(),
            tv_nsec: within.subsec_nanos().into(),
        };
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&limit)).unwrap() > 0
    }

    #[test]
    fn an_event_loop_reads_a_stream_without_waiting_in_the_hub() {
        let url = serve(|mut stream| {
            while read_request(&mut stream) {
                let words: String = (0..500).map(|_| delta("content", "word ")).collect();
                stream
                    .write_all((HEAD.to_owned() + &words + &done()).as_bytes())
                    .unwrap();
            }
        });
        let hub = Hub::new().unwrap();
        let stream = open(&hub, &url);
        let mut items = Vec::new();
        while !matches!(items.last(), Some(Item::End)) {
            assert!(is_rung(&hub, LATE), "{items:?}");
            for batch in hub.poll_batch().unwrap().unwrap() {
                hub.release(stream, batch.cost).unwrap();
                items.extend(batch.items);
            }
        }

        let text: String = items
            .iter()
            .filter_map(|item| match item {
                Item::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "word ".repeat(500));
        assert!(!is_rung(&hub, Duration::ZERO));
    }

    #[test]
    fn a_batch_rings_once_and_is_silent_when_it_was_taken() {
        let url = serve(|mut stream| {
            read_request(&mut stream);
            stream
                .write_all((HEAD.to_owned() + &delta("content", "a")).as_bytes())
                .unwrap();
            let _ = stream.read(&mut [0]);
        });
        let hub = Hub::new().unwrap();
        open(&hub, &url);
        let mut taken = 0;
        while taken < 2 {
            assert!(is_rung(&hub, LATE));
            taken += hub
                .poll_batch()
                .unwrap()
                .unwrap()
                .iter()
                .map(|batch| batch.items.len())
                .sum::<usize>();
        }

        assert!(hub.poll_batch().unwrap().is_some_and(|batch| batch.is_empty()));
        assert!(!is_rung(&hub, Duration::ZERO));
    }

    #[test]
    fn closing_rings() {
        let hub = Hub::new().unwrap();
        assert!(!is_rung(&hub, Duration::ZERO));
        hub.close().unwrap();

        assert!(is_rung(&hub, LATE));
        assert!(hub.poll_batch().unwrap().is_none());
    }
}
