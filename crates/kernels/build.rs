//! Compiles `cuda/*.cu` with nvcc if the feature `cuda` is enabled, and writes `kernels.rs` with the binaries.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Machine code for Turing, Ampere and Hopper, and PTX, which the driver compiles for later cards. `xtask/src/cuda.rs`
/// has the oldest nvcc that supports these targets.
const TARGETS: [&str; 3] =
    ["arch=compute_75,code=sm_75", "arch=compute_80,code=sm_80", "arch=compute_90,code=[sm_90,compute_90]"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=cuda");
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Err(message) = compile_all() {
        println!("cargo::error={message}");
    }
}

fn compile_all() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    let nvcc = find_nvcc()?;
    let entries = fs::read_dir("cuda").map_err(|e| format!("failed to list the folder cuda: {e}"))?;
    let mut sources: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    sources.sort();
    let mut processes = Vec::new();
    let mut table = String::from("static KERNELS: &[(&[&str], &[u8])] = &[\n");
    for source in &sources {
        let binary = out.join(source.with_extension("fatbin").file_name().unwrap_or_default());
        processes.push((source, command(&nvcc, source, &binary).spawn().map_err(|e| spawn_error(&nvcc, &e))?));
        let names = kernel_names(source)?;
        writeln!(table, "    (&{names:?}, include_bytes!({binary:?})),").map_err(|e| e.to_string())?;
    }
    table.push_str("];\n");
    let mut warnings = String::new();
    for (source, process) in processes {
        let output = process.wait_with_output().map_err(|e| spawn_error(&nvcc, &e))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // `cargo::error` takes one line.
            let stderr = stderr.replace('\n', "; ");
            return Err(format!("nvcc failed on {} ({}): {stderr}", source.display(), output.status));
        }
        stderr.lines().for_each(|line| println!("cargo::warning={}: {line}", source.display()));
        warnings.push_str(&stderr);
    }
    // A later nvcc may warn, for example about an old architecture. Warnings fail a test, but not the build.
    writeln!(table, "#[cfg(test)]\nstatic NVCC_WARNINGS: &str = {warnings:?};").map_err(|e| e.to_string())?;
    fs::write(out.join("kernels.rs"), table).map_err(|e| format!("failed to write kernels.rs: {e}"))
}

/// Returns the nvcc command for one file. It does not enable fast math, so that kernels compute what their source
/// states.
fn command(nvcc: &Path, source: &Path, binary: &Path) -> Command {
    let mut command = Command::new(nvcc);
    command.args(["-fatbin", "-std=c++17", "-O3"]);
    for target in TARGETS {
        command.args(["-gencode", target]);
    }
    command.arg("-o").arg(binary).arg(source).stderr(Stdio::piped());
    command
}

/// Returns the names of the kernels in a file, from the macros that define and export them.
fn kernel_names(source: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(source).map_err(|e| format!("failed to read {}: {e}", source.display()))?;
    let first_argument = |line: &str, macro_call: &str| -> Option<String> {
        let name = line.strip_prefix(macro_call)?.split([',', ')']).next()?;
        Some(name.to_owned())
    };
    let mut names = Vec::new();
    for line in text.lines() {
        names.extend(first_argument(line, "EXPORT("));
        if let Some(name) = ["KERNEL(", "LARGE_KERNEL("].into_iter().find_map(|call| first_argument(line, call)) {
            names.extend([format!("{name}_f32"), format!("{name}_bf16")]);
        }
    }
    Ok(names)
}

/// Finds nvcc in the toolkit that CUDA_HOME or CUDA_PATH names, in the path, or in /usr/local/cuda.
fn find_nvcc() -> Result<PathBuf, String> {
    let from_environment = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os).map(|home| nvcc_in(&home));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(nvcc_file_name())).collect();
    let default = nvcc_in(&OsString::from("/usr/local/cuda"));
    from_environment.chain(in_path).chain([default]).find(|nvcc| nvcc.is_file()).ok_or_else(|| {
        "the feature `cuda` needs nvcc: set CUDA_HOME to a CUDA toolkit, or build with `cargo xtask --cuda on`, which \
         can assemble one"
            .to_owned()
    })
}

fn nvcc_in(home: &OsString) -> PathBuf {
    Path::new(home).join("bin").join(nvcc_file_name())
}

fn nvcc_file_name() -> String {
    format!("nvcc{}", env::consts::EXE_SUFFIX)
}

fn spawn_error(nvcc: &Path, error: &std::io::Error) -> String {
    format!("failed to run {}: {error}", nvcc.display())
}
