//! Downloads a file: resumes, verifies and publishes it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ureq::http::header::{ETAG, LAST_MODIFIED, TRANSFER_ENCODING};

use crate::client::ByteRange;
use crate::partial_file::{Opened, PartialFile, RemoteFile};
use crate::response::{Response, ResponseHead};
use crate::{Checksum, Client, Error, Event, Request, Result, free_space};

/// After a failed attempt that received this many bytes, counting consecutive failures starts again.
const PROGRESS_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 1 << 18;

/// Size and checksum of a file, if they are known from another source than the response of the download.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExpectedFile {
    /// Size in bytes.
    pub bytes: Option<u64>,
    /// Checksum. It takes precedence over one in the response.
    pub checksum: Option<Checksum>,
    /// The kind of file. A file that does not begin like it is removed.
    pub kind: Option<FileKind>,
}

/// A kind of file, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// The name with its article, for messages: "a zip archive".
    pub name: &'static str,
    /// The first bytes of such a file are one of these.
    pub signatures: &'static [&'static [u8]],
}

impl FileKind {
    /// A zip archive, possibly an empty one (APPNOTE.TXT, sections 4.3.7 and 4.3.16).
    pub const ZIP: FileKind = FileKind { name: "a zip archive", signatures: &[b"PK\x03\x04", b"PK\x05\x06"] };

    /// Whether the file `path` is of this kind.
    fn matches(self, path: &Path) -> io::Result<bool> {
        let longest = self.signatures.iter().map(|signature| signature.len()).max().unwrap_or_default();
        let mut start = Vec::new();
        File::open(path)?.take(longest as u64).read_to_end(&mut start)?;
        Ok(self.signatures.iter().any(|signature| start.starts_with(signature)))
    }
}

/// A file that was downloaded or that existed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadedFile {
    /// Size in bytes.
    pub bytes: u64,
    /// The checksum that the file was verified against. `None` if the service published none, or the file existed
    /// already.
    pub verified: Option<Checksum>,
}

impl Client {
    /// Downloads a file to `target`. Does nothing if `target` exists.
    ///
    /// The file is written under the name of `target` with `.part` appended, until it is complete and verified. If the
    /// process is killed or gives up, the partial file stays, and the next call resumes it. Resuming sends `Range` and
    /// `If-Range`, and appends only if the `Content-Range` of the response confirms that it holds exactly the missing
    /// bytes of the same file; otherwise the download starts from the beginning. If another process is downloading to
    /// the same target, this call waits for it.
    ///
    /// # Errors
    /// A request fails permanently, retries are exhausted, or the file has a wrong checksum. A file with a wrong
    /// checksum is removed. If it was assembled from several responses, it is first downloaded once more in a single
    /// response.
    pub fn download(&self, request: &Request, target: &Path, expected: &ExpectedFile) -> Result<DownloadedFile> {
        let mut part = match PartialFile::open(target, || self.notify(&Event::WaitingForOtherProcess))? {
            Opened::Partial(part) => part,
            Opened::Complete => {
                let bytes = target.metadata().map_err(artifacts::Error::io("read", target))?.len();
                return Ok(DownloadedFile { bytes, verified: None });
            }
        };
        let recorded = part.remote().and_then(|remote| remote.total);
        if expected.bytes.is_some() && recorded.is_some() && recorded != expected.bytes {
            self.restart(&mut part, "the partial file belongs to a file of another size")?;
        }
        let in_pieces = match self.fetch_all(request, &mut part, expected) {
            Err(error) if part.bytes() == 0 => {
                part.remove()?;
                return Err(error);
            }
            other => other?,
        };
        let mut verified = self.verify(request, &part, expected);
        if in_pieces && let Err(Error::ChecksumMismatch { .. }) = verified {
            self.restart(&mut part, "the file assembled from several responses has a wrong checksum")?;
            self.fetch_all(request, &mut part, expected)?;
            verified = self.verify(request, &part, expected);
        }
        let bytes = part.bytes();
        match verified {
            Ok(verified) => {
                part.publish()?;
                self.notify(&Event::Finished);
                Ok(DownloadedFile { bytes, verified })
            }
            Err(error) => {
                if matches!(error, Error::ChecksumMismatch { .. } | Error::WrongContent { .. }) {
                    part.remove()?;
                }
                Err(error)
            }
        }
    }

    /// Fetches all bytes, with as many requests as necessary. Returns whether the file was assembled from several
    /// responses.
    fn fetch_all(&self, request: &Request, part: &mut PartialFile, expected: &ExpectedFile) -> Result<bool> {
        let mut attempts = self.retry.start();
        let mut in_pieces = part.bytes() > 0;
        while !part.is_complete() {
            let before = part.bytes();
            match self.fetch_once(request, part, expected) {
                Ok(resumed) => in_pieces = resumed,
                Err(error) => {
                    if part.bytes() >= before.saturating_add(PROGRESS_BYTES) {
                        attempts.reset();
                    }
                    self.wait_or_give_up(&mut attempts, error)?;
                }
            }
        }
        Ok(in_pieces)
    }

    /// Sends one request and appends its body. Returns whether it resumed the partial file.
    fn fetch_once(&self, request: &Request, part: &mut PartialFile, expected: &ExpectedFile) -> Result<bool> {
        let range = match part.validator() {
            Some(validator) => ByteRange::From { offset: part.bytes(), validator },
            None => ByteRange::All,
        };
        let resuming = matches!(range, ByteRange::From { .. });
        let response = match self.get(request, range) {
            // The partial file is complete. Its description lacks the size, because the server did not announce it.
            Err(Error::RefusedRange { total: Some(total), .. }) if resuming && part.is_all_of(total) => {
                part.mark_complete();
                return Ok(true);
            }
            Err(Error::RefusedRange { url, .. }) if resuming => {
                self.restart(part, "the server has no bytes after the partial file")?;
                return Err(Error::BadResponse { url, reason: "it refused the range".into(), transient: true });
            }
            other => other?,
        };
        let remote = describe_remote(&response.head, expected);
        let resumed = match response.head.status() {
            206 if resuming => {
                if let Err(reason) = check_continuation(&response.head, part, &remote) {
                    self.restart(part, &reason)?;
                    return Err(Error::BadResponse { url: response.head.url.to_string(), reason, transient: true });
                }
                true
            }
            200 => {
                if resuming {
                    self.restart(part, "the server sent the whole file: it has changed, or ranges are not supported")?;
                }
                check_size(&response.head, &remote, expected)?;
                part.begin(remote)?;
                false
            }
            other => {
                return Err(Error::bad_response(&response.head.url, format!("unexpected status {other}")));
            }
        };
        self.receive_body(response, part)?;
        Ok(resumed)
    }

    /// Appends the body to the partial file.
    fn receive_body(&self, response: Response, part: &mut PartialFile) -> Result<()> {
        let total = part.remote().and_then(|remote| remote.total);
        check_space(part, total)?;
        self.notify(&Event::Started { already: part.bytes(), total });
        let url = response.head.url;
        let mut body = response.body.into_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    if total.is_some_and(|total| part.bytes() + read as u64 > total) {
                        self.restart(part, "the server sent more bytes than it announced")?;
                        let reason = "it has more bytes than announced".into();
                        return Err(Error::BadResponse { url: url.to_string(), reason, transient: true });
                    }
                    part.append(&buffer[..read])?;
                    self.notify(&Event::Received { bytes: read as u64 });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::interrupted(&url, part.bytes(), &error)),
            }
        }
        match total {
            Some(total) if part.bytes() < total => Err(Error::interrupted(&url, part.bytes(), &"the body ended early")),
            Some(_) => Ok(()),
            None => {
                part.mark_complete();
                Ok(())
            }
        }
    }

    /// Computes the checksum of the partial file on disk and compares it with the published one, if there is one. Then
    /// checks that the file is of the expected kind.
    fn verify(&self, request: &Request, part: &PartialFile, expected: &ExpectedFile) -> Result<Option<Checksum>> {
        let verified = self.verify_checksum(request, part, expected)?;
        match expected.kind {
            Some(kind) if !kind.matches(part.path()).map_err(artifacts::Error::io("read", part.path()))? => {
                Err(Error::WrongContent { url: request.url.to_string(), kind: kind.name })
            }
            _ => Ok(verified),
        }
    }

    fn verify_checksum(
        &self,
        request: &Request,
        part: &PartialFile,
        expected: &ExpectedFile,
    ) -> Result<Option<Checksum>> {
        let Some(expected) = expected.checksum.or_else(|| part.remote()?.checksum) else { return Ok(None) };
        self.notify(&Event::Verifying);
        let actual = expected.recompute(part.path()).map_err(artifacts::Error::io("read", part.path()))?;
        if actual == expected {
            return Ok(Some(expected));
        }
        Err(Error::ChecksumMismatch {
            url: request.url.to_string(),
            path: part.target().to_owned(),
            expected: Box::new(expected),
            actual: Box::new(actual),
        })
    }

    /// Empties the partial file.
    fn restart(&self, part: &mut PartialFile, reason: &str) -> Result<()> {
        self.notify(&Event::Restarting { reason });
        part.clear()
    }
}

/// Describes the whole file on the server from the headers of a response.
fn describe_remote(head: &ResponseHead, expected: &ExpectedFile) -> RemoteFile {
    RemoteFile {
        validator: validator(head),
        total: head.total_bytes().or(expected.bytes),
        checksum: Checksum::from_goog_hash(head.get_all("x-goog-hash")),
    }
}

/// Fails if the file has another size than expected, or if a truncated copy of it could not be detected.
fn check_size(head: &ResponseHead, remote: &RemoteFile, expected: &ExpectedFile) -> Result<()> {
    if let (Some(total), Some(bytes)) = (remote.total, expected.bytes)
        && total != bytes
    {
        return Err(Error::bad_response(&head.url, format!("the file has {total} bytes, but must have {bytes}")));
    }
    let chunked = head.get(TRANSFER_ENCODING.as_str()).is_some_and(|coding| coding.contains("chunked"));
    if remote.total.is_none() && !chunked && remote.checksum.or(expected.checksum).is_none() {
        let reason = "it has neither a length nor a checksum, so that a truncated file could not be detected";
        return Err(Error::bad_response(&head.url, reason.into()));
    }
    Ok(())
}

/// Returns the validator for `If-Range`: a strong entity tag (RFC 9110, section 13.1.5), or else the date of the last
/// change.
fn validator(head: &ResponseHead) -> Option<String> {
    let strong = head.get(ETAG.as_str()).map(str::trim).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| head.get(LAST_MODIFIED.as_str())).map(str::to_owned)
}

/// Checks that a partial response holds exactly the missing bytes of the partial file, and that the file on the server
/// has not changed.
fn check_continuation(head: &ResponseHead, part: &PartialFile, now: &RemoteFile) -> Result<(), String> {
    let range = head.range().ok_or("the server sent a range without a valid Content-Range")?;
    let Some(before) = part.remote() else { return Err("the partial file has no description".into()) };
    let reaches_end = range.total.is_none_or(|total| range.last + 1 == total);
    if range.first != part.bytes() || !reaches_end {
        return Err(format!(
            "the server sent bytes {} to {}, but the request was for all bytes from {} on",
            range.first,
            range.last,
            part.bytes()
        ));
    }
    let differ = |a: &Option<u64>, b: &Option<u64>| a.is_some() && b.is_some() && a != b;
    let changed = differ(&before.total, &now.total)
        || now.validator.is_some() && before.validator != now.validator
        || now.checksum.is_some() && before.checksum.is_some() && before.checksum != now.checksum;
    if changed { Err("the file has changed on the server".into()) } else { Ok(()) }
}

fn check_space(part: &PartialFile, total: Option<u64>) -> Result<()> {
    let needed = total.unwrap_or_default().saturating_sub(part.bytes());
    match free_space(part.folder()) {
        Some(available) if available < needed => {
            Err(Error::NoSpace { folder: part.folder().to_owned(), needed, available })
        }
        _ => Ok(()),
    }
}
