//! The needs of tests, with their names in `CANDLING_REQUIRE`.

use std::fmt;

/// The environment variable that lists needs, separated by commas. A test fails if it would be skipped for one of them.
const REQUIRE: &str = "CANDLING_REQUIRE";

/// Something that some tests need and a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The folder `shared` beside the checkout: real images and ImageNet weights, which cannot be committed.
    Shared,
    /// The browser Chromium.
    Chromium,
    /// A Python with PyTorch, torchvision and safetensors.
    Peers,
    /// The program `mkfifo`.
    Mkfifo,
    /// A file system that can exchange two names atomically.
    Exchange,
    /// Namespaces of a user's own (`unshare`), in which a program mounts file systems without privileges.
    UserNamespaces,
    /// A processor with AVX2.
    Avx2,
    /// A processor with AVX-512 BF16.
    Avx512Bf16,
    /// A processor with AMX for bf16, and a system that allows its use.
    Amx,
    /// A C++ compiler, for the emulation of CUDA kernels.
    Gxx,
    /// A CUDA toolkit, or a Python with pip to assemble one.
    CudaToolkit,
    /// A CUDA card with its driver.
    Cuda,
    /// The cuDNN library.
    Cudnn,
    /// MPI with mpirun, and programs that were built with it.
    Mpi,
}

impl Need {
    /// Every need.
    pub const ALL: [Need; 14] = [
        Need::Shared,
        Need::Chromium,
        Need::Peers,
        Need::Mkfifo,
        Need::Exchange,
        Need::UserNamespaces,
        Need::Avx2,
        Need::Avx512Bf16,
        Need::Amx,
        Need::Gxx,
        Need::CudaToolkit,
        Need::Cuda,
        Need::Cudnn,
        Need::Mpi,
    ];

    /// The name in `CANDLING_REQUIRE` and in the summary of CI.
    pub fn name(self) -> &'static str {
        match self {
            Need::Shared => "shared",
            Need::Chromium => "chromium",
            Need::Peers => "peers",
            Need::Mkfifo => "mkfifo",
            Need::Exchange => "exchange",
            Need::UserNamespaces => "user-namespaces",
            Need::Avx2 => "avx2",
            Need::Avx512Bf16 => "avx512-bf16",
            Need::Amx => "amx",
            Need::Gxx => "g++",
            Need::CudaToolkit => "cuda-toolkit",
            Need::Cuda => "cuda",
            Need::Cudnn => "cudnn",
            Need::Mpi => "mpi",
        }
    }

    /// Instructions for providing the need on a machine that lacks it.
    pub fn how_to_provide(self) -> &'static str {
        match self {
            Need::Shared => "put the folder `shared` (data and weights) beside the checkout",
            Need::Chromium => "install Chromium (Debian: apt-get install chromium fonts-dejavu-core)",
            Need::Peers => {
                "install xtask/peers/requirements.txt into a Python and set CANDLING_PEER_PYTHON to its path"
            }
            Need::Mkfifo => "install mkfifo (Debian: apt-get install coreutils)",
            Need::Exchange => {
                "let temporary folders be on a file system that supports renameat2(RENAME_EXCHANGE), such as ext4, \
                 by setting TMPDIR"
            }
            Need::UserNamespaces => "run on Linux with util-linux, and allow unprivileged user namespaces",
            Need::Avx2 => "run on an x86-64 processor with AVX2",
            Need::Avx512Bf16 => "run on an x86-64 processor with AVX-512 BF16",
            Need::Amx => "run on Linux and an Intel processor with AMX (from Sapphire Rapids on)",
            Need::Gxx => "install g++ (Debian: apt-get install g++)",
            Need::CudaToolkit => "install CUDA 11.8 or later, or a Python with pip",
            Need::Cuda => "run on a machine with an NVIDIA card and its driver",
            Need::Cudnn => "install cuDNN 9",
            Need::Mpi => {
                "install MPI (Debian: apt-get install libopenmpi-dev openmpi-bin libclang-dev), and build with \
                 `--features train/mpi,pipeline-tests/mpi`"
            }
        }
    }

    /// Finds the need with this name.
    ///
    /// # Errors
    /// No need has this name; the error lists the names that exist.
    pub fn from_name(name: &str) -> Result<Need, UnknownNeed> {
        let found = Need::ALL.into_iter().find(|need| need.name() == name);
        found.ok_or_else(|| UnknownNeed(name.to_owned()))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name in `CANDLING_REQUIRE` that is not the name of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownNeed(String);

impl fmt::Display for UnknownNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Need::ALL.map(Need::name).join(", ");
        write!(f, "unknown need `{}` in {REQUIRE}; the needs are {names}", self.0)
    }
}

impl std::error::Error for UnknownNeed {}

/// Parses a list of needs such as `shared,chromium`. Ignores spaces and empty entries.
///
/// # Errors
/// An entry is not the name of a need.
pub fn parse_list(list: &str) -> Result<Vec<Need>, UnknownNeed> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Need::from_name).collect()
}

/// Returns the needs that `CANDLING_REQUIRE` lists, or an empty list if it is not set.
///
/// # Errors
/// An entry is not the name of a need.
pub fn required() -> Result<Vec<Need>, UnknownNeed> {
    parse_list(&std::env::var_os(REQUIRE).unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_comma_separated_needs() {
        assert_eq!(parse_list("shared, chromium,,"), Ok(vec![Need::Shared, Need::Chromium]));
        assert_eq!(parse_list(""), Ok(vec![]));
        for need in Need::ALL {
            assert_eq!(parse_list(need.name()), Ok(vec![need]));
        }
    }

    #[test]
    fn rejects_unknown_need_and_lists_known_ones() {
        let error = parse_list("shared,chromum").unwrap_err().to_string();
        assert!(error.contains("`chromum`") && error.contains("shared, chromium, peers"), "{error}");
    }

    /// Otherwise a misspelt name is noticed only on machines where a test is skipped.
    #[test]
    fn environment_lists_only_known_needs() {
        if let Err(error) = required() {
            panic!("{error}");
        }
    }
}
