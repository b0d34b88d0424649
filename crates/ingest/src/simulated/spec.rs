//! What a simulated set holds: its size, its splits, and the name of each picture.

use std::fmt;
use std::str::FromStr;

use artifacts::{Label, Split};

use super::upsampling::Upsampling;

/// A simulated set, as `simulated:train=2000,test=400,size=96,seed=7` describes it: what stands after the colon is a list
/// of `key=value` with commas between, in any order.
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `train`, `val`, `test` | pictures in a split, half of them real | 2000, 0, 400 |
/// | `size` | pixels a side, a multiple of 8 from 16 to 1024 | 64 |
/// | `seed` | the set's seed | 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Height and width of each picture in pixels.
    pub size: usize,
    /// Pictures in the training split.
    pub train: u64,
    /// Pictures in the validation split; none by default, so that one is cut from the training split.
    pub val: u64,
    /// Pictures in the test split.
    pub test: u64,
    /// What all randomness comes from.
    pub seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { size: 64, train: 2000, val: 0, test: 400, seed: 0 }
    }
}

/// A description that makes no simulated set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// An item without `=`.
    #[error("`{0}` is no key=value; write e.g. simulated:train=2000,test=400,size=64,seed=7")]
    NoValue(String),
    /// A key that is not known.
    #[error("unknown key `{0}`; the keys are train, val, test, size and seed")]
    UnknownKey(String),
    /// A key given twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// A value that is no whole number.
    #[error("{key} is `{value}`, and must be a whole number")]
    NoNumber {
        /// The key.
        key: String,
        /// What stands behind it.
        value: String,
    },
    /// A size out of range.
    #[error("size is {0}, and must be a multiple of 8 from 16 to 1024")]
    Size(u64),
    /// More pictures than can be counted.
    #[error("train, val and test together are more than can be counted")]
    TooMany,
    /// No pictures at all.
    #[error("train, val and test are all 0, so the set is empty")]
    Empty,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Spec::default();
        let mut seen = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').ok_or_else(|| SpecError::NoValue(item.to_owned()))?;
            let (key, value) = (key.trim(), value.trim());
            if seen.contains(&key) {
                return Err(SpecError::Twice(key.to_owned()));
            }
            seen.push(key);
            spec.set(key, value)?;
        }
        spec.checked()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, train, val, test, seed } = self;
        write!(f, "train={train},val={val},test={test},size={size},seed={seed}")
    }
}

impl Spec {
    fn set(&mut self, key: &str, value: &str) -> Result<(), SpecError> {
        let number =
            || value.parse::<u64>().map_err(|_| SpecError::NoNumber { key: key.to_owned(), value: value.to_owned() });
        match key {
            "train" => self.train = number()?,
            "val" => self.val = number()?,
            "test" => self.test = number()?,
            "seed" => self.seed = number()?,
            "size" => {
                let size = number()?;
                self.size = usize::try_from(size).map_err(|_| SpecError::Size(size))?;
            }
            _ => return Err(SpecError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, SpecError> {
        if !(16..=1024).contains(&self.size) || !self.size.is_multiple_of(8) {
            return Err(SpecError::Size(self.size as u64));
        }
        let sum = self.train.checked_add(self.val);
        match sum.and_then(|sum| sum.checked_add(self.test)) {
            None => Err(SpecError::TooMany),
            Some(0) => Err(SpecError::Empty),
            Some(_) => Ok(self),
        }
    }

    /// Number of pictures in all splits.
    pub fn len(&self) -> u64 {
        self.train + self.val + self.test
    }

    /// Whether the set holds no picture.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What picture `index` is, where `index` is below [`Spec::len`]: the splits follow each other, real and fake
    /// alternate in each, and the generators of the fakes take turns.
    pub fn entry(&self, index: u64) -> Entry {
        let (split, place) = if index < self.train {
            (Split::Train, index)
        } else if index - self.train < self.val {
            (Split::Val, index - self.train)
        } else {
            (Split::Test, index - self.train - self.val)
        };
        let turn = (place / 2) as usize % Upsampling::ALL.len();
        let generator = (!place.is_multiple_of(2)).then_some(Upsampling::ALL[turn]);
        Entry { split, place, generator }
    }
}

/// The place of one picture in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The split it belongs to.
    pub split: Split,
    /// Its number within the split.
    pub place: u64,
    /// The simulated generator; none made a real picture.
    pub generator: Option<Upsampling>,
}

impl Entry {
    /// The class.
    pub fn label(&self) -> Label {
        match self.generator {
            None => Label::Real,
            Some(_) => Label::Fake,
        }
    }

    /// The path as a folder would have it, e.g. `train/fake/pixel_shuffle/000123.jpg`. The number counts both classes.
    pub fn path(&self) -> String {
        let (split, label, place) = (self.split, self.label(), self.place);
        match self.generator {
            None => format!("{split}/{label}/{place:06}.jpg"),
            Some(upsampling) => format!("{split}/{label}/{}/{place:06}.jpg", upsampling.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_and_written() {
        let spec: Spec = "train=20, test=4 ,size=96,seed=7".parse().unwrap();
        assert_eq!(spec, Spec { size: 96, train: 20, val: 0, test: 4, seed: 7 });
        assert_eq!(spec.to_string().parse(), Ok(spec));
        assert_eq!("".parse(), Ok(Spec::default()));
    }

    #[test]
    fn a_wrong_description_says_what_is_wrong() {
        let message = |text: &str| text.parse::<Spec>().unwrap_err().to_string();
        assert!(message("train").starts_with("`train` is no key=value"));
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
        let spec: Spec = "train=80,val=16,test=40".parse().unwrap();
        for (split, count) in [(Split::Train, 80), (Split::Val, 16), (Split::Test, 40)] {
            let entries: Vec<_> =
                (0..spec.len()).map(|index| spec.entry(index)).filter(|entry| entry.split == split).collect();
            assert_eq!(entries.len(), count);
            let of = |generator| entries.iter().filter(|e| e.generator == generator).count();
            assert_eq!(of(None), count / 2);
            for upsampling in Upsampling::ALL {
                assert_eq!(of(Some(upsampling)), count / 8, "{upsampling:?}");
            }
        }
    }

    #[test]
    fn paths_are_unique_and_name_split_label_and_generator() {
        let spec: Spec = "train=30,val=10,test=12".parse().unwrap();
        let paths: std::collections::BTreeSet<_> = (0..spec.len()).map(|i| spec.entry(i).path()).collect();
        assert_eq!(paths.len() as u64, spec.len());
        assert!(paths.contains("train/fake/nearest/000001.jpg"));
        assert!(paths.contains("test/real/000002.jpg"));
    }
}
