//! The endpoint of the benchmarks: a compiled server on loopback, so that the server is not what is measured.
//!
//! `loopback_endpoint --tokens 100 --pace-ms 2 --tools 2` prints its port and serves `/chat/completions` until its
//! standard input ends. Each answer is a stream of so many tokens, an HTTP chunk each; at a pace each chunk is a write of
//! its own, at full speed the kernel gets them together. With tools, a request without a tool's result is answered with
//! calls besides. `--stamped` makes the nanoseconds since the epoch, at its write, the text of each token. A GET is told
//! how many answers are being given.

use std::error::Error;
use std::io::Read as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Answers that are being given.
static ANSWERING: AtomicUsize = AtomicUsize::new(0);

/// What only a message with a tool's result holds.
const RESULT: &[u8] = b"\"tool_call_id\"";

/// What is asked of the endpoint.
#[derive(Clone, Copy)]
struct Load {
    tokens: usize,
    pace: Duration,
    tools: usize,
    stamped: bool,
}

/// Counts an answer while it is being given.
struct Answering;

impl Answering {
    fn begin() -> Self {
        ANSWERING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn main() -> Fallible<()> {
    let load = Load {
        tokens: argument("--tokens")?.unwrap_or(100),
        pace: Duration::from_secs_f64(argument("--pace-ms")?.unwrap_or(0.0) / 1000.0),
        tools: argument("--tools")?.unwrap_or(0),
        stamped: std::env::args().any(|word| word == "--stamped"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        tokio::spawn(serve(listener, load));
        let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        waiting.await??;
        Ok(())
    })
}

fn argument<T: FromStr<Err: Error + Send + Sync + 'static>>(name: &str) -> Fallible<Option<T>> {
    let mut words = std::env::args().skip_while(|word| word != name);
    Ok(words.nth(1).map(|word| word.parse()).transpose()?)
}

async fn serve(listener: TcpListener, load: Load) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that leaves in the middle is no error of the endpoint.
        tokio::spawn(async move { answer_all(stream, load).await.ok() });
    }
}

async fn answer_all(mut stream: TcpStream, load: Load) -> Fallible<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    while let Some(body) = next_request(&mut stream, &mut received).await? {
        if body.is_empty() {
            let count = ANSWERING.load(Ordering::Relaxed).to_string();
            let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{count}", count.len());
            stream.write_all(told.as_bytes()).await?;
            continue;
        }
        let _answering = Answering::begin();
        let has_result = body.windows(RESULT.len()).any(|words| words == RESULT);
        let calls = if has_result { 0 } else { load.tools };
        answer(&mut stream, load, calls).await?;
    }
    Ok(())
}

/// Give the body of the next request; none if the client has left.
async fn next_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Fallible<Option<Vec<u8>>> {
    loop {
        if let Some((begin, end)) = request_bounds(received) {
            let body = received[begin..end].to_vec();
            received.drain(..end);
            return Ok(Some(body));
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

/// Where the body of a request that has come whole begins and ends.
fn request_bounds(received: &[u8]) -> Option<(usize, usize)> {
    let begin = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&received[..begin]).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.or_else(|| head.starts_with("get ").then_some("0"))?;
    let end = begin + length.trim().parse::<usize>().ok()?;
    (received.len() >= end).then_some((begin, end))
}

async fn answer(stream: &mut TcpStream, load: Load, calls: usize) -> Fallible<()> {
    let text = |number| {
        if load.stamped {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{} ", now.as_nanos())
        } else {
            format!("word{} ", number % 1000)
        }
    };
    let events = (0..load.tokens).map(|number| delta(&format!(r#"{{"content":"{}"}}"#, text(number)), "null"));
    if load.pace.is_zero() {
        let mut whole = HEAD.to_vec();
        events.for_each(|event| chunk(&event, &mut whole));
        end(calls, &mut whole);
        stream.write_all(&whole).await?;
        return Ok(());
    }
    stream.write_all(HEAD).await?;
    let mut ticks = interval_at(Instant::now() + load.pace, load.pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut piece = Vec::new();
    let (mut events, mut byte) = (events, [0]);
    loop {
        // A client that leaves is seen at once, not at the next write.
        tokio::select! {
            _ = ticks.tick() => {}
            read = stream.read(&mut byte) => return if read? == 0 { Ok(()) } else { Err("a second request".into()) },
        }
        let Some(event) = events.next() else { break };
        piece.clear();
        chunk(&event, &mut piece);
        stream.write_all(&piece).await?;
    }
    piece.clear();
    end(calls, &mut piece);
    stream.write_all(&piece).await?;
    Ok(())
}

/// The calls, the finish reason, the usage and the end marker.
fn end(calls: usize, out: &mut Vec<u8>) {
    const NAMES: [&str; 2] = ["count_words", "count_letters"];
    for call in 0..calls {
        let name = NAMES[call % NAMES.len()];
        let head = format!(
            r#"{{"index":{call},"id":"call_{call}","type":"function","function":{{"name":"{name}","arguments":""}}}}"#
        );
        chunk(&delta(&format!(r#"{{"tool_calls":[{head}]}}"#), "null"), out);
        for piece in [r#"{\"text\":"#, r#"\"to be or not\"}"#] {
            let body = format!(r#"{{"index":{call},"function":{{"arguments":"{piece}"}}}}"#);
            chunk(&delta(&format!(r#"{{"tool_calls":[{body}]}}"#), "null"), out);
        }
    }
    let reason = if calls > 0 { "\"tool_calls\"" } else { "\"stop\"" };
    chunk(&delta("{}", reason), out);
    let usage = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":100,"total_tokens":120}}"#;
    chunk(&format!("data: {usage}\n\n"), out);
    chunk("data: [DONE]\n\n", out);
    out.extend_from_slice(b"0\r\n\r\n");
}

fn delta(delta: &str, reason: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
    )
}

fn chunk(event: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
}
