//! Training and serving use the same pixels: the shards of ingest equal the result of the recipe that a checkpoint
//! stores.

use artifacts::schema::{PreprocessorConfig, ReencodeFormat};
use artifacts::{Manifest, RunDir, Split};
use pixels::encode::{Subsampling, jpeg};
use pixels::{Filter, Fit, Limits, Recipe, RgbImage, decode, resize};

use crate::common::{Workplace, patches, picture};

/// Decodes, re-encodes and resizes a file step by step, without a recipe.
fn reference(file: &[u8], recipe: &Recipe) -> Vec<u8> {
    let decode = |file: &[u8]| -> RgbImage { decode(file, &Limits::default()).unwrap().rgb };
    let mut image = decode(file);
    if let Some(reencode) = recipe.reencode {
        assert_eq!(reencode.format, ReencodeFormat::Jpeg);
        image = decode(&jpeg(&image, reencode.quality, Subsampling::Quarter).unwrap());
    }
    resize(&image, recipe.size, recipe.filter, recipe.fit).unwrap().into_data()
}

#[test]
fn shards_equal_the_recipe_of_the_checkpoint_for_every_combination() {
    let place = Workplace::new();
    // Tall, wide and square files.
    for number in 0..3 {
        place.add(&format!("test/real/{number}.jpg"), &picture(number));
        let (width, height) = [(20, 60), (60, 25), (33, 33)][number as usize];
        let file = jpeg(&patches(100 + number, width, height), 85, Subsampling::Full).unwrap();
        place.add(&format!("test/fake/{number}.jpg"), &file);
    }
    let filters = [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
    for (filter, fit) in filters.into_iter().flat_map(|filter| [(filter, Fit::Squash), (filter, Fit::Crop)]) {
        for reencode in [None, Some("reencode={format='jpeg', quality=60}")] {
            let name = format!("{}-{}-{}", filter.name(), fit.name(), reencode.is_some());
            let set = [format!("filter={}", filter.name()), format!("fit={}", fit.name()), "audit=false".to_owned()];
            let set: Vec<&str> = set.iter().map(String::as_str).chain(reencode).collect();
            let ingested = place.ingest(&name, &place.path("data"), &set).done();

            let manifest = Manifest::require(&RunDir::new(place.path(&name)).ingest(), "ingest").unwrap();
            let trained: Recipe = serde_json::from_value(manifest.config).unwrap();
            assert_eq!((trained.filter, trained.fit, trained.reencode.is_some()), (filter, fit, reencode.is_some()));
            let stored = serde_json::to_vec(&trained.preprocessor_config([0.5; 3], [0.5; 3])).unwrap();
            let stored: PreprocessorConfig = serde_json::from_slice(&stored).unwrap();
            let served = Recipe::from_preprocessor_config(&stored).unwrap();

            let shards = ingested.shards(Split::Test);
            assert_eq!(shards.len(), 6);
            for row in 0..shards.len() {
                let path = &shards.sample(row).path;
                let file = std::fs::read(place.path("data").join(path)).unwrap();
                let pixels = served.pixels(&served.decode(&file).unwrap().rgb).unwrap();
                assert_eq!(shards.pixels(row), pixels, "{name} {path}");
                assert_eq!(shards.pixels(row), reference(&file, &trained), "{name} {path}");
            }
        }
    }
}
