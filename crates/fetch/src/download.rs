//! From a request to a complete, verified file.

use std::io::{self, Read};
use std::path::Path;

use ureq::http::header::{ETAG, LAST_MODIFIED, TRANSFER_ENCODING};

use crate::client::{Answer, Bytes, bad_response, interrupted};
use crate::part::{Opened, Origin, Part};
use crate::{Checksum, Client, Error, Event, Head, Request, Result, Url, free_space};

/// So many new bytes prove that a connection works: the failures before them no longer count.
const PROGRESS: u64 = 1 << 20;
const BUFFER: usize = 1 << 18;

/// What is known of a file before it is downloaded, from elsewhere than the answer to the download itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// A file that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Its size in bytes.
    pub bytes: u64,
    /// The checksum it was held against, if the service named one in this process.
    pub verified: Option<Checksum>,
}

impl Client {
    /// Downloads to `target`, unless it is there already.
    ///
    /// Until it is complete and verified the file is `target` with `.part` appended, and stays there when the process
    /// is killed or gives up, so that the next call continues it. It is continued with `Range` and `If-Range`, and
    /// only if the server confirms in `Content-Range` that it sends exactly the missing bytes of the same resource;
    /// otherwise it is fetched anew. Two processes that want one file download it once: the second waits.
    ///
    /// # Errors
    /// A wrong checksum removes the part. A file that came in one go is not asked for again; one that was put together
    /// over several connections is, once.
    pub fn download(&self, request: &Request, target: &Path, expected: &Expected) -> Result<Downloaded> {
        let mut part = match Part::open(target, || self.notify(&Event::WaitingForAnother))? {
            Opened::Part(part) => part,
            Opened::Complete => {
                let bytes = target.metadata().map_err(artifacts::Error::io("read", target))?.len();
                return Ok(Downloaded { bytes, verified: None });
            }
        };
        let described = part.origin().and_then(|origin| origin.total);
        if expected.bytes.is_some() && described.is_some() && described != expected.bytes {
            self.start_over(&mut part, "what is there belongs to a file of another size")?;
        }
        let pieced_together = match self.complete(request, &mut part, expected) {
            Err(error) if part.bytes() == 0 => {
                part.discard()?;
                return Err(error);
            }
            other => other?,
        };
        let mut verified = self.verify(request, &part, expected);
        if pieced_together && let Err(Error::Checksum { .. }) = verified {
            self.start_over(&mut part, "the pieces do not add up to the checksum")?;
            self.complete(request, &mut part, expected)?;
            verified = self.verify(request, &part, expected);
        }
        let bytes = part.bytes();
        match verified {
            Ok(verified) => {
                part.publish()?;
                self.notify(&Event::Finished);
                Ok(Downloaded { bytes, verified })
            }
            Err(error) => {
                if matches!(error, Error::Checksum { .. }) {
                    part.discard()?;
                }
                Err(error)
            }
        }
    }

    /// Gets all the bytes, over as many connections as it takes; true if it took several.
    fn complete(&self, request: &Request, part: &mut Part, expected: &Expected) -> Result<bool> {
        let mut attempts = self.retry.start();
        let mut pieced_together = part.bytes() > 0;
        while !part.is_whole() {
            let before = part.bytes();
            match self.transfer(request, part, expected) {
                Ok(resumed) => pieced_together = resumed,
                Err(error) => {
                    if part.bytes() >= before.saturating_add(PROGRESS) {
                        attempts.progressed();
                    }
                    attempts.wait_after(error, |error, wait| self.notify(&Event::Retrying { error, wait }))?;
                }
            }
        }
        Ok(pieced_together)
    }

    /// One connection's worth of bytes; true if they continue what was there.
    fn transfer(&self, request: &Request, part: &mut Part, expected: &Expected) -> Result<bool> {
        let asked = match part.validator() {
            Some(validator) => Bytes::From { offset: part.bytes(), validator },
            None => Bytes::All,
        };
        let resuming = matches!(asked, Bytes::From { .. });
        let answer = match self.get(request, asked) {
            Err(Error::Status { url, status: 416, .. }) if resuming => {
                self.start_over(part, "the server has no bytes after those already here")?;
                return Err(Error::BadResponse { url, reason: "it refused the range".into(), transient: true });
            }
            other => other?,
        };
        let origin = origin(&answer, expected);
        let resumed = match answer.head.status {
            206 if resuming => {
                if let Err(reason) = continues(&answer.head, part, &origin) {
                    self.start_over(part, &reason)?;
                    return Err(Error::BadResponse { url: answer.head.url.to_string(), reason, transient: true });
                }
                true
            }
            200 => {
                if resuming {
                    self.start_over(
                        part,
                        "the server sends the whole file, which is another one or cannot be resumed",
                    )?;
                }
                check_size(&answer.head, &origin, expected)?;
                part.begin(origin)?;
                false
            }
            other => return Err(bad_response(&answer.head.url, format!("status {other} was not expected"))),
        };
        self.receive(answer, part)?;
        Ok(resumed)
    }

    /// Reads the body to its end.
    fn receive(&self, answer: Answer, part: &mut Part) -> Result<()> {
        let total = part.origin().and_then(|origin| origin.total);
        check_space(part, total)?;
        self.notify(&Event::Started { already: part.bytes(), total });
        let url = answer.head.url;
        let mut body = answer.body.into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    if total.is_some_and(|total| part.bytes() + read as u64 > total) {
                        self.start_over(part, "more bytes than the server announced")?;
                        let reason = "it sent more bytes than it announced".into();
                        return Err(Error::BadResponse { url: url.to_string(), reason, transient: true });
                    }
                    part.append(&buffer[..read])?;
                    self.notify(&Event::Received { bytes: read as u64 });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(interrupted(&url, part.bytes(), &error)),
            }
        }
        match total {
            Some(total) if part.bytes() < total => Err(interrupted(&url, part.bytes(), &"the body ended early")),
            Some(_) => Ok(()),
            None => {
                part.end_here();
                Ok(())
            }
        }
    }

    /// Reads the file back and compares; what is verified is what is on the disk.
    fn verify(&self, request: &Request, part: &Part, expected: &Expected) -> Result<Option<Checksum>> {
        let Some(wanted) = expected.checksum.or_else(|| part.origin()?.checksum) else { return Ok(None) };
        self.notify(&Event::Verifying);
        let actual = wanted.of_file_alike(part.path()).map_err(artifacts::Error::io("read", part.path()))?;
        if actual == wanted {
            return Ok(Some(wanted));
        }
        Err(Error::Checksum { url: request.url.to_string(), expected: wanted, actual })
    }

    fn start_over(&self, part: &mut Part, reason: &str) -> Result<()> {
        self.notify(&Event::StartingOver { reason });
        part.clear()
    }
}

/// What an answer says of the whole resource.
fn origin(answer: &Answer, expected: &Expected) -> Origin {
    let head = &answer.head;
    let total = if head.status == 206 { head.range().and_then(|range| range.total) } else { head.length() };
    Origin {
        validator: validator(head),
        total: total.or(expected.bytes),
        checksum: Checksum::from_goog_hash(head.get_all("x-goog-hash")),
    }
}

/// Refuses to begin a file of another size than announced, or one whose end could not be told from a cut.
fn check_size(head: &Head, origin: &Origin, expected: &Expected) -> Result<()> {
    if let (Some(total), Some(bytes)) = (origin.total, expected.bytes)
        && total != bytes
    {
        return Err(bad_response(&head.url, format!("it has {total} bytes, but {bytes} were announced")));
    }
    let chunked = head.get(TRANSFER_ENCODING.as_str()).is_some_and(|coding| coding.contains("chunked"));
    if origin.total.is_none() && !chunked && origin.checksum.or(expected.checksum).is_none() {
        let reason = "it names neither length nor checksum, so that nothing tells a part from the whole";
        return Err(bad_response(&head.url, reason.into()));
    }
    Ok(())
}

/// A validator that `If-Range` accepts: a strong entity tag (RFC 9110, section 13.1.5), or else the date of change.
fn validator(head: &Head) -> Option<String> {
    let strong = head.get(ETAG.as_str()).map(str::trim).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| head.get(LAST_MODIFIED.as_str())).map(str::to_owned)
}

/// Whether a partial answer continues the part; if not, why.
fn continues(head: &Head, part: &Part, now: &Origin) -> Result<(), String> {
    let range = head.range().ok_or("the server sent a range without saying which")?;
    let Some(then) = part.origin() else { return Err("the part is of unknown origin".into()) };
    let whole_rest = range.total.is_none_or(|total| range.last + 1 == total);
    if range.first != part.bytes() || !whole_rest {
        return Err(format!(
            "asked for the bytes from {} on, the server sent {} to {}",
            part.bytes(),
            range.first,
            range.last
        ));
    }
    let differ = |a: &Option<u64>, b: &Option<u64>| a.is_some() && b.is_some() && a != b;
    let changed = differ(&then.total, &now.total)
        || now.validator.is_some() && then.validator != now.validator
        || now.checksum.is_some() && then.checksum.is_some() && then.checksum != now.checksum;
    if changed { Err("the file has changed on the server".into()) } else { Ok(()) }
}

fn check_space(part: &Part, total: Option<u64>) -> Result<()> {
    let needed = total.unwrap_or_default().saturating_sub(part.bytes());
    match free_space(part.folder()) {
        Some(available) if available < needed => {
            Err(Error::NoSpace { folder: part.folder().to_owned(), needed, available })
        }
        _ => Ok(()),
    }
}

/// A request that names nobody.
impl From<Url> for Request {
    fn from(url: Url) -> Request {
        Request { url, authorization: None }
    }
}
