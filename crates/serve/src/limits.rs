//! The limits on requests.

use std::time::Duration;

/// The number of bytes of a multipart body beyond those of the file: boundaries and headers of parts.
const MULTIPART_OVERHEAD: u64 = 64 << 10;
/// Bytes per megabyte.
const MEGABYTE: u64 = 1_000_000;

/// The limits on requests.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// The largest file, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=4_000))]
    pub max_file_mb: u64,
    /// The largest picture, in millions of pixels
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub max_megapixels: u64,
    /// The number of pictures that may wait; further ones are refused with status 503
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub max_waiting: u64,
    /// The size of all files that are being received or wait, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_memory_mb: u64,
    /// The number of connections
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub max_connections: u64,
    /// The time to receive the header of a request, in seconds; also ends connections without requests
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub header_seconds: u64,
    /// The time to receive a file, in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub upload_seconds: u64,
    /// The time to wait for the result of a check, in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub check_seconds: u64,
}

impl Default for Limits {
    /// The defaults of the command line.
    fn default() -> Limits {
        Limits {
            max_file_mb: 50,
            max_megapixels: 100,
            max_waiting: 32,
            max_memory_mb: 512,
            max_connections: 128,
            header_seconds: 10,
            upload_seconds: 60,
            check_seconds: 120,
        }
    }
}

impl Limits {
    /// The largest file in bytes.
    pub fn max_file_bytes(&self) -> u64 {
        self.max_file_mb * MEGABYTE
    }

    /// The largest body of a request in bytes.
    pub(crate) fn max_body_bytes(&self) -> u64 {
        self.max_file_bytes() + MULTIPART_OVERHEAD
    }

    /// The largest number of pixels.
    pub(crate) fn max_pixels(&self) -> u64 {
        self.max_megapixels * 1_000_000
    }

    /// The size of all files in memory, in bytes. At least one body of the largest size fits.
    pub(crate) fn max_memory_bytes(&self) -> u64 {
        (self.max_memory_mb * MEGABYTE).max(self.max_body_bytes())
    }

    /// The time to receive the header of a request.
    pub(crate) fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// The time to receive a file.
    pub(crate) fn upload_time(&self) -> Duration {
        Duration::from_secs(self.upload_seconds)
    }

    /// The time to wait for a result.
    pub(crate) fn check_time(&self) -> Duration {
        Duration::from_secs(self.check_seconds)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[test]
    fn defaults_equal_those_of_the_command_line() {
        let command = Limits::augment_args(clap::Command::new("serve"));
        let parsed = Limits::from_arg_matches(&command.get_matches_from(["serve"])).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn one_file_of_the_largest_size_always_fits_in_memory() {
        let limits = Limits { max_file_mb: 2, max_memory_mb: 1, ..Limits::default() };
        assert!(limits.max_memory_bytes() >= limits.max_body_bytes());
    }
}
