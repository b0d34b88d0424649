//! The program with a model: hostile pictures, the same result as `predict`, and signals.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/client.rs"]
#[allow(dead_code, reason = "this test uses only some of the functions")]
mod client;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use artifacts::Checkpoint;
use client::{check, form, form_type, get, request};
use model::device::{Device, DeviceChoice};
use model::{Network, NetworkConfig, PrecisionChoice};
use pipeline_tests::untrained::write_checkpoint;
use predict::{CheckOptions, ModelName};
use serde_json::Value;

/// Writes a small model with random weights.
fn write_model(dir: &Path) {
    let config = NetworkConfig { arch: "resnet18".to_owned(), ..NetworkConfig::default() };
    let mut network = Network::new(&config, &Device::Cpu).unwrap();
    network.initialise(7).unwrap();
    write_checkpoint(&Checkpoint::new(dir), &network, 32);
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-serve"));
    command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running program. It is killed when it is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(model: &Path) -> Program {
        let mut child =
            command(&["--port", "0", "--device", "cpu", "--model", &model.to_string_lossy()]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        Program { child, address: address.unwrap_or_else(|| panic!("no address: {line}")).parse().unwrap() }
    }

    fn signal(mut self, name: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let mut judge =
        predict::open(&ModelName::Folder(dir.path().to_owned()), DeviceChoice::Cpu, PrecisionChoice::Auto).unwrap();
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
