//! Prediction of the splits that ingest will make.

use std::collections::{BTreeMap, BTreeSet};

use artifacts::Split;
use sources::Location;

use crate::Config;

/// Returns the splits that ingest will make, with the expected number of images in each if it is known. The splits of a
/// data set that may have to be downloaded are taken from `ingest.expected`. `None` if the splits
/// are unknown or the source cannot be opened.
pub(crate) fn predict_splits(config: &Config) -> Option<BTreeMap<Split, Option<u64>>> {
    let expected = config.expected_splits();
    let locations = config.source.parts().iter().map(|part| Location::parse(&part.source));
    if locations.collect::<Result<Vec<_>, _>>().ok()?.iter().any(Location::is_remote) {
        return Some(expected?.into_iter().map(|(split, images)| (split, Some(images))).collect());
    }
    let source = sources::open(&config.source_config()).ok()?;
    let used = (0..source.len()).map(|index| source.entry(index)).filter(|entry| entry.label.is_ok());
    let mut splits: BTreeSet<Split> = used.map(|entry| config.split.or(entry.split).unwrap_or(Split::Train)).collect();
    let fractions = [(Split::Test, config.test_fraction), (Split::Val, config.val_fraction)];
    if config.split.is_none() && splits.contains(&Split::Train) {
        splits.extend(fractions.into_iter().filter(|(_, fraction)| *fraction > 0.0).map(|(split, _)| split));
    }
    let images = |split: &Split| expected.as_ref().and_then(|expected| expected.get(split).copied());
    Some(splits.into_iter().map(|split| (split, images(&split))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Expected;

    #[test]
    fn predicts_splits_of_simulated_and_kaggle_sources() {
        let splits = |test: u32, test_fraction, split| {
            let source = format!("simulated:train=4,test={test},size=32").into();
            let config = Config { source, test_fraction, split, ..Config::default() };
            predict_splits(&config).unwrap().into_keys().collect::<BTreeSet<Split>>()
        };
        use Split::{Test, Train, Val};
        assert_eq!(splits(2, 0.0, None), BTreeSet::from([Train, Val, Test]));
        assert_eq!(splits(0, 0.0, None), BTreeSet::from([Train, Val]));
        assert_eq!(splits(0, 0.2, None), BTreeSet::from([Train, Val, Test]));
        assert_eq!(splits(0, 0.2, Some(Test)), BTreeSet::from([Test]));
        let unknown = Config { source: "kaggle:owner/slug".into(), ..Config::default() };
        assert_eq!(predict_splits(&unknown), None);
        let expected = Expected { dataset: unknown.source.to_string(), train: Some(10), ..Expected::default() };
        let known = predict_splits(&Config { expected: Some(expected), ..unknown });
        assert_eq!(known, Some(BTreeMap::from([(Train, Some(7)), (Val, Some(1)), (Test, Some(2))])));
    }
}
