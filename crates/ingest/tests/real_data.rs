//! Ingest of the shared photographs.

use artifacts::Split;

use crate::common::Workplace;

#[test]
fn uses_all_faces() {
    let Some(source) = testing::shared("data/faces") else { return };
    let ingested = Workplace::new();
    let ingested = ingested.ingest("run", &source, &[]).done();
    let summary = ingested.summary();
    assert_eq!((summary.seen, summary.rejected), (2200, 0));
    let counts: Vec<u64> = summary.splits.values().map(|split| split.labels.values().sum()).collect();
    assert_eq!(counts, [1584, 176, 440]);
}

#[test]
fn names_the_broken_file_among_mixed_formats() {
    let Some(source) = testing::shared("data/mixed-formats") else { return };
    let place = Workplace::new();
    let ingested = place.ingest("run", &source, &[]).done();
    let rejected = ingested.rejected();
    let unusable: Vec<_> = rejected.iter().filter(|row| row.reason != "duplicate").collect();
    assert_eq!(unusable.len(), 1, "{unusable:?}");
    assert_eq!((unusable[0].path.as_str(), unusable[0].reason.as_str()), ("1_fake/sweater_weather_70.png", "blank"));
    let summary = ingested.summary();
    let formats = &summary.splits[&Split::Train].formats;
    assert_eq!(formats.keys().collect::<Vec<_>>(), ["jpeg", "png"]);
}
