//! The program with a model of random weights.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use artifacts::Checkpoint;
use model::device::Device;
use model::{Network, NetworkConfig};
use pipeline_tests::untrained::write_checkpoint;

/// Writes a small model with random weights.
pub(crate) fn write_model(dir: &Path) {
    let config = NetworkConfig { arch: "resnet18".to_owned(), ..NetworkConfig::default() };
    let mut network = Network::new(&config, &Device::Cpu).unwrap();
    network.initialise(7).unwrap();
    write_checkpoint(&Checkpoint::new(dir), &network, 32);
}

/// The program with these options, whose output is read by the test.
pub(crate) fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-serve"));
    command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running program. It is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts the program with a model, at a free port.
    pub(crate) fn start(model: &Path) -> Program {
        let mut child =
            command(&["--port", "0", "--device", "cpu", "--model", &model.to_string_lossy()]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        Program { child, address: address.unwrap_or_else(|| panic!("no address: {line}")).parse().unwrap() }
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, name: &str) -> ExitStatus {
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
