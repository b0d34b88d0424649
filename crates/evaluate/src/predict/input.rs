//! What there is to judge, as it comes: the paths of a command line, and what standard input holds.

use std::io::{self, BufRead, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use pixels::{DecodeError, Format};

use super::{Content, Found, find};

/// Pictures that are in memory at once, and paths that wait for them.
const BATCH: usize = 128;
/// Bytes of standard input that tell what it is.
const HEAD: usize = 1024;
/// The most bytes that a picture on standard input may have.
const MOST_BYTES: u64 = 1 << 30;
/// The most bytes of a path in a list: more than any system takes.
const LONGEST_PATH: u64 = 1 << 17;
/// What is said of standard input that is nothing of use.
const NEITHER: &str =
    "it is neither a list of paths nor a picture in a format that is read (jpeg, png, webp, bmp, tiff, gif)";

/// What the thread that searches has to say.
enum Message {
    Found(Found),
    /// What follows is found on standard input, which may be slow to give it, or no longer.
    Slow(bool),
}

/// Pictures that are found on a thread of their own, so that the first are judged while a list is still being written.
pub struct Search {
    messages: Receiver<Message>,
    slow: bool,
}

impl Search {
    /// Starts to look for what paths mean, in their order: files, folders, and for "-" what standard input holds.
    pub fn start(paths: Vec<PathBuf>) -> Search {
        let (sender, messages) = sync_channel(BATCH);
        std::thread::spawn(move || {
            let mut send = |found| sender.send(Message::Found(found)).is_ok();
            let slow = |slow| sender.send(Message::Slow(slow)).is_ok();
            // It ends early where nobody receives any more.
            paths.iter().all(|path| {
                if path == Path::new("-") {
                    slow(true) && standard_input(io::stdin().lock(), &mut send) && slow(false)
                } else {
                    find(path).into_iter().all(&mut send)
                }
            })
        });
        Search { messages, slow: false }
    }

    /// The next batch; nothing at the end. It is full unless it is the last, so that what is judged together does not depend
    /// on how fast a disk is: a network may add in another order for another size. Of standard input it is what there is by
    /// now, at least one.
    pub fn batch(&mut self) -> Vec<Found> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let at_once = self.slow && !batch.is_empty();
            match if at_once { self.messages.try_recv().ok() } else { self.messages.recv().ok() } {
                Some(Message::Found(found)) => batch.push(found),
                Some(Message::Slow(slow)) => self.slow = slow,
                None => break,
            }
        }
        batch
    }
}

/// Sends the picture, or the pictures of the list, that standard input is. False where nobody receives any more.
fn standard_input(mut input: impl BufRead, send: &mut impl FnMut(Found) -> bool) -> bool {
    match head(&mut input) {
        Err(error) => send(unreadable(error)),
        Ok((head, true)) => {
            // Names between zeros may hold line breaks.
            let separator = if head.contains(&0) { 0 } else { b'\n' };
            let text = without_mark(&head).to_owned();
            list(Cursor::new(text).chain(input), separator, send)
        }
        Ok((head, false)) => send(picture(head, input)),
    }
}

/// Reads until it is plain what the input is: its first bytes, and whether they begin a list of paths.
fn head(input: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
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
        // A list that begins well is one at once, however slowly the rest of it comes.
        if names_a_file(&head, count == 0) {
            return Ok((head, true));
        }
        if count == 0 || head.len() >= HEAD {
            let list = is_text(&head[..head.len().min(HEAD)]);
            return Ok((head, list));
        }
    }
}

/// Whether what stands before the first separator, or before the end, is the path of something that exists.
fn names_a_file(head: &[u8], whole: bool) -> bool {
    let text = without_mark(head);
    let end = text.iter().position(|byte| matches!(byte, 0 | b'\n')).or(whole.then_some(text.len()));
    end.is_some_and(|end| end > 0 && path_of(without_return(&text[..end])).symlink_metadata().is_ok())
}

/// Whether bytes are a list of paths, by what they are made of. Paths need be no UTF-8 and may begin with the two letters
/// by which BMP and PNM are known, so that a format's first bytes alone decide nothing.
fn is_text(head: &[u8]) -> bool {
    // The end of `head` may cut a character.
    let utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    // Between the names of a list stands a single zero; the numbers in the header of a picture are full of them.
    let numbers = head.starts_with(&[0]) || head.windows(2).any(|pair| pair == [0, 0]);
    let controls = head.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, 0 | b'\t' | b'\n' | b'\r'));
    let binary = numbers || !utf8 && (controls || Format::of(head).is_ok());
    // PNM, a page or SVG instead of the picture that it was to be, and text in UTF-16.
    let other = matches!(head, [b'P', b'1'..=b'7', b' ' | b'\t' | b'\n' | b'\r', ..] | [b'<', ..])
        || head.starts_with(b"\xff\xfe")
        || head.starts_with(b"\xfe\xff");
    !binary && !other
}

/// Sends the pictures of a list's paths.
fn list(mut input: impl BufRead, separator: u8, send: &mut impl FnMut(Found) -> bool) -> bool {
    loop {
        let mut entry = Vec::new();
        if let Err(error) = input.by_ref().take(LONGEST_PATH).read_until(separator, &mut entry) {
            return send(unreadable(error));
        }
        if entry.len() as u64 == LONGEST_PATH {
            return send(unreadable("an entry of its list is longer than any path"));
        }
        let path = match entry.split_last() {
            None => return true,
            Some((last, path)) if *last == separator => path,
            _ => &entry,
        };
        let path = if separator == b'\n' { without_return(path) } else { path };
        if !path.is_empty() && !find(&path_of(path)).into_iter().all(&mut *send) {
            return false;
        }
    }
}

/// The picture that begins with `head`, read whole.
fn picture(head: Vec<u8>, rest: impl Read) -> Found {
    if matches!(Format::of(&head), Err(DecodeError::NotAnImage)) {
        return unreadable(NEITHER);
    }
    let mut bytes = Vec::new();
    match Cursor::new(head).chain(rest).take(MOST_BYTES + 1).read_to_end(&mut bytes) {
        Err(error) => unreadable(error),
        Ok(_) if bytes.len() as u64 > MOST_BYTES => unreadable(format!("it has more than {MOST_BYTES} bytes")),
        Ok(_) => Found { path: "-".into(), content: Content::Bytes(bytes) },
    }
}

fn unreadable(why: impl ToString) -> Found {
    Found { path: "-".into(), content: Content::Unreadable(why.to_string()) }
}

/// Without the mark that some editors begin UTF-8 with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Lists of Windows end their lines with two bytes.
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

    /// What is found on a standard input that comes in pieces of `piece` bytes.
    fn found(bytes: &[u8], piece: usize) -> Vec<Found> {
        let mut all = Vec::new();
        let input = io::BufReader::with_capacity(piece, bytes);
        standard_input(input, &mut |found| {
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
    fn lists_are_lists_whatever_they_begin_with() {
        let two = ["a.png", "b.png"].map(PathBuf::from);
        for list in ["a.png\nb.png\n", "a.png\r\n\r\nb.png", "\u{feff}a.png\nb.png", "a.png\0b.png\0"] {
            assert_eq!(paths(list.as_bytes()), two, "{list:?}");
        }
        assert_eq!(paths(b"BM/a.png\nBM/b.png\n"), ["BM/a.png", "BM/b.png"].map(PathBuf::from));
        assert_eq!(paths(b"P6/a.png\nb.png\n")[0], Path::new("P6/a.png"));
        assert_eq!(paths(b"a\nb.png\0c\x1b[2J.png\0"), ["a\nb.png", "c\u{1b}[2J.png"].map(PathBuf::from));
        assert_eq!(paths(b""), Vec::<PathBuf>::new());
        // A character that the end of the head cuts.
        let long = "ä".repeat(700);
        assert_eq!(paths(format!("x{long}\n").as_bytes()), [PathBuf::from(format!("x{long}"))]);
    }

    #[cfg(unix)]
    #[test]
    fn paths_need_be_no_text() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(paths(b"caf\xe9.png\nb.png\n")[0].as_os_str().as_bytes(), b"caf\xe9.png");
    }

    #[test]
    fn what_exists_begins_a_list_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("<svg>\u{1b}");
        std::fs::write(&file, b"").unwrap();
        assert_eq!(paths(format!("{}\n", file.display()).as_bytes()), [file]);
    }

    #[test]
    fn pictures_that_are_not_read_are_one_row() {
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
        assert!(matches!(&found(&heic, 8192)[0].content, Content::Unreadable(why) if why == NEITHER));
    }

    #[test]
    fn a_picture_is_read_whole() {
        let bmp = [b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(), &[b'a'; 20_000]].concat();
        let jpeg = [b"\xff\xd8\xff\xe0\0\x10JFIF\0".as_slice(), &[b'\n'; 20_000]].concat();
        for picture in [bmp, jpeg] {
            for piece in [1, 8192] {
                let found = found(&picture, piece);
                assert!(matches!(&found[0].content, Content::Bytes(bytes) if *bytes == picture));
            }
        }
    }

    /// A search that finds `count` pictures one by one, at the speed of a slow disk.
    fn slowly(count: usize, slow: bool) -> Search {
        let (sender, messages) = sync_channel(BATCH);
        std::thread::spawn(move || {
            (0..count).all(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                sender.send(Message::Found(unreadable("a test"))).is_ok()
            })
        });
        Search { messages, slow }
    }

    #[test]
    fn batches_of_named_paths_are_full_however_slow_the_disk_is() {
        let sizes = |mut search: Search| -> Vec<usize> {
            std::iter::from_fn(|| Some(search.batch().len()).filter(|len| *len > 0)).collect()
        };
        assert_eq!(sizes(slowly(BATCH + 30, false)), [BATCH, 30]);
        let listed = sizes(slowly(30, true));
        assert!(listed.len() > 1 && listed.iter().sum::<usize>() == 30, "a list is judged as it comes: {listed:?}");
    }

    #[test]
    fn named_paths_do_not_wait_for_standard_input() {
        let (sender, messages) = sync_channel(BATCH);
        sender.send(Message::Found(unreadable("a test"))).unwrap();
        sender.send(Message::Slow(true)).unwrap();
        let mut search = Search { messages, slow: false };
        assert_eq!(search.batch().len(), 1, "while nothing has come yet on standard input");
        drop(sender);
        assert!(search.batch().is_empty());
    }

    #[test]
    fn a_line_without_end_is_not_swallowed() {
        let found = found(&[b'a'; 200_000], 8192);
        assert!(matches!(&found[0].content, Content::Unreadable(why) if why.contains("longer")));
    }
}
