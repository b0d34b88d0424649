//! A killed program leaves either the old artifact or the new one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use artifacts::{Manifest, RunDir};

const SOURCE: &str = "simulated:train=240,test=60,size=16,seed=5";

fn command(run: &Path, seed: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-ingest"));
    command.arg("--run-dir").arg(run).args(["--data", SOURCE, "--set", "ingest.size=64", "--set"]);
    command.arg(format!("ingest.seed={seed}")).stderr(Stdio::null());
    command
}

/// Reads the manifest and verifies all files.
fn complete(run: &Path) -> Option<Manifest> {
    Manifest::read_verified(&RunDir::new(run).ingest()).unwrap()
}

#[test]
fn leaves_the_old_artifact_or_the_new_one_when_killed() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path();
    let (mut killed, mut seeds) = (0, Vec::new());
    for attempt in 0..30 {
        let mut child = command(run, attempt).spawn().unwrap();
        // The delays cover the time from before the first write to after the last one.
        sleep(Duration::from_millis(u64::from(attempt) * 6));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let seed = complete(run).map(|manifest| manifest.config["seed"].as_u64());
        assert!(seed.is_none_or(|seed| seed <= Some(u64::from(attempt))), "{seed:?} after {attempt}");
        assert!(seed.is_some() || seeds.iter().all(Option::is_none), "the old artifact is gone after {attempt}");
        seeds.push(seed);
    }
    assert!(killed >= 5, "only {killed} of 30 were killed before their end");
    assert!(command(run, 99).status().unwrap().success());
    assert_eq!(complete(run).unwrap().config["seed"], 99);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_ingest_with_code_130_and_a_message() {
    use std::io::{BufRead, BufReader};

    for signal in ["INT", "TERM"] {
        let place = tempfile::tempdir().unwrap();
        // Shells make programs ignore SIGINT that a script starts in the background.
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_candling-ingest")]);
        shell.arg("--run-dir").arg(place.path()).args(["--data", "simulated:train=100000,test=0,size=96,seed=1"]);
        let mut child = shell.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("running, because")));
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let message = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}: {message}");
        assert!(message.contains("ingest: interrupted; nothing is half written"), "{signal}: {message}");
    }
}
