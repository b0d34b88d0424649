//! Description of a download for the user: size, time and folder.

use std::fmt;
use std::path::PathBuf;

use artifacts::progress;

use super::{Dataset, Local};

/// The assumed speed of the connection in bytes per second.
const ASSUMED_RATE: u64 = 10_000_000;

/// The description of a download. `Display` formats it for the user.
#[derive(Debug, Clone)]
pub struct Description {
    /// The data set, with its version.
    pub dataset: Dataset,
    /// The number of bytes to download: 0 if the data set is in the cache, `None` if unknown.
    pub bytes: Option<u64>,
    /// The data set in the cache, if it is there.
    pub cached: Option<Local>,
    /// The folder for the download.
    pub folder: PathBuf,
    /// The free space in the folder in bytes.
    pub free: Option<u64>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { dataset, bytes, cached, folder, free } = self;
        if let Some(local) = cached {
            return write!(f, "{dataset} is in `{}`", local.path.display());
        }
        match bytes {
            Some(bytes) => {
                let minutes = (bytes / ASSUMED_RATE).div_ceil(60).max(1);
                write!(
                    f,
                    "{dataset} will be downloaded: {} (about {minutes} min at 10 MB/s)",
                    progress::bytes(*bytes)
                )?;
            }
            None => write!(f, "{dataset} will be downloaded; its size is unknown")?,
        }
        write!(f, " to `{}`", folder.display())?;
        match free {
            Some(free) if bytes.is_some_and(|bytes| bytes > *free) => {
                write!(
                    f,
                    ", which has only {} free; set KAGGLEHUB_CACHE to a folder with more space",
                    progress::bytes(*free)
                )
            }
            Some(free) => write!(f, ", which has {} free", progress::bytes(*free)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_size_time_and_free_space() {
        let mut description = Description {
            dataset: "o/s@3".parse().unwrap(),
            bytes: Some(5_400_000_000),
            cached: None,
            folder: PathBuf::from("cache"),
            free: Some(6_000_000_000),
        };
        assert_eq!(
            description.to_string(),
            "kaggle:o/s@3 will be downloaded: 5.4 GB (about 9 min at 10 MB/s) to `cache`, which has 6.0 GB free"
        );
        description.free = Some(1_000_000_000);
        assert!(description.to_string().contains("only 1.0 GB free; set KAGGLEHUB_CACHE"), "{description}");
    }
}
