//! Sends pictures to a running `candling serve` from several clients at once, and prints rate, latencies, fairness and
//! memory.
//!
//! ```text
//! candling serve --port 7878 &
//! load --address 127.0.0.1:7878 --pid $! --clients 8 --seconds 60
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use artifacts::stage::{self, Failure, print_text};
use clap::Parser;
use pixels::RgbImage;
use pixels::encode::{self, Subsampling};

/// Measure a running `candling serve` under load.
#[derive(Parser)]
struct Args {
    /// The address of the server
    #[arg(long, default_value = "127.0.0.1:7878")]
    address: SocketAddr,
    /// The process of the server, to read its memory (Linux)
    #[arg(long)]
    pid: Option<u32>,
    /// The number of clients
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// The number of requests that the first client has at once; the others have one
    #[arg(long, default_value_t = 1)]
    greedy: usize,
    /// The time in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Whether the answers have heat maps and a page
    #[arg(long)]
    full: bool,
    /// Pictures to send in turn [default: one of 1600x1200 pixels]
    pictures: Vec<PathBuf>,
}

/// What a client saw.
#[derive(Default)]
struct Seen {
    /// The time of each answer with status 200, in seconds.
    latencies: Vec<f64>,
    refused: usize,
    failed: usize,
}

fn main() -> ExitCode {
    stage::finish("load", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let bodies = bodies(args)?;
    let before = memory(args.pid);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut peak = before;
    let seen: Vec<Seen> = thread::scope(|scope| {
        let streams: Vec<usize> =
            (0..args.clients).chain(std::iter::repeat_n(0, args.greedy.saturating_sub(1))).collect();
        let bodies = &bodies;
        let running: Vec<_> = streams
            .into_iter()
            .map(|client| (client, scope.spawn(move || run_client(args, client, bodies, end))))
            .collect();
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(200));
            peak = peak.max(memory(args.pid));
        }
        let mut seen: Vec<Seen> = (0..args.clients).map(|_| Seen::default()).collect();
        for (client, thread) in running {
            let more = thread.join().unwrap_or_default();
            seen[client].latencies.extend(more.latencies);
            seen[client].refused += more.refused;
            seen[client].failed += more.failed;
        }
        seen
    });
    print_text(&summary(args, &seen, [before, memory(args.pid), peak])).map(drop)
}

fn summary(args: &Args, seen: &[Seen], [before, after, peak]: [u64; 3]) -> String {
    let mut all: Vec<f64> = seen.iter().flat_map(|client| client.latencies.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    let at =
        |share: f64| all.get((share * all.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0);
    let counts: Vec<usize> = seen.iter().map(|client| client.latencies.len()).collect();
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    format!(
        "checks {} in {} s: {:.2} a second\nrefused with 503: {}, failed: {}\n\
         latency in seconds: median {:.2}, 95% {:.2}, 99% {:.2}, longest {:.2}\n\
         checks of each client: {counts:?}\nmemory in MB: before {before}, after {after}, peak {peak}\n",
        all.len(),
        args.seconds,
        all.len() as f64 / args.seconds.max(1) as f64,
        sum(|client| client.refused),
        sum(|client| client.failed),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0),
    )
}

fn run_client(args: &Args, client: usize, bodies: &[Vec<u8>], end: Instant) -> Seen {
    let mut seen = Seen::default();
    for body in bodies.iter().cycle().skip(client) {
        if Instant::now() >= end {
            break;
        }
        let start = Instant::now();
        match send(args, client, body) {
            Some(200) => seen.latencies.push(start.elapsed().as_secs_f64()),
            Some(503) => {
                seen.refused += 1;
                thread::sleep(Duration::from_millis(500));
            }
            _ => seen.failed += 1,
        }
    }
    seen
}

/// Sends a request and returns the status of the answer.
fn send(args: &Args, client: usize, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(args.address).ok()?;
    let query = if args.full { "?images=true&page=true" } else { "" };
    let head = format!(
        "POST /api/check{query} HTTP/1.1\r\nhost: {}\r\ncandling-client: load-{client}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        args.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn bodies(args: &Args) -> Result<Vec<Vec<u8>>, Failure> {
    let mut pictures = Vec::new();
    for path in &args.pictures {
        pictures.push(std::fs::read(path).map_err(artifacts::Error::io("read", path))?);
    }
    if pictures.is_empty() {
        let picture = RgbImage::from_fn(1600, 1200, |x, y| [(x / 7) as u8, (y / 5) as u8, (x * y / 977) as u8]);
        pictures.push(encode::jpeg(&picture, 90, Subsampling::Quarter).map_err(Failure::failed)?);
    }
    const HEAD: &[u8] = b"--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n";
    Ok(pictures.into_iter().map(|picture| [HEAD, &picture, b"\r\n--B--\r\n"].concat()).collect())
}

/// The resident memory of a process in megabytes; 0 if it is not known.
fn memory(pid: Option<u32>) -> u64 {
    let status = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok()).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes / 1024)
}
