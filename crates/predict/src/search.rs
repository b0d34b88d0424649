//! The search for images in the paths of a command line and on standard input, on a separate thread.
//!
//! Standard input is either one image or a list of paths, one a line or each ended by a zero byte.

use std::io::{self, BufRead, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};

use pixels::{DecodeError, Format};

use crate::{Content, Found, LeftOut, find};

/// The largest number of files in a batch, and of paths waiting in the channel.
const BATCH: usize = 128;
/// The number of bytes of standard input from which an image is distinguished from a list.
const HEAD_BYTES: usize = 1024;
/// The largest number of bytes of an image on standard input.
const MAX_BYTES: u64 = 1 << 30;
/// The largest number of bytes of a path in a list; no system allows longer paths.
const MAX_PATH_BYTES: u64 = 1 << 17;
/// The error for standard input that is neither a list nor an image.
const NEITHER: &str =
    "it is neither a list of paths nor an image in a supported format (jpeg, png, webp, bmp, tiff, gif)";

/// A message of the search thread.
enum Message {
    Found(Found),
    /// Whether the following files are listed on standard input, which may be slow.
    Slow(bool),
    /// The files of folders that were left out, at the end.
    LeftOut(LeftOut),
}

/// A search on a separate thread, so that the first files are processed while a list is still being written.
pub struct Search {
    messages: Receiver<Message>,
    slow: bool,
    total: Arc<OnceLock<usize>>,
    left_out: LeftOut,
}

impl Search {
    /// Starts to search the paths in their order: files, folders, and "-" for standard input.
    pub fn start(paths: Vec<PathBuf>) -> Search {
        let (sender, messages) = sync_channel(BATCH);
        let total = Arc::new(OnceLock::new());
        let known = Arc::clone(&total);
        std::thread::spawn(move || {
            let mut send = |found| sender.send(Message::Found(found)).is_ok();
            let slow = |slow| sender.send(Message::Slow(slow)).is_ok();
            let mut files = Some(0);
            let last = paths.len().saturating_sub(1);
            let mut left_out = LeftOut::default();
            // Sending fails once the receiver is dropped, which ends the search.
            let is_wanted = paths.iter().enumerate().all(|(index, path)| {
                if path == Path::new("-") {
                    files = None;
                    return slow(true) && standard_input(io::stdin().lock(), &mut left_out, &mut send) && slow(false);
                }
                let found = find(path, &mut left_out);
                files = files.map(|files| files + found.len());
                if let Some(files) = files.filter(|_| index == last) {
                    let _ = known.set(files);
                }
                found.into_iter().all(&mut send)
            });
            if is_wanted {
                let _ = sender.send(Message::LeftOut(left_out));
            }
        });
        Search { messages, slow: false, total, left_out: LeftOut::default() }
    }

    /// Returns the files of folders that are not in the batches. It is complete once [`Search::batch`] has returned an
    /// empty batch.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Returns the number of files, once all folders have been read. It stays unknown if files are listed on standard
    /// input.
    pub fn total(&self) -> Option<usize> {
        self.total.get().copied()
    }

    /// Waits for and returns the next batch; empty at the end. All batches but the last are full, because the scores of
    /// an image may depend on the size of its batch in their last digits, and must not depend on the speed of the disk.
    /// A batch from standard input has the files listed so far, at least one.
    pub fn batch(&mut self) -> Vec<Found> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let no_wait = self.slow && !batch.is_empty();
            let message = if no_wait { self.messages.try_recv().ok() } else { self.messages.recv().ok() };
            match message {
                Some(Message::Found(found)) => batch.push(found),
                Some(Message::Slow(slow)) => self.slow = slow,
                Some(Message::LeftOut(left_out)) => self.left_out = left_out,
                None => break,
            }
        }
        batch
    }
}

/// Sends the image on standard input, or the files of the list. Returns false once the receiver is dropped.
fn standard_input(mut input: impl BufRead, left_out: &mut LeftOut, send: &mut impl FnMut(Found) -> bool) -> bool {
    match read_head(&mut input) {
        Err(error) => send(unreadable(error)),
        Ok((head, true)) => {
            // Paths that end in zero bytes may contain line breaks.
            let separator = if head.contains(&0) { 0 } else { b'\n' };
            let text = without_bom(&head).to_owned();
            send_list(Cursor::new(text).chain(input), separator, left_out, send)
        }
        Ok((head, false)) => send(read_image(head, input)),
    }
}

/// Reads until an image can be distinguished from a list. Returns the bytes read, and whether they begin a list of
/// paths.
fn read_head(input: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    loop {
        let count = match input.fill_buf() {
            Ok(more) => {
                head.extend_from_slice(more);
                more.len()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        input.consume(count);
        // If the first path exists, there is no need to wait for the rest of the list.
        if names_a_file(&head, count == 0) {
            return Ok((head, true));
        }
        if count == 0 || head.len() >= HEAD_BYTES {
            let list = looks_like_paths(&head[..head.len().min(HEAD_BYTES)]);
            return Ok((head, list));
        }
    }
}

/// Whether the text before the first separator is the path of an existing file. `whole` means that `head` is the whole
/// input; the separator may then be missing.
fn names_a_file(head: &[u8], whole: bool) -> bool {
    let text = without_bom(head);
    let end = text.iter().position(|byte| matches!(byte, 0 | b'\n')).or(whole.then_some(text.len()));
    end.is_some_and(|end| end > 0 && path_of(without_return(&text[..end])).symlink_metadata().is_ok())
}

/// Whether the bytes look like a list of paths. Paths need not be UTF-8, and may begin like a BMP or PNM file, so that
/// the first bytes alone do not decide.
fn looks_like_paths(head: &[u8]) -> bool {
    // The bytes may end within a character.
    let utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    // The paths of a list are separated by single zeros; the header of an image has several zeros in a row.
    let has_zeros = head.starts_with(&[0]) || head.windows(2).any(|pair| pair == [0, 0]);
    let controls = head.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, 0 | b'\t' | b'\n' | b'\r'));
    let binary = has_zeros || !utf8 && (controls || Format::of(head).is_ok());
    // PNM, HTML or SVG, and text in UTF-16.
    let other = matches!(head, [b'P', b'1'..=b'7', b' ' | b'\t' | b'\n' | b'\r', ..] | [b'<', ..])
        || head.starts_with(b"\xff\xfe")
        || head.starts_with(b"\xfe\xff");
    !binary && !other
}

/// Sends the files of a list. Returns false once the receiver is dropped.
fn send_list(
    mut input: impl BufRead,
    separator: u8,
    left_out: &mut LeftOut,
    send: &mut impl FnMut(Found) -> bool,
) -> bool {
    loop {
        let mut entry = Vec::new();
        if let Err(error) = input.by_ref().take(MAX_PATH_BYTES).read_until(separator, &mut entry) {
            return send(unreadable(error));
        }
        if entry.len() as u64 == MAX_PATH_BYTES {
            return send(unreadable("an entry of the list is longer than any path can be"));
        }
        let path = match entry.split_last() {
            None => return true,
            Some((last, path)) if *last == separator => path,
            _ => &entry,
        };
        let path = if separator == b'\n' { without_return(path) } else { path };
        if !path.is_empty() && !find(&path_of(path), left_out).into_iter().all(&mut *send) {
            return false;
        }
    }
}

/// Reads the rest of an image that begins with `head`.
fn read_image(head: Vec<u8>, rest: impl Read) -> Found {
    match Format::of(&head) {
        Err(DecodeError::NotAnImage) => return unreadable(NEITHER),
        Err(error @ DecodeError::OtherContent { .. }) => return unreadable(error),
        _ => {}
    }
    let mut bytes = Vec::new();
    match Cursor::new(head).chain(rest).take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        Err(error) => unreadable(error),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => unreadable(format!("it has more than {MAX_BYTES} bytes")),
        Ok(_) => Found { path: "-".into(), content: Content::Bytes(bytes) },
    }
}

fn unreadable(why: impl ToString) -> Found {
    Found { path: "-".into(), content: Content::Unreadable(why.to_string()) }
}

/// Removes the byte order mark that some editors put before UTF-8.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Removes the carriage return of a line from Windows.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the files found on a standard input that arrives in pieces of `piece` bytes.
    fn found(bytes: &[u8], piece: usize) -> Vec<Found> {
        let mut all = Vec::new();
        let input = io::BufReader::with_capacity(piece, bytes);
        standard_input(input, &mut LeftOut::default(), &mut |found| {
            all.push(found);
            true
        });
        all
    }

    fn paths(bytes: &[u8]) -> Vec<PathBuf> {
        let whole: Vec<PathBuf> = found(bytes, 8192).into_iter().map(|found| found.path).collect();
        let pieces: Vec<PathBuf> = found(bytes, 2).into_iter().map(|found| found.path).collect();
        assert_eq!(whole, pieces);
        whole
    }

    #[test]
    fn recognises_lists() {
        let two = ["a.png", "b.png"].map(PathBuf::from);
        for list in ["a.png\nb.png\n", "a.png\r\n\r\nb.png", "\u{feff}a.png\nb.png", "a.png\0b.png\0"] {
            assert_eq!(paths(list.as_bytes()), two, "{list:?}");
        }
        assert_eq!(paths(b"BM/a.png\nBM/b.png\n"), ["BM/a.png", "BM/b.png"].map(PathBuf::from));
        assert_eq!(paths(b"P6/a.png\nb.png\n")[0], Path::new("P6/a.png"));
        assert_eq!(paths(b"a\nb.png\0c\x1b[2J.png\0"), ["a\nb.png", "c\u{1b}[2J.png"].map(PathBuf::from));
        assert_eq!(paths(b""), Vec::<PathBuf>::new());
        // A character that is incomplete at the end of the head.
        let long = "ä".repeat(700);
        assert_eq!(paths(format!("x{long}\n").as_bytes()), [PathBuf::from(format!("x{long}"))]);
    }

    #[cfg(unix)]
    #[test]
    fn accepts_paths_that_are_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(paths(b"caf\xe9.png\nb.png\n")[0].as_os_str().as_bytes(), b"caf\xe9.png");
    }

    #[test]
    fn an_existing_path_begins_a_list_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("<svg>\u{1b}");
        std::fs::write(&file, b"").unwrap();
        assert_eq!(paths(format!("{}\n", file.display()).as_bytes()), [file]);
    }

    #[test]
    fn unsupported_input_is_one_error() {
        let noise: Vec<u8> = (0..3000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect();
        let ppm = [b"P6\n30 30\n255\n".as_slice(), &noise].concat();
        let heic = [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice(), &noise].concat();
        let wide: Vec<u8> = "a.png\nb.png\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16 = [b"\xff\xfe".as_slice(), &wide].concat();
        let page = b"<html>\n<h1>not found</h1>\n</html>\n";
        for bytes in [noise.as_slice(), &ppm, &heic, &utf16, page, &[0; 5000]] {
            let found = found(bytes, 100);
            assert!(found.len() == 1 && found[0].path == Path::new("-"), "{found:?}");
        }
        assert!(matches!(&found(&noise, 8192)[0].content, Content::Unreadable(why) if why == NEITHER));
        assert!(matches!(&found(&[0; 5000], 8192)[0].content, Content::Unreadable(why) if why.contains("zero")));
        assert!(matches!(&found(page, 8192)[0].content, Content::Unreadable(why) if why.contains("HTML")));
    }

    #[test]
    fn reads_images_whole() {
        let bmp = [b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(), &[b'a'; 20_000]].concat();
        let jpeg = [b"\xff\xd8\xff\xe0\0\x10JFIF\0".as_slice(), &[b'\n'; 20_000]].concat();
        for picture in [bmp, jpeg] {
            for piece in [1, 8192] {
                let found = found(&picture, piece);
                assert!(matches!(&found[0].content, Content::Bytes(bytes) if *bytes == picture));
            }
        }
    }

    /// A search that finds `count` files one by one, at the speed of a slow disk.
    fn slow_search(count: usize, slow: bool) -> Search {
        let (sender, messages) = sync_channel(BATCH);
        std::thread::spawn(move || {
            (0..count).all(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                sender.send(Message::Found(unreadable("a test"))).is_ok()
            })
        });
        Search { messages, slow, total: Arc::default(), left_out: LeftOut::default() }
    }

    #[test]
    fn batches_of_named_paths_are_full_even_if_the_disk_is_slow() {
        let sizes = |mut search: Search| -> Vec<usize> {
            std::iter::from_fn(|| Some(search.batch().len()).filter(|len| *len > 0)).collect()
        };
        assert_eq!(sizes(slow_search(BATCH + 30, false)), [BATCH, 30]);
        let listed = sizes(slow_search(30, true));
        assert!(
            listed.len() > 1 && listed.iter().sum::<usize>() == 30,
            "a list must be processed while it arrives: {listed:?}"
        );
    }

    #[test]
    fn batches_of_named_paths_do_not_wait_for_standard_input() {
        let (sender, messages) = sync_channel(BATCH);
        sender.send(Message::Found(unreadable("a test"))).unwrap();
        sender.send(Message::Slow(true)).unwrap();
        let mut search = Search { messages, slow: false, total: Arc::default(), left_out: LeftOut::default() };
        assert_eq!(search.batch().len(), 1, "standard input has no data yet");
        drop(sender);
        assert!(search.batch().is_empty());
    }

    #[test]
    fn rejects_a_line_that_is_longer_than_any_path() {
        let found = found(&[b'a'; 200_000], 8192);
        assert!(matches!(&found[0].content, Content::Unreadable(why) if why.contains("longer")));
    }

    #[test]
    fn total_is_known_once_all_folders_have_been_read() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "b.png", "notes.txt"] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let mut search = Search::start(vec![dir.path().to_owned(), dir.path().join("a.jpg")]);
        assert_eq!(search.batch().len(), 3);
        assert_eq!(search.total(), Some(3));
        assert!(search.batch().is_empty());
        assert!(search.left_out().to_string().contains("notes.txt (empty)"), "{}", search.left_out());
    }
}
