//! Compiles `cuda/*.cu` for the feature `cuda`; without it there is nothing to do.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Turing, Ampere and Hopper as machine code; what comes later compiles the PTX when it starts. `xtask/src/cuda.rs` knows
/// the oldest nvcc that has them.
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
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?);
    let nvcc = nvcc()?;
    let listed = fs::read_dir("cuda").map_err(|e| format!("cannot list cuda: {e}"))?;
    let mut sources: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    sources.sort();
    let mut running = Vec::new();
    let mut table = String::from("static KERNELS: &[(&[&str], &[u8])] = &[\n");
    for source in &sources {
        let binary = out.join(source.with_extension("fatbin").file_name().unwrap_or_default());
        running.push((source, command(&nvcc, source, &binary).spawn().map_err(|e| not_started(&nvcc, &e))?));
        let names = kernels_of(source)?;
        writeln!(table, "    (&{names:?}, include_bytes!({binary:?})),").map_err(|e| e.to_string())?;
    }
    table.push_str("];\n");
    let mut warnings = String::new();
    for (source, process) in running {
        let output = process.wait_with_output().map_err(|e| not_started(&nvcc, &e))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // A message to cargo is one line.
            let said = said.replace('\n', "; ");
            return Err(format!("nvcc failed on {} ({}): {said}", source.display(), output.status));
        }
        said.lines().for_each(|line| println!("cargo::warning={}: {line}", source.display()));
        warnings.push_str(&said);
    }
    // A warning, of a later nvcc's about an architecture perhaps, stops no build; a test holds that there are none.
    writeln!(table, "#[cfg(test)]\nstatic NVCC_SAID: &str = {warnings:?};").map_err(|e| e.to_string())?;
    fs::write(out.join("kernels.rs"), table).map_err(|e| format!("cannot write kernels.rs: {e}"))
}

/// The compiler's command for one file. No fast mathematics: a kernel's arithmetic is what it says.
fn command(nvcc: &Path, source: &Path, binary: &Path) -> Command {
    let mut command = Command::new(nvcc);
    command.args(["-fatbin", "-std=c++17", "-O3"]);
    for target in TARGETS {
        command.args(["-gencode", target]);
    }
    command.arg("-o").arg(binary).arg(source).stderr(Stdio::piped());
    command
}

/// The names that the file defines, from the macros that define and export them.
fn kernels_of(source: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(source).map_err(|e| format!("cannot read {}: {e}", source.display()))?;
    let inside = |line: &str, open: &str| -> Option<String> {
        let name = line.strip_prefix(open)?.split([',', ')']).next()?;
        Some(name.to_owned())
    };
    let mut names = Vec::new();
    for line in text.lines() {
        names.extend(inside(line, "EXPORT("));
        if let Some(name) = ["KERNEL(", "LARGE_KERNEL("].into_iter().find_map(|open| inside(line, open)) {
            names.extend([format!("{name}_f32"), format!("{name}_bf16")]);
        }
    }
    Ok(names)
}

/// The compiler of the toolkit that the environment names, else the one in the path, else the usual place.
fn nvcc() -> Result<PathBuf, String> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os).map(|home| in_toolkit(&home));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(program())).collect();
    let usual = in_toolkit(&OsString::from("/usr/local/cuda"));
    named.chain(in_path).chain([usual]).find(|nvcc| nvcc.is_file()).ok_or_else(|| {
        "the feature `cuda` needs nvcc: set CUDA_HOME to a CUDA toolkit, or let `cargo xtask cuda-check` assemble one"
            .to_owned()
    })
}

fn in_toolkit(home: &OsString) -> PathBuf {
    Path::new(home).join("bin").join(program())
}

fn program() -> String {
    format!("nvcc{}", env::consts::EXE_SUFFIX)
}

fn not_started(nvcc: &Path, error: &std::io::Error) -> String {
    format!("cannot run {}: {error}", nvcc.display())
}
