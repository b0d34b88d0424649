//! `candling-predict` on broken files, hostile file names, lists and standard input.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pipeline_tests::program;
use pipeline_tests::untrained::{Run, succeed};
use pixels::RgbImage;
use pixels::encode::{self, Subsampling};
use serde_json::Value;

/// The number of kinds of files; the kinds repeat in the folder. Every second kind is an intact image.
const KINDS: usize = 24;

/// A different image for each number.
fn picture(number: usize) -> RgbImage {
    RgbImage::from_fn(40, 36, |x, y| {
        let n = number as u32;
        [(x * (3 + n % 11) + n) as u8, (y * 5 + n / 7) as u8, (x * y + n / 251) as u8]
    })
}

/// The bytes of one kind of broken file.
fn broken(kind: usize, whole: &[u8]) -> Vec<u8> {
    let huge_png = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(),
        &200_000_u32.to_be_bytes(),
        &200_000_u32.to_be_bytes(),
        b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IDAT",
    ];
    match kind {
        0 => Vec::new(),
        1 => b"<html>not found</html>\x1b[2J".to_vec(),
        2 => whole[..whole.len() / 3].to_vec(),
        3 => whole[..12].to_vec(),
        4 => huge_png.concat(),
        5 => b"\x89PNG\r\n\x1a\n and then nothing".to_vec(),
        6 => b"RIFF\xff\xff\xff\x7fWEBPVP8 ".to_vec(),
        7 => b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(),
        8 => encode::jpeg(&RgbImage::from_fn(32, 32, |_, _| [7; 3]), 90, Subsampling::Quarter).unwrap(),
        9 => b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec(),
        _ => vec![0; 100_000],
    }
}

/// A file name with characters that are special in terminals, tables, HTML or shells.
fn name(number: usize) -> OsString {
    let hostile = match number % 7 {
        0 => "<img src=x onerror=alert(1)>",
        1 => "\u{1b}[31mred\u{1b}]0;title\u{7}",
        2 => "line\nbreak\r,\"quoted\"\t",
        3 => "\u{202e}gpj.exe",
        4 => "-rf --json $(reboot) `x` ; *",
        5 => "Grüße 写真 \u{9b}\u{7f}",
        _ => "plain",
    };
    let mut name = OsString::from(format!("{number:05} {hostile}"));
    #[cfg(unix)]
    if number.is_multiple_of(13) {
        use std::os::unix::ffi::OsStrExt;
        name.push(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    }
    name.push(["", ".jpg", ".JPEG", ".png"][1 + number % 3]);
    name
}

/// Writes `count` files, and some links and pipes. Returns the expected numbers of rows and of verdicts.
fn fill(folder: &Path, count: usize) -> (usize, usize) {
    fs::create_dir_all(folder).unwrap();
    let mut verdicts = 0;
    for number in 0..count {
        let whole = encode::jpeg(&picture(number), 85, Subsampling::Quarter).unwrap();
        let kind = number % KINDS;
        let (bytes, fine) = if kind.is_multiple_of(2) { (broken(kind / 2, &whole), false) } else { (whole, true) };
        verdicts += usize::from(fine);
        fs::write(folder.join(name(number)), bytes).unwrap();
    }
    (count + add_links_and_pipes(folder), verdicts)
}

/// Makes a broken link, a circular link, and a pipe without a writer. Returns the number of rows for them.
#[cfg(unix)]
fn add_links_and_pipes(folder: &Path) -> usize {
    use std::os::unix::fs::symlink;
    symlink("nowhere", folder.join("a dangling link.jpg")).unwrap();
    symlink(folder, folder.join("a circle")).unwrap();
    let pipe = Command::new("mkfifo").arg(folder.join("a pipe.jpg")).status();
    2 + usize::from(pipe.is_ok_and(|status| status.success()))
}

#[cfg(not(unix))]
fn add_links_and_pipes(_: &Path) -> usize {
    0
}

/// The output of the program, and its peak memory in kB where the system reports it.
struct Printed {
    code: Option<i32>,
    out: String,
    err: String,
    seconds: f64,
    peak_kb: u64,
}

fn predict(run: &Run, paths: &[PathBuf], style: &str) -> Printed {
    let out = run.dir.path().join("out");
    let err = run.dir.path().join("err");
    let mut command = program("candling-predict");
    command.arg("--run-dir").arg(run.run_dir().path()).arg(style).args(paths).stdin(Stdio::null());
    let start = Instant::now();
    let mut child = command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
    let mut peak_kb = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak_kb = peak.and_then(|kb| kb.trim().parse().ok()).unwrap_or(0).max(peak_kb);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(1800) {
            child.kill().unwrap();
            panic!("the program does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = |path: &Path| String::from_utf8(fs::read(path).unwrap()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    Printed { code: status.code(), out: text(&out), err: text(&err), seconds, peak_kb }
}

fn raw_controls(text: &str) -> usize {
    text.chars().filter(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}')).count()
}

/// The environment variable CANDLING_FILES sets the number of files. The default keeps the test short.
#[test]
fn processes_every_file_of_a_hostile_folder() {
    let count: usize = std::env::var("CANDLING_FILES").ok().map_or(4 * KINDS, |files| files.parse().unwrap());
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    let folder = run.dir.path().join("hostile");
    let (rows, verdicts) = fill(&folder, count);

    let json = predict(&run, std::slice::from_ref(&folder), "--json");
    eprintln!("{count} files: {:.1} s, at most {} MB", json.seconds, json.peak_kb / 1024);
    assert_eq!(json.code, Some(3), "{}", json.err);
    assert_eq!((raw_controls(&json.out), raw_controls(&json.err)), (0, 0));
    let lines: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let judged = lines.iter().filter(|row| row["verdict"].is_string()).count();
    assert_eq!((lines.len(), judged), (rows, verdicts), "{}", json.err);
    for row in &lines {
        assert_ne!(row["verdict"].is_string(), row["error"].is_string(), "{row}");
        assert_eq!(row["verdict"].is_string(), row["p_fake_calibrated"].is_number(), "{row}");
    }
    // JSON preserves the whole name.
    let path = folder.join(name(1)).to_string_lossy().into_owned();
    assert!(lines.iter().any(|row| row["path"] == path.as_str()), "{path:?}");

    let csv = predict(&run, std::slice::from_ref(&folder), "--csv");
    assert_eq!((csv.code, raw_controls(&csv.out)), (Some(3), 0));
    assert_eq!(csv.out.lines().count(), rows + 1);
}

#[test]
fn a_missing_file_is_a_row_with_an_error() {
    let run = Run::new();
    let fine = run.dir.path().join("fine.jpg");
    fs::write(&fine, encode::jpeg(&picture(3), 85, Subsampling::Quarter).unwrap()).unwrap();
    let printed = predict(&run, &[run.dir.path().join("absent\u{1b}[2J.png"), fine], "--json");
    assert_eq!(printed.code, Some(3));
    let rows: Vec<Value> = printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["error"].is_string() && rows[1]["verdict"].is_string(), "{rows:?}");
    assert!(rows[1]["p_fake_calibrated"].is_null(), "there is no evaluation to calibrate with");
    assert!(printed.err.contains("not calibrated") && raw_controls(&printed.err) == 0, "{}", printed.err);
}

/// Starts `candling-predict -` in the folder of the source images, with pipes for input and output.
fn predict_listed(run: &Run) -> Child {
    let mut command = program("candling-predict");
    command.arg("--run-dir").arg(run.run_dir().path()).args(["--json", "-"]).current_dir(run.source());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Returns the rows for a standard input, and the exit code.
fn predict_input(run: &Run, input: &[u8]) -> (Vec<Value>, Option<i32>) {
    let mut child = predict_listed(run);
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), output.status.code())
}

#[test]
fn reads_a_list_or_an_image_from_standard_input() {
    let run = Run::new();
    let jpeg = encode::jpeg(&picture(3), 85, Subsampling::Quarter).unwrap();
    let mut names: Vec<OsString> = ["BM", "b\nc.png"].map(OsString::from).into();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        names.push(std::ffi::OsStr::from_bytes(b"caf\xe9.png").into());
    }
    let mut zeros = Vec::new();
    for name in &names {
        fs::write(run.source().join(name), &jpeg).unwrap();
        zeros.extend([name.as_encoded_bytes(), b"\0"].concat());
    }
    let (rows, code) = predict_input(&run, &zeros);
    assert_eq!((rows.len(), code), (names.len(), Some(0)), "{rows:?}");

    let (rows, code) = predict_input(&run, "\u{feff}BM\r\n\r\nabsent.png\r\n".as_bytes());
    assert_eq!((rows.len(), code), (2, Some(3)), "{rows:?}");
    assert!(rows[0]["path"] == "BM" && rows[0]["verdict"].is_string() && rows[1]["error"].is_string(), "{rows:?}");

    let (rows, code) = predict_input(&run, &jpeg);
    assert!(code == Some(0) && rows.len() == 1 && rows[0]["path"] == "-" && rows[0]["p_fake"].is_number(), "{rows:?}");
    let heic = [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice(), &b"\n\x9c\x07".repeat(1000)].concat();
    for (unread, why) in [(heic.as_slice(), "HEIC"), (b"P6\n2 1\n255\n\n\n\n\n\n\n", "unsupported")] {
        let (rows, code) = predict_input(&run, unread);
        assert_eq!((rows.len(), code), (1, Some(3)), "{rows:?}");
        assert!(rows[0]["error"].as_str().unwrap().contains(why), "{rows:?}");
    }
}

/// Each row is printed before the next path is written. Closing the output ends the program although the input stays
/// open.
#[test]
fn prints_rows_while_the_list_is_written() {
    let run = Run::new();
    fs::write(run.source().join("a.jpg"), encode::jpeg(&picture(3), 85, Subsampling::Quarter).unwrap()).unwrap();
    let mut child = predict_listed(&run);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (sender, rows) = mpsc::channel();
    // Reads three rows, then closes the output.
    let reader = std::thread::spawn(move || {
        for _ in 0..3 {
            let mut row = String::new();
            output.read_line(&mut row).unwrap();
            sender.send(row).unwrap();
        }
    });
    for _ in 0..3 {
        input.write_all(b"a.jpg\n").unwrap();
        let row = rows.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
            child.kill().unwrap();
            panic!("no row before the next path is written");
        });
        assert!(row.contains("a.jpg"), "{row}");
    }
    reader.join().unwrap();
    input.write_all(b"a.jpg\n").unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the program does not end");
        }
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn distinguishes_an_unfitted_evaluation_from_a_missing_one() {
    let run = Run::new();
    // An evaluation of the validation split does not fit a temperature on it.
    succeed(&run.evaluate(&["--split", "val", "--set", "evaluate.examples=0"]));
    let (rows, output) = run.predict(&[&run.source().join("test").to_string_lossy()]);
    succeed(&output);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("fitted no temperature") && !message.contains("no evaluation"), "{message}");
    assert!(rows.iter().all(|row| row["p_fake_calibrated"].is_null() && row["verdict"].is_string()));
}

#[test]
fn uses_the_calibration_of_a_named_evaluation() {
    let run = Run::new();
    // The evaluation without a name is replaced by one of other weights.
    let other = run.run_dir().train_run(1).join("best").to_string_lossy().into_owned();
    succeed(&run.evaluate(&["--ckpt", "best", "--name", "kept", "--set", "evaluate.examples=0"]));
    succeed(&run.evaluate(&["--ckpt", &other, "--set", "evaluate.examples=0"]));
    let (rows, output) = run.predict(&[&run.source().join("test").to_string_lossy()]);
    succeed(&output);
    assert!(rows.iter().all(|row| row["p_fake_calibrated"].is_number()), "{rows:?}");
    // A damaged evaluation that is not needed is ignored.
    fs::write(run.run_dir().evaluate().join("metrics.json"), "{").unwrap();
    let (rows, _) = run.predict(&[&run.source().join("test").to_string_lossy()]);
    assert!(rows.iter().all(|row| row["p_fake_calibrated"].is_number()), "{rows:?}");
    // A damaged evaluation with a name is skipped. Without any other, each row has a warning.
    fs::write(run.run_dir().stage("evaluate-kept").join("metrics.json"), "{").unwrap();
    fs::remove_dir_all(run.run_dir().evaluate()).unwrap();
    let (rows, output) = run.predict(&[&run.source().join("test").to_string_lossy()]);
    succeed(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("skipping"), "{output:?}");
    assert!(rows.iter().all(|row| row["warnings"].to_string().contains("not calibrated")), "{rows:?}");
}

#[test]
fn shows_what_a_file_declares_without_changing_the_verdict() {
    let run = Run::new();
    let jpeg = encode::jpeg(&picture(3), 85, Subsampling::Quarter).unwrap();
    let text = b"a cat\nSteps: 20, Sampler: Euler \x1b[31m";
    let with_segment = |marker: u8, data: &[u8]| {
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
    };
    // An EXIF directory with an ImageDescription: tag, type, number of bytes, offset.
    let count = (text.len() as u32).to_be_bytes();
    let entry = [b"\x01\x0e\0\x02".as_slice(), &count, &26_u32.to_be_bytes(), &[0; 4]].concat();
    let exif = [b"Exif\0\0MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, text].concat();
    let (declaring, silent) = (run.dir.path().join("declaring.jpg"), run.dir.path().join("silent.jpg"));
    fs::write(&declaring, with_segment(0xe1, &exif)).unwrap();
    // A comment has the same text, but declares nothing.
    fs::write(&silent, with_segment(0xfe, text)).unwrap();
    let printed = predict(&run, &[declaring.clone(), silent], "--json");
    let rows: Vec<Value> = printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = str::from_utf8(text).unwrap();
    let declared = serde_json::json!([{ "kind": "generator_parameters", "text": text }]);
    assert_eq!((&rows[0]["declares"], &rows[1]["declares"]), (&declared, &Value::Array(Vec::new())));
    assert_eq!(rows[0]["p_fake"], rows[1]["p_fake"], "statements must not influence the verdict");
    assert_eq!(rows[0]["provenance"]["parameters"][0]["prompt"], "a cat");
    assert_eq!(rows[0]["provenance"]["credentials"]["state"], "absent");
    assert!(
        rows[1]["provenance"]["comment"].is_string() && rows[1]["provenance"]["parameters"] == Value::Array(Vec::new())
    );
    assert!(printed.err.contains("their absence proves nothing"), "{}", printed.err);
    let csv = predict(&run, &[declaring], "--csv").out;
    assert!(
        csv.contains("generator parameters: a cat") && csv.contains("Steps: 20") && raw_controls(&csv) == 0,
        "{csv}"
    );
}
