//! What the folders above an image say of it.
//!
//! The data sets of the field are trees whose folders are named after classes, splits, generators and subjects, in any order.
//! Names decide and never sorting order:
//! - the class is that of the deepest folder which `[ingest.labels]` maps, and else the one that the folders' names say; where
//!   they say both (`fake/nature`), nobody can know which is meant, and the image is not used;
//! - folders that all images share, and the source's own name, say the class only where nothing else does;
//! - the split is the outermost folder that names one;
//! - the generator of a fake is what `ingest.generator` says, or the folder that `[ingest.labels]` maps, and else the outermost
//!   folder that names neither, not counting the folders that all images share above their class.

use std::collections::BTreeSet;
use std::path::Path;

use artifacts::Label;
use artifacts::text::visible;

use super::vocabulary::Vocabulary;
use super::{Entry, SourceError};
use crate::Config;
use crate::reject::Fault;

/// The most folder names that an error lists.
const LISTED: usize = 12;

/// How the folders of one source are read.
pub(super) struct Layout {
    words: Vocabulary,
    /// How many of the outermost folders all images share: `ddata` says nothing of a generator.
    shared: usize,
    /// What the shared folders and the source's own name say, where no other folder names a class.
    common: Option<Label>,
}

impl Layout {
    /// The layout of images at `paths`, which have `/` between their parts, below something called `root`.
    ///
    /// # Errors
    /// If no path says a class, [`SourceError::NoLabels`] with the folders there are.
    pub(super) fn of<'a>(
        paths: impl Iterator<Item = &'a str> + Clone,
        root: &Path,
        config: &Config,
    ) -> Result<Layout, SourceError> {
        let mut layout = Layout { words: Vocabulary::of(config), shared: 0, common: None };
        layout.shared = shared_folders(paths.clone());
        if paths.clone().any(|path| !matches!(layout.class(folders(path).skip(layout.shared)), Ok(None))) {
            return Ok(layout);
        }
        let root_name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let shared = paths.clone().next().into_iter().flat_map(folders).take(layout.shared);
        let class = match layout.class(shared) {
            Ok(None) => layout.class(std::iter::once(root_name.as_str())),
            shared => shared,
        };
        if let Ok(Some((_, label))) = class {
            layout.common = Some(label);
            return Ok(layout);
        }
        let folders: BTreeSet<&str> = paths.flat_map(folders).collect();
        let more =
            if folders.len() > LISTED { format!(" … and {} more", folders.len() - LISTED) } else { String::new() };
        let listed: Vec<String> = folders.iter().take(LISTED).map(|folder| visible(folder)).collect();
        Err(SourceError::NoLabels {
            path: root.to_owned(),
            folders: if listed.is_empty() { "none at all".to_owned() } else { listed.join(", ") + &more },
            example: listed.last().cloned().unwrap_or_else(|| "FOLDER".to_owned()),
        })
    }

    /// What the path says.
    pub(super) fn entry(&self, path: &str) -> Entry {
        let class = self.class(folders(path).skip(self.shared));
        let label = match &class {
            Ok(named) => named.map(|(_, label)| label).or(self.common).ok_or_else(Fault::no_label),
            Err(fault) => Err(fault.clone()),
        };
        let generator = match (&label, &self.words.generator, class) {
            (Ok(Label::Fake), Some(generator), _) => generator,
            (Ok(Label::Fake), None, Ok(Some((folder, _)))) if self.words.mapped(folder).is_some() => folder,
            (Ok(Label::Fake), None, _) => self.generator(path),
            _ => "",
        };
        Entry {
            path: visible(path),
            label,
            split: folders(path).find_map(|folder| self.words.split(folder)),
            generator: visible(generator),
        }
    }

    /// The class that some folders of one path name, outermost first, and the deepest folder that does.
    fn class<'a>(&self, folders: impl Iterator<Item = &'a str>) -> Result<Option<(&'a str, Label)>, Fault> {
        let (mut mapped, mut named, mut conflict) = (None, None, None);
        for folder in folders {
            if let Some(label) = self.words.mapped(folder) {
                mapped = Some((folder, label));
            } else if let Some(label) = Label::from_name(folder) {
                conflict = conflict.or(named.filter(|(_, outer)| *outer != label).map(|(outer, _)| (outer, folder)));
                named = Some((folder, label));
            }
        }
        match (mapped, conflict) {
            (None, Some((outer, inner))) => Err(Fault::both_labels(&visible(outer), &visible(inner))),
            _ => Ok(mapped.or(named)),
        }
    }

    /// The outermost folder that names neither class nor split: of those not shared by all images, and else of those below
    /// the class that all images have in common.
    fn generator<'a>(&self, path: &'a str) -> &'a str {
        let unnamed = |folder: &&str| self.words.label(folder).is_none() && self.words.split(folder).is_none();
        let below_class = || {
            self.common?;
            let shared = || folders(path).take(self.shared);
            // The source's own name stands above all of them.
            let class = shared().position(|folder| self.words.label(folder).is_some()).unwrap_or(0);
            shared().skip(class).find(unnamed)
        };
        folders(path).skip(self.shared).find(unnamed).or_else(below_class).unwrap_or_default()
    }
}

/// The folders of a path, outermost first.
fn folders(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
    parents.split('/').filter(|part| !part.is_empty())
}

/// How many of the outermost folders all paths have in common.
fn shared_folders<'a>(mut paths: impl Iterator<Item = &'a str>) -> usize {
    let mut shared: Vec<&str> = paths.next().map(|path| folders(path).collect()).unwrap_or_default();
    for path in paths {
        let common = shared.iter().zip(folders(path)).take_while(|(a, b)| **a == *b).count();
        shared.truncate(common);
    }
    shared.len()
}

#[cfg(test)]
mod tests {
    use artifacts::Split;

    use super::*;

    /// The entries of some paths, as `label split generator`.
    fn read(paths: &[&str], config: &Config) -> Vec<String> {
        let layout = Layout::of(paths.iter().copied(), Path::new("root"), config).unwrap();
        let show = |path: &&str| {
            let Entry { label, split, generator, .. } = layout.entry(path);
            let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let label = label.ok().map(|label| label.to_string());
            format!("{} {} {generator}", word(label), word(split.map(|split| split.to_string())))
        };
        paths.iter().map(show).collect()
    }

    #[test]
    fn the_data_sets_of_the_field_are_read_by_their_names() {
        let plain = Config::default();
        let sets: [(&[&str], &[&str]); 7] = [
            // DeepDetect-2025, 140k Real and Fake Faces, CIFAKE
            (&["ddata/train/real/1.jpg", "ddata/test/fake/2.jpg"], &["real train ", "fake test "]),
            (
                &["real_vs_fake/real-vs-fake/valid/real/1.jpg", "real_vs_fake/real-vs-fake/train/fake/1.jpg"],
                &["real val ", "fake train "],
            ),
            (&["train/REAL/1.jpg", "test/FAKE/1.jpg"], &["real train ", "fake test "]),
            // ForenSynths, GenImage, AIGIBench, WildRF
            (&["progan/car/0_real/1.png", "stargan/1_fake/1.png"], &["real - ", "fake - stargan"]),
            (&["ADM/imagenet_ai/train/ai/1.png", "Midjourney/val/nature/1.png"], &["fake train ADM", "real val "]),
            (&["test/R3GAN/1_fake/1.png", "train/car/0_real/1.png"], &["fake test R3GAN", "real train "]),
            (&["test/reddit/1_fake/1.png", "test/twitter/0_real/2.png"], &["fake test reddit", "real test "]),
        ];
        for (paths, expected) in sets {
            assert_eq!(read(paths, &plain), expected, "{paths:?}");
        }
        assert_eq!(
            read(&["train/fake/nearest/1.jpg", "test/real/2.jpg"], &plain),
            ["fake train nearest", "real test "]
        );
    }

    #[test]
    fn folders_of_subjects_are_no_generators_where_the_configuration_names_one() {
        let paths = ["car/1_fake/1.png", "cat/1_fake/2.png", "cat/0_real/3.png"];
        assert_eq!(read(&paths, &Config::default()), ["fake - car", "fake - cat", "real - "]);
        let config = Config { generator: Some("ProGAN".to_owned()), ..Config::default() };
        assert_eq!(read(&paths, &config), ["fake - ProGAN", "fake - ProGAN", "real - "]);
    }

    #[test]
    fn a_mapping_names_what_the_folders_do_not() {
        let mut config = Config::default();
        config.labels.extend([("ADM".to_owned(), Label::Fake), ("sdv1".to_owned(), Label::Fake)]);
        config.splits.insert("train2017".to_owned(), Split::Train);
        // DiffusionForensics, DRCT-2M
        let paths =
            ["images/test/imagenet/adm/1.png", "images/test/imagenet/real/1.png", "images/train/lsun/adm/2.png"];
        assert_eq!(read(&paths, &config), ["fake test adm", "real test ", "fake train adm"]);
        assert_eq!(read(&["sdv1/train2017/1.png", "MSCOCO/train2017/1.png"], &config), ["fake train sdv1", "- train "]);
    }

    #[test]
    fn the_sources_name_and_shared_folders_are_the_last_resort() {
        let at = |root: &str, paths: &[&str]| {
            let layout = Layout::of(paths.iter().copied(), Path::new(root), &Config::default()).unwrap();
            let entries = paths.iter().map(|path| layout.entry(path));
            entries.map(|entry| (entry.label.ok(), entry.generator)).collect::<Vec<_>>()
        };
        let (real, fake) = (Some(Label::Real), Some(Label::Fake));
        assert_eq!(at("photos/0_real", &["1.jpg"]), [(real, String::new())]);
        assert_eq!(at("1_fake", &["sdxl/1.jpg"]), [(fake, "sdxl".to_owned())]);
        assert_eq!(
            at("x", &["fake/sdxl/1.png", "fake/sdxl/2.png"]),
            [(fake, "sdxl".to_owned()), (fake, "sdxl".to_owned())]
        );
        assert_eq!(at("x", &["train/ai/1.png"]), [(fake, String::new())]);
        // Where some folders name a class, neither the root nor what all share speaks for the others.
        assert_eq!(at("fake", &["real/1.jpg", "cats/2.jpg"]), [(real, String::new()), (None, String::new())]);
        assert_eq!(
            at("x", &["fake/train/real/1.jpg", "fake/train/ai/2.jpg"]),
            [(real, String::new()), (fake, String::new())]
        );
    }

    #[test]
    fn a_path_that_names_both_classes_is_refused_unless_a_mapping_decides() {
        let paths = ["fake/nature/1.png", "fake/sdxl/2.png", "real/3.png"];
        let mut config = Config::default();
        assert_eq!(read(&paths, &config), ["- - ", "fake - sdxl", "real - "]);
        let layout = Layout::of(paths.into_iter(), Path::new("root"), &config).unwrap();
        let fault = layout.entry(paths[0]).label.unwrap_err();
        assert!(fault.detail.contains("`fake`") && fault.detail.contains("`nature`"), "{}", fault.detail);
        config.labels.insert("nature".to_owned(), Label::Fake);
        assert_eq!(read(&paths, &config), ["fake - nature", "fake - sdxl", "real - "]);
    }

    #[test]
    fn without_any_class_the_error_lists_the_folders() {
        let error = Layout::of(["cats/1.jpg", "dogs/a/2.jpg"].into_iter(), Path::new("pets"), &Config::default());
        let message = error.err().unwrap().to_string();
        for part in ["`pets`", "a, cats, dogs", "ingest.labels.dogs=fake"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
