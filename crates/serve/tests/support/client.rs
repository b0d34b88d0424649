//! An HTTP client that sends exactly the bytes of a test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The boundary of the parts of a form.
const BOUNDARY: &str = "----candling-test";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer to the end of the connection. Returns `None` if there is none.
    pub(crate) fn read(stream: &mut TcpStream) -> Option<Answer> {
        let mut bytes = Vec::new();
        // The connection may be reset after the answer.
        let _ = stream.read_to_end(&mut bytes);
        Answer::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        // `100 Continue` precedes the answer.
        if status == 100 {
            return Answer::parse(&bytes[end + 4..]);
        }
        Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends bytes and reads the answer. The server may close the connection before it has read everything.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    Answer::read(&mut stream)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"")
}

/// Sends a request with the right host unless the headers have another one.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(address, &request_bytes(address, method, path, headers, body)).unwrap_or_else(|| panic!("no answer to {path}"))
}

pub(crate) fn request_bytes(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if headers.iter().all(|(name, _)| *name != "host") {
        head += &format!("host: {address}\r\n");
    }
    if !body.is_empty() && headers.iter().all(|(name, _)| *name != "content-length") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A form with one file.
pub(crate) fn form(name: &str, content: &[u8]) -> Vec<u8> {
    form_of(&[("file", name, content)])
}

/// A form with these fields: name, name of the file, content.
pub(crate) fn form_of(fields: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, name, content) in fields {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub(crate) fn form_type() -> (&'static str, &'static str) {
    ("content-type", "multipart/form-data; boundary=----candling-test")
}

/// Checks a file.
pub(crate) fn check(address: SocketAddr, name: &str, content: &[u8]) -> Answer {
    check_as(address, "", name, content)
}

/// Checks a file as a client with a name.
pub(crate) fn check_as(address: SocketAddr, client: &str, name: &str, content: &[u8]) -> Answer {
    let client: &[_] = if client.is_empty() { &[] } else { &[("candling-client", client)] };
    request(address, "POST", "/api/check", &[client, &[form_type()]].concat(), &form(name, content))
}
