//! What a download will take, said before it begins.

use std::fmt;
use std::path::PathBuf;

use artifacts::progress;

use super::{Dataset, Local};

/// A rate to reckon with where nothing is known of the connection, in bytes a second.
const ASSUMED_RATE: u64 = 10_000_000;

/// What fetching a data set will take. Shown, it is one sentence for the user.
#[derive(Debug, Clone)]
pub struct Description {
    /// The data set with the version that will be used.
    pub dataset: Dataset,
    /// The bytes to download: 0 if the data set is on this machine, `None` if Kaggle does not say.
    pub bytes: Option<u64>,
    /// The data set, if it is on this machine.
    pub cached: Option<Local>,
    /// Where it will be.
    pub folder: PathBuf,
    /// The bytes free there.
    pub free: Option<u64>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { dataset, bytes, cached, folder, free } = self;
        if let Some(local) = cached {
            return write!(f, "{dataset} is on this machine at `{}`", local.path.display());
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
            None => write!(f, "{dataset} will be downloaded; Kaggle does not say how large it is")?,
        }
        write!(f, " to `{}`", folder.display())?;
        match free {
            Some(free) if bytes.is_some_and(|bytes| bytes > *free) => {
                write!(f, ", where only {} are free; set KAGGLEHUB_CACHE to a folder with more", progress::bytes(*free))
            }
            Some(free) => write!(f, ", where {} are free", progress::bytes(*free)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_time_and_space_are_said() {
        let mut description = Description {
            dataset: "o/s@3".parse().unwrap(),
            bytes: Some(5_400_000_000),
            cached: None,
            folder: PathBuf::from("cache"),
            free: Some(6_000_000_000),
        };
        assert_eq!(
            description.to_string(),
            "kaggle:o/s@3 will be downloaded: 5.4 GB (about 9 min at 10 MB/s) to `cache`, where 6.0 GB are free"
        );
        description.free = Some(1_000_000_000);
        assert!(description.to_string().contains("only 1.0 GB are free; set KAGGLEHUB_CACHE"), "{description}");
    }
}
