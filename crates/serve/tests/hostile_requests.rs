//! Requests that are too large, too slow, cut short or malformed, and too many requests.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use serve::Limits;

use crate::support::client::{Answer, check, check_as, connect, form, form_type, get, request, request_bytes, send};
use crate::support::{Running, jpeg, wait_until};

/// A server whose limits are as small as they can be.
fn small() -> Running {
    Running::start(Limits {
        max_file_mb: 1,
        max_waiting: 4,
        max_memory_mb: 3,
        max_connections: 16,
        header_seconds: 1,
        upload_seconds: 1,
        ..Limits::default()
    })
}

/// The size of all files that the server holds.
fn bytes_in_memory(server: &Running) -> u64 {
    // While connections of other requests are still being closed, the server may refuse one more.
    let answers = (0..100).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        get(server.address, "/api/health").json()["bytes_in_memory"].as_u64()
    });
    answers.flatten().next().unwrap()
}

#[test]
fn file_that_is_too_large_is_cut_while_it_arrives() {
    let server = small();
    let large = vec![7; 2_000_000];
    let answer = check(server.address, "large.jpg", &large);
    assert_eq!((answer.status, answer.error().contains("larger than 1 MB")), (413, true));
    // A client that waits for permission does not send the body.
    let headers = [form_type(), ("expect", "100-continue"), ("content-length", "2000000")];
    let mut stream = connect(server.address);
    stream.write_all(&request_bytes(server.address, "POST", "/api/check", &headers, b"")).unwrap();
    assert_eq!(Answer::read(&mut stream).unwrap().status, 413);
    // Without a length.
    let mut stream = connect(server.address);
    let headers = [form_type(), ("transfer-encoding", "chunked")];
    stream.write_all(&request_bytes(server.address, "POST", "/api/check", &headers, b"")).unwrap();
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let _ = stream.write_all(&chunk);
    assert_eq!(Answer::read(&mut stream).unwrap().status, 413);
    // A length that is far too large is no reason to allocate it.
    let headers = [form_type(), ("content-length", "9000000000000000")];
    let status = send(server.address, &request_bytes(server.address, "POST", "/api/check", &headers, b"x"));
    assert!(status.is_none_or(|answer| answer.status == 408 || answer.status == 413));
    assert!(server.seen().is_empty());
    assert_eq!(check(server.address, "a.jpg", &jpeg(16, 16)).status, 200);
}

#[test]
fn slow_clients_are_cut_off_and_others_are_served_meanwhile() {
    let server = small();
    // These clients send nothing, half a header, or half a body.
    let half_header = format!("GET / HTTP/1.1\r\nhost: {}\r\n", server.address);
    let body = form("a.jpg", &jpeg(64, 64));
    let whole = request_bytes(server.address, "POST", "/api/check", &[form_type()], &body);
    let half_body = &whole[..whole.len() - 50];
    let start = Instant::now();
    let mut streams: Vec<_> = [b"".as_slice(), half_header.as_bytes(), half_body]
        .map(|start| {
            let mut stream = connect(server.address);
            stream.write_all(start).unwrap();
            stream
        })
        .into();
    assert_eq!(get(server.address, "/api/health").status, 200);
    let answers: Vec<Option<Answer>> = streams.iter_mut().map(Answer::read).collect();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(answers[2].as_ref().unwrap().status, 408);
    assert_eq!(check(server.address, "a.jpg", &jpeg(16, 16)).status, 200);
}

#[test]
fn trickling_client_is_cut_off() {
    let server = small();
    let mut stream = connect(server.address);
    let start = Instant::now();
    // A header that arrives byte by byte never ends.
    let mut bytes = format!("GET / HTTP/1.1\r\nhost: {}\r\nx: ", server.address).into_bytes();
    bytes.extend(vec![b'a'; 1000]);
    let sent = bytes.iter().take_while(|byte| {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(&[**byte]).is_ok()
    });
    let sent = sent.count();
    assert!(sent < bytes.len() && start.elapsed() < Duration::from_secs(10), "{sent} bytes in {:?}", start.elapsed());
}

#[test]
fn cut_uploads_leave_nothing_behind() {
    let server = small();
    let whole = request_bytes(server.address, "POST", "/api/check", &[form_type()], &form("a.jpg", &vec![1; 900_000]));
    for part in 1..20 {
        let mut stream = connect(server.address);
        // On a busy machine, the server may close a connection before it has read everything.
        let _ = stream.write_all(&whole[..whole.len() * part / 20]);
        let _ = stream.shutdown(Shutdown::Both);
    }
    wait_until("memory is free", || bytes_in_memory(&server) == 0);
    assert!(server.seen().is_empty(), "{:?}", server.seen());
}

#[test]
fn refuses_files_when_memory_is_full() {
    let server = Running::start(Limits { max_file_mb: 1, max_memory_mb: 3, ..Limits::default() });
    let large = vec![1; 900_000];
    let whole = request_bytes(server.address, "POST", "/api/check", &[form_type()], &form("a.jpg", &large));
    // Three files that do not end take 2.7 of 3 MB.
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = connect(server.address);
            stream.write_all(&whole[..whole.len() - 10]).unwrap();
            stream
        })
        .collect();
    wait_until("three files are received", || bytes_in_memory(&server) > 2_700_000);
    let refused = check(server.address, "b.jpg", &large);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    drop(held);
    wait_until("memory is free", || bytes_in_memory(&server) == 0);
    assert_eq!(check(server.address, "b.jpg", &large).status, 422);
}

#[test]
fn full_queue_is_an_answer_and_clients_are_served_in_turn() {
    let server = small();
    let address = server.address;
    let hold = thread::spawn(move || check_as(address, "hold", "hold", b"slow").status);
    wait_until("the first check runs", || server.seen().len() == 1);
    // One client may have two of four places.
    let greedy: Vec<_> = (0..4)
        .map(|number| {
            let sent = thread::spawn(move || check_as(address, "greedy", &format!("greedy-{number}"), b"slow"));
            thread::sleep(Duration::from_millis(10));
            sent
        })
        .collect();
    wait_until("two wait", || get(address, "/api/health").json()["waiting"] == 2);
    let modest = thread::spawn(move || check_as(address, "modest", "modest", b"slow"));
    let greedy: Vec<Answer> = greedy.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(modest.join().unwrap().status, 200);
    assert_eq!(hold.join().unwrap(), 200);
    let refused: Vec<&Answer> = greedy.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(refused.len(), 2);
    let seconds: u64 = refused[0].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let seen = server.seen();
    let modest = seen.iter().position(|name| name == "modest").unwrap();
    assert_eq!(modest, 2, "after one picture of the greedy client: {seen:?}");
}

#[test]
fn client_that_goes_away_cancels_its_check() {
    let server = small();
    let address = server.address;
    let hold = thread::spawn(move || check(address, "hold", b"slow").status);
    wait_until("the first check runs", || server.seen().len() == 1);
    let mut leaving = connect(address);
    let request = request_bytes(address, "POST", "/api/check", &[form_type()], &form("left", b"slow"));
    leaving.write_all(&request).unwrap();
    wait_until("it waits", || get(address, "/api/health").json()["waiting"] == 1);
    leaving.shutdown(Shutdown::Both).unwrap();
    wait_until("it is removed", || get(address, "/api/health").json()["waiting"] == 0);
    assert_eq!(hold.join().unwrap(), 200);
    assert_eq!(check(address, "next", b"slow").status, 200);
    assert_eq!(server.seen(), ["hold", "next"]);
}

#[test]
fn check_that_takes_too_long_is_given_up() {
    let server = Running::start(Limits { check_seconds: 1, ..Limits::default() });
    let address = server.address;
    let others: Vec<_> =
        (0..12).map(|number| thread::spawn(move || check(address, &format!("{number}"), b"slow").status)).collect();
    let statuses: Vec<u16> = others.into_iter().map(|other| other.join().unwrap()).collect();
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503, 504].contains(status)), "{statuses:?}");
}

#[test]
fn panic_and_failure_of_the_model_are_answers() {
    let server = small();
    let panicked = check(server.address, "a.jpg", b"panic");
    assert_eq!((panicked.status, panicked.error().contains("please report")), (500, true));
    let failed = check(server.address, "a.jpg", b"fail");
    assert_eq!((failed.status, failed.error().contains("the model failed")), (500, true));
    assert!(!failed.error().contains("asks for"), "internal messages stay in the terminal");
    assert_eq!(check(server.address, "a.jpg", &jpeg(16, 16)).status, 200);
}

#[test]
fn malformed_requests_are_refused() {
    let server = small();
    let host = format!("host: {}\r\n", server.address);
    let status = |bytes: &[u8]| send(server.address, bytes).map(|answer| answer.status);
    let many_headers = (0..200).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let huge_header = format!("x: {}\r\n", "a".repeat(200_000));
    let long_path = "a".repeat(100_000);
    for (request, expected) in [
        (format!("GET / HTTP/1.1\r\n{host}{many_headers}connection: close\r\n\r\n"), vec![431]),
        (format!("GET / HTTP/1.1\r\n{host}{huge_header}connection: close\r\n\r\n"), vec![431]),
        (format!("GET /{long_path} HTTP/1.1\r\n{host}connection: close\r\n\r\n"), vec![414, 431]),
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), vec![403]),
        (format!("GET / HTTP/9.9\r\n{host}\r\n"), vec![400]),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned() + "\0TLS hello\r\n\r\n", vec![400]),
        (format!("GET /a b c HTTP/1.1\r\n{host}\r\n"), vec![400]),
        (format!("POST /api/check HTTP/1.1\r\n{host}content-length: -5\r\n\r\n"), vec![400]),
        (format!("POST /api/check HTTP/1.1\r\n{host}content-length: 1\r\ncontent-length: 2\r\n\r\nab"), vec![400]),
        (format!("GET /../../../etc/passwd HTTP/1.1\r\n{host}connection: close\r\n\r\n"), vec![404]),
        (format!("GET /assets/..%2f..%2fCargo.toml HTTP/1.1\r\n{host}connection: close\r\n\r\n"), vec![404]),
        (format!("GET /assets/%00 HTTP/1.1\r\n{host}connection: close\r\n\r\n"), vec![404]),
        (format!("GET http://evil.example/ HTTP/1.1\r\n{host}connection: close\r\n\r\n"), vec![403]),
    ] {
        let status = status(request.as_bytes()).unwrap_or_else(|| panic!("no answer to {:.60}", request));
        assert!(expected.contains(&status), "{request:.60}: {status}");
    }
    assert_eq!(get(server.address, "/api/health").status, 200);
}

/// Names of files and types that are special in HTML, paths or headers.
#[test]
fn hostile_names_are_only_text() {
    let server = small();
    let picture = jpeg(16, 16);
    for name in ["<img src=x onerror=alert(1)>", "../../etc/passwd", "C:\\con", "\u{202e}gpj.exe", &"n".repeat(5_000)] {
        let page = request(server.address, "POST", "/check", &[form_type()], &form(name, &picture));
        assert_eq!(page.status, 200, "{name:.30}");
        assert!(!page.text().contains("<img src=x") && !page.text().contains('\u{202e}'));
    }
    assert!(server.seen().iter().all(|name| name.chars().count() <= 255));
}

#[test]
fn too_many_connections_are_told_so() {
    let server = small();
    let mut idle: Vec<_> = (0..16).map(|_| connect(server.address)).collect();
    wait_until("a connection is refused", || {
        let mut refused = connect(server.address);
        let answer = Answer::read(&mut refused);
        answer.is_some_and(|answer| answer.status == 503 && answer.error().contains("too many connections"))
    });
    // Idle connections end by themselves.
    let mut rest = Vec::new();
    for stream in &mut idle {
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(get(server.address, "/api/health").status, 200);
}

#[test]
fn survives_ten_thousand_bad_requests() {
    let server = Running::start(Limits { max_waiting: 4, ..Limits::default() });
    let address = server.address;
    let threads: Vec<_> = (0..4)
        .map(|thread| thread::spawn(move || (0..2_500).filter(|number| is_refused(address, thread, *number)).count()))
        .collect();
    let refused: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(refused, 10_000);
    assert!(server.seen().iter().all(|name| name == "text"), "{:?}", server.seen().len());
    wait_until("memory is free", || bytes_in_memory(&server) == 0);
    assert_eq!(check(address, "a.jpg", &jpeg(16, 16)).status, 200);
}

/// Sends one of several kinds of bad requests. Returns whether the answer, if there is one, refuses it.
fn is_refused(address: std::net::SocketAddr, thread: usize, number: usize) -> bool {
    let noise: Vec<u8> = (0..200).map(|at: usize| (at * (number + 7) * (thread + 3) % 251) as u8).collect();
    let answer = match number % 8 {
        0 => send(address, &noise),
        1 => send(address, b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"),
        2 => Some(get(address, "/%2e%2e/secret")),
        3 => Some(request(address, "PUT", "/api/check", &[], b"x")),
        4 => Some(request(address, "POST", "/api/check", &[("content-type", "text/plain")], &noise)),
        5 => Some(request(address, "POST", "/api/check", &[form_type()], &noise)),
        6 => Some(request(address, "POST", "/check", &[("origin", "http://evil.example"), form_type()], &noise)),
        _ => Some(check(address, "text", b"no picture")),
    };
    answer.is_none_or(|answer| (400..500).contains(&answer.status) || answer.status == 503)
}

#[test]
fn ends_with_answers_to_waiting_clients() {
    let server = small();
    let address = server.address;
    let first = thread::spawn(move || check_as(address, "a", "first", b"slow").status);
    wait_until("the first check runs", || server.seen().len() == 1);
    let second = thread::spawn(move || check_as(address, "b", "second", b"slow").status);
    wait_until("another one waits", || get(address, "/api/health").json()["waiting"] == 1);
    let start = Instant::now();
    server.end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (200, 503));
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free again");
}
