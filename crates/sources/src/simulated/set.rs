//! The parameters of a simulated set, and the split, label, generator and path of each image.

use std::fmt;
use std::str::FromStr;

use artifacts::{Label, Split};

use super::upsampling::Upsampling;

/// The parameters of a simulated set, parsed from the text after `simulated:`, such as
/// `train=2000,test=400,size=96,seed=7`. Keys may come in any order. A missing key has its default.
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `train`, `val`, `test` | images in the split, half of them real | 2000, 0, 400 |
/// | `size` | height and width in pixels, a multiple of 8 from 16 to 1024 | 64 |
/// | `seed` | seed of all randomness | 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SimulatedSet {
    /// Height and width of each image in pixels.
    pub size: usize,
    /// The number of images in the training split.
    pub train: u64,
    /// The number of images in the validation split. With the default of 0, ingest makes it from a part of the training
    /// split.
    pub val: u64,
    /// The number of images in the test split.
    pub test: u64,
    /// The seed of all randomness.
    pub seed: u64,
}

impl Default for SimulatedSet {
    fn default() -> Self {
        Self { size: 64, train: 2000, val: 0, test: 400, seed: 0 }
    }
}

/// Invalid parameters of a simulated set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulatedSetError {
    /// A parameter has no `=`.
    #[error("`{0}` is not of the form key=value; write e.g. simulated:train=2000,test=400,size=64,seed=7")]
    NoValue(String),
    /// A key is unknown.
    #[error("unknown key `{0}`; the keys are train, val, test, size and seed")]
    UnknownKey(String),
    /// A key is given twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// A value is not a whole number.
    #[error("{key} must be a whole number, but is `{value}`")]
    NoNumber {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// The size is out of range.
    #[error("size must be a multiple of 8 from 16 to 1024, but is {0}")]
    Size(u64),
    /// The number of images overflows 64 bits.
    #[error("train, val and test add up to more than 64 bits can hold")]
    TooMany,
    /// The set has no images.
    #[error("train, val and test are all 0, so that the set is empty; set at least one of them")]
    Empty,
}

impl FromStr for SimulatedSet {
    type Err = SimulatedSetError;

    fn from_str(text: &str) -> Result<Self, SimulatedSetError> {
        let mut set = SimulatedSet::default();
        let mut seen = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').ok_or_else(|| SimulatedSetError::NoValue(item.to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            if seen.contains(&key) {
                return Err(SimulatedSetError::Twice(key.to_owned()));
            }
            seen.push(key);
            set.set(key, value)?;
        }
        set.checked()
    }
}

impl fmt::Display for SimulatedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, train, val, test, seed } = self;
        write!(f, "train={train},val={val},test={test},size={size},seed={seed}")
    }
}

impl SimulatedSet {
    fn set(&mut self, key: &str, value: &str) -> Result<(), SimulatedSetError> {
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| SimulatedSetError::NoNumber { key: key.to_owned(), value: value.to_owned() })
        };
        match key {
            "train" => self.train = number()?,
            "val" => self.val = number()?,
            "test" => self.test = number()?,
            "seed" => self.seed = number()?,
            "size" => {
                let size = number()?;
                self.size = usize::try_from(size).map_err(|_| SimulatedSetError::Size(size))?;
            }
            _ => return Err(SimulatedSetError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, SimulatedSetError> {
        if !(16..=1024).contains(&self.size) || !self.size.is_multiple_of(8) {
            return Err(SimulatedSetError::Size(self.size as u64));
        }
        let sum = self.train.checked_add(self.val);
        match sum.and_then(|sum| sum.checked_add(self.test)) {
            None => Err(SimulatedSetError::TooMany),
            Some(0) => Err(SimulatedSetError::Empty),
            Some(_) => Ok(self),
        }
    }

    /// The number of images in all splits.
    pub fn len(&self) -> u64 {
        self.train + self.val + self.test
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the split, the index in the split, and the generator of image `index`, which must be below
    /// [`SimulatedSet::len`]. The training images come first, then validation, then test. In each split, real and fake
    /// images alternate, and the fakes use the generators in turn.
    pub fn entry(&self, index: u64) -> SimulatedEntry {
        let (split, index_in_split) = if index < self.train {
            (Split::Train, index)
        } else if index - self.train < self.val {
            (Split::Val, index - self.train)
        } else {
            (Split::Test, index - self.train - self.val)
        };
        let turn = (index_in_split / 2) as usize % Upsampling::ALL.len();
        let generator = (!index_in_split.is_multiple_of(2)).then_some(Upsampling::ALL[turn]);
        SimulatedEntry { split, index_in_split, generator }
    }
}

/// The split and the generator of one image of a simulated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedEntry {
    /// The split of the image.
    pub split: Split,
    /// The index within the split.
    pub index_in_split: u64,
    /// The simulated generator; `None` for a real image.
    pub generator: Option<Upsampling>,
}

impl SimulatedEntry {
    /// The label.
    pub fn label(&self) -> Label {
        match self.generator {
            None => Label::Real,
            Some(_) => Label::Fake,
        }
    }

    /// The path, as if the set were a folder: `train/fake/pixel_shuffle/000123.jpg`. The number is the index within the
    /// split.
    pub fn path(&self) -> String {
        let (split, label, index_in_split) = (self.split, self.label(), self.index_in_split);
        match self.generator {
            None => format!("{split}/{label}/{index_in_split:06}.jpg"),
            Some(upsampling) => format!("{split}/{label}/{}/{index_in_split:06}.jpg", upsampling.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_round_trip_through_text() {
        let set: SimulatedSet = "train=20, test=4 ,size=96,seed=7".parse().unwrap();
        assert_eq!(set, SimulatedSet { size: 96, train: 20, val: 0, test: 4, seed: 7 });
        assert_eq!(set.to_string().parse(), Ok(set));
        assert_eq!("".parse(), Ok(SimulatedSet::default()));
    }

    #[test]
    fn errors_name_invalid_parameters() {
        let message = |text: &str| text.parse::<SimulatedSet>().unwrap_err().to_string();
        assert!(message("train").starts_with("`train` is not of the form key=value"));
        assert!(message("tain=3").contains("`tain`"));
        assert!(message("seed=1,seed=2").contains("twice"));
        assert!(message("train=many").contains("`many`"));
        assert!(message("test=-4").contains("`-4`"));
        assert!(message("size=17").contains("17"));
        assert!(message("size=0").contains('0'));
        assert!(message("train=18446744073709551615,test=1").contains("more than"));
        assert!(message("train=0,test=0").contains("empty"));
    }

    #[test]
    fn classes_and_generators_are_balanced() {
        let set: SimulatedSet = "train=80,val=16,test=40".parse().unwrap();
        for (split, count) in [(Split::Train, 80), (Split::Val, 16), (Split::Test, 40)] {
            let entries: Vec<_> =
                (0..set.len()).map(|index| set.entry(index)).filter(|entry| entry.split == split).collect();
            assert_eq!(entries.len(), count);
            let of = |generator| entries.iter().filter(|e| e.generator == generator).count();
            assert_eq!(of(None), count / 2);
            for upsampling in Upsampling::ALL {
                assert_eq!(of(Some(upsampling)), count / 8, "{upsampling:?}");
            }
        }
    }

    #[test]
    fn paths_are_unique_and_contain_split_label_and_generator() {
        let set: SimulatedSet = "train=30,val=10,test=12".parse().unwrap();
        let paths: std::collections::BTreeSet<_> = (0..set.len()).map(|i| set.entry(i).path()).collect();
        assert_eq!(paths.len() as u64, set.len());
        assert!(paths.contains("train/fake/nearest/000001.jpg"));
        assert!(paths.contains("test/real/000002.jpg"));
    }
}
