//! The program with a model: hostile pictures, the same result as `predict`, and signals.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::PrecisionChoice;
use model::device::DeviceChoice;
use pixels::RgbImage;
use pixels::encode::{self, Subsampling};
use predict::{Check, CheckOptions, Judge, ModelName};
use serde_json::Value;

use crate::support::client::{check, form, form_type, get, request};
use crate::support::program::{Program, command, write_model};

fn open(model: &Path) -> Judge {
    predict::open(&ModelName::Folder(model.to_owned()), DeviceChoice::Cpu, PrecisionChoice::Auto).unwrap()
}

fn golden(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pixels").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_none_or(|extension| extension != "rgb"));
    files.sort();
    files
}

#[test]
fn result_equals_that_of_predict() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    let program = Program::start(dir.path());
    assert_eq!(program.address.ip().to_string(), "127.0.0.1");
    let mut judge = open(dir.path());
    for path in golden("decode") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let options = CheckOptions { stability: true, ..CheckOptions::default() };
        let expected = serde_json::to_value(judge.check(&name, &bytes, &options).unwrap().row).unwrap();
        let answer = check(program.address, &name, &bytes);
        assert_eq!(answer.json(), expected, "{name}");
        assert_eq!(answer.status, if expected["error"].is_null() { 200 } else { 422 });
    }
    // Every field of a real result is described.
    let document = get(program.address, "/api/openapi.json").json();
    let schemas = &document["components"]["schemas"];
    let picture = std::fs::read(&golden("decode")[0]).unwrap();
    let path = "/api/check?images=true&record=true";
    let full = request(program.address, "POST", path, &[form_type()], &form("a.jpg", &picture)).json();
    assert!(!full["images"].as_array().unwrap().is_empty() && full["picture"].is_string());
    // The record is that of this check.
    let record: predict::Record = serde_json::from_value(full["record"].clone()).unwrap();
    assert_eq!((&record.result["p_fake"], record.overlays.len()), (&full["p_fake"], 1));
    assert_eq!(undescribed(&schemas["Result"], &full, "result"), Vec::<String>::new());
    let health = get(program.address, "/api/health").json();
    assert_eq!(undescribed(&schemas["Model"], &health["model"], "model"), Vec::<String>::new());
}

#[test]
fn a_cancelled_check_ends_before_its_next_pass_through_the_model() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    let mut judge = open(dir.path());
    let picture =
        encode::jpeg(&RgbImage::from_fn(96, 80, |x, y| [x as u8, y as u8, 90]), 90, Subsampling::Full).unwrap();
    let options = CheckOptions { stability: true, explain: true, picture: Some(64), ..CheckOptions::default() };
    let asked = Cell::new(0);
    let mut check_until = |last: usize| -> Result<Check, predict::Error> {
        asked.set(0);
        judge.check_unless("a", &picture, &options, &|| {
            asked.set(asked.get() + 1);
            asked.get() > last
        })
    };
    let whole = check_until(usize::MAX).unwrap();
    // The picture itself, its six changed copies and the heat map.
    let passes = asked.get();
    assert_eq!((passes, whole.row.stability.unwrap().changes.len(), whole.overlays.len()), (8, 6, 1));
    for last in 0..passes {
        assert!(matches!(check_until(last), Err(predict::Error::Cancelled)), "{last}");
        assert_eq!(asked.get(), last + 1);
    }
    // The model is as before.
    assert_eq!(check_until(usize::MAX).unwrap().row.p_fake, whole.row.p_fake);
}

/// Lists the fields of a value that its schema does not describe. Objects without described fields can have any.
fn undescribed(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let Some(properties) = schema["properties"].as_object() else {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        return items.iter().flat_map(|item| undescribed(&schema["items"], item, path)).collect();
    };
    let fields = value.as_object().into_iter().flatten();
    let missing = fields.flat_map(|(name, value)| match properties.get(name) {
        Some(schema) => undescribed(schema, value, &format!("{path}.{name}")),
        None => vec![format!("{path}.{name}")],
    });
    missing.collect()
}

#[test]
fn hostile_pictures_have_a_clear_answer() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    let program = Program::start(dir.path());
    let refused = golden("refused");
    assert!(!refused.is_empty());
    for path in refused {
        let answer = check(program.address, "refused", &std::fs::read(&path).unwrap());
        assert!((answer.status, answer.error().is_empty()) == (422, false), "{}: {answer:?}", path.display());
    }
    for path in golden("decode") {
        let whole = std::fs::read(&path).unwrap();
        for part in [3, 5, 9] {
            let answer = check(program.address, "cut", &whole[..whole.len() * part / 10]);
            assert!([200, 422].contains(&answer.status), "{}: {answer:?}", path.display());
        }
        // A bit of every byte in turn, at the start of the file, where the headers are.
        let mut damaged = whole;
        for at in (0..damaged.len().min(400)).step_by(7) {
            damaged[at] ^= 1 << (at % 8);
            let answer = check(program.address, "damaged", &damaged);
            assert!([200, 422].contains(&answer.status), "{}: {answer:?}", path.display());
        }
    }
    // A PNG that claims to have 40 billion pixels.
    let size = 200_000_u32.to_be_bytes();
    let bomb =
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &size, &size, b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IDAT"].concat();
    assert_eq!(check(program.address, "bomb.png", &bomb).status, 422);
    assert_eq!(get(program.address, "/api/health").json()["status"], "ok");
}

#[test]
fn signals_end_the_program_with_130() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    for signal in ["-TERM", "-INT"] {
        let program = Program::start(dir.path());
        assert_eq!(get(program.address, "/api/health").status, 200);
        assert_eq!(program.signal(signal).code(), Some(130), "{signal}");
    }
}

#[test]
fn failures_have_the_documented_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let run = |options: &[&str]| {
        let output = command(options).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let missing = dir.path().join("none");
    let (code, message) = run(&["--port", "0", "--model", &missing.to_string_lossy()]);
    assert_eq!(code, 3, "{message}");
    let (code, message) = run(&["--port", "70000"]);
    assert_eq!(code, 2, "{message}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, message) = run(&["--port", &port]);
    assert!(code == 1 && message.contains("--port"), "{code}: {message}");
}

#[test]
fn help_describes_limits() {
    let mut child = command(&["--help"]).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    for option in ["--max-file-mb", "--max-megapixels", "--max-waiting", "--upload-seconds", "--port", "--model"] {
        assert!(text.contains(option), "{option}");
    }
}
