//! An HTTP server on the loopback interface for tests. A test passes a handler that makes the replies, including faulty
//! ones.
//!
//! Limits: one request per connection; bodies are held in memory; invalid use panics.
#![expect(clippy::unwrap_used, reason = "only tests use it, and a panic fails them")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method: `GET`, `HEAD` …
    pub method: String,
    /// The path, percent-encoded.
    pub path: String,
    /// The text after the question mark.
    pub query: String,
    /// The headers, by lower-case names.
    pub headers: BTreeMap<String, String>,
}

impl Received {
    /// The value of the header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The start of the requested range, `bytes=START-…`.
    pub fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
    }
}

/// A reply to a request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut_after: Option<usize>,
    without_length: bool,
}

impl Reply {
    /// An empty reply with this status.
    pub fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// A reply with the JSON text `body`.
    pub fn json(body: &str) -> Reply {
        Reply::status(200).header("content-type", "application/json").body(body)
    }

    /// A redirect to `location`.
    pub fn redirect(location: &str) -> Reply {
        Reply::status(302).header("location", location)
    }

    /// The reply of a correct file server to a request for a file with this entity tag. It holds the requested part if
    /// `Range` and `If-Range` allow it, and the whole file otherwise.
    pub fn file(request: &Received, content: &[u8], etag: &str) -> Reply {
        let same = request.header("if-range").is_none_or(|tag| tag == etag);
        let reply = match request.range_start().filter(|_| same) {
            Some(start) if start >= content.len() => {
                Reply::status(416).header("content-range", &format!("bytes */{}", content.len()))
            }
            Some(start) => {
                let one_byte = request.header("range").is_some_and(|range| range.ends_with("=0-0"));
                let end = if one_byte { 1 } else { content.len() };
                let range = format!("bytes {start}-{}/{}", end - 1, content.len());
                Reply::status(206).header("content-range", &range).body(&content[start..end])
            }
            None => Reply::status(200).body(content),
        };
        reply.header("etag", etag).header("accept-ranges", "bytes")
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces all headers of this name.
    pub fn replace_header(mut self, name: &str, value: &str) -> Reply {
        self.headers.retain(|(other, _)| other != name);
        self.header(name, value)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Reply {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Closes the connection after this many bytes of the body, although `content-length` announces more.
    pub fn cut_after(mut self, bytes: usize) -> Reply {
        self.cut_after = Some(bytes);
        self
    }

    /// Omits `content-length`: the body ends when the connection is closed.
    pub fn without_length(mut self) -> Reply {
        self.without_length = true;
        self
    }
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    log: Arc<Mutex<Vec<Received>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port. The handler receives each request and its number, from 0.
    pub fn start(handler: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = {
            let (log, stopping) = (log.clone(), stopping.clone());
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    // Some tests close the connection early.
                    let _ = serve(stream.unwrap(), &handler, &log);
                }
            })
        };
        Server { port, log, stopping, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `http://localhost:PORT`: the same server under another host name.
    pub fn url_by_name(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The requests received so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wake the thread, which waits in `accept`.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the server's handler panicked");
        }
    }
}

fn serve(
    stream: TcpStream,
    handler: &impl Fn(&Received, usize) -> Reply,
    log: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    let reply = handler(&request, number);
    let mut stream = reader.into_inner();
    let Reply { status, headers, body, cut_after, without_length } = &reply;
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let own_length = headers.iter().any(|(name, _)| name == "content-length");
    if !without_length && !own_length {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&body[..cut_after.unwrap_or(body.len()).min(body.len())])?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // Read the remaining input. Closing with unread input would reset the connection and lose the reply.
    std::io::copy(&mut stream.take(1 << 16), &mut std::io::sink()).map(|_| ())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Received>> {
    let mut lines = Vec::new();
    for line in reader.lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let Some(first) = lines.first() else { return Ok(None) };
    let mut words = first.split(' ');
    let method = words.next().unwrap().to_owned();
    let target = words.next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
    Ok(Some(Received {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
    }))
}
