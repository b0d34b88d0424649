//! Augmentation at native resolution: what happens to images between the camera or generator and the reader.

mod config;

use artifacts::random::{self, Stream};
use pixels::degrade::{self, DegradeError};
use pixels::encode::{self, Subsampling};
use pixels::{Filter, Limits, RgbImage, decode, resize_to};
use rand::RngExt;

pub use self::config::{AugmentConfig, Blur, Crop, Jpeg, Noise, Resize, Webp};

/// The largest number of pixels of an enlarged image.
const MAX_PIXELS: f64 = 100e6;

/// An augmented image.
#[derive(Clone, Debug)]
pub struct Augmented {
    /// The image.
    pub image: RgbImage,
    /// The file that the image was decoded from last, if augmentation encoded it.
    pub file: Option<Vec<u8>>,
}

/// The changes that are drawn for one image. `None` is no change.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Draws {
    /// Share of the area, and position from 0 to 1 of the crop in the room that it has.
    crop: Option<(f32, [f32; 2])>,
    flip: bool,
    resize: Option<(f32, Filter)>,
    blur: Option<f32>,
    noise: Option<f32>,
    webp: Option<u8>,
    jpeg: Option<(u8, Subsampling)>,
}

/// Returns the random stream for image `sample` in `epoch`. An epoch has one view of each image; further views get
/// numbers of their own.
pub fn stream(seed: u64, epoch: u64, sample: u64) -> Stream {
    random::stream(seed, "native augment", &[epoch, sample])
}

/// Augments an image with the changes that are drawn from `random`. Returns `None` if no change is drawn.
///
/// The draws of a change do not depend on whether others are enabled. An image that is too large for WebP or JPEG is
/// not encoded, and one that would get more than 100 million pixels is not resized.
///
/// # Errors
/// `config` was not validated and a value is out of range.
pub fn augment(
    image: &RgbImage,
    config: &AugmentConfig,
    random: &mut Stream,
) -> Result<Option<Augmented>, DegradeError> {
    let Draws { crop, flip, resize, blur, noise, webp, jpeg } = draw(config, random);
    let mut changed: Option<RgbImage> = None;
    let mut file = None;
    if let Some((area, position)) = crop {
        changed = Some(cropped(image, area, position)?);
    }
    if flip {
        degrade::flip_horizontal(changed.get_or_insert_with(|| image.clone()));
    }
    if let Some((scale, filter)) = resize
        && let Some(resized) = resized(changed.as_ref().unwrap_or(image), scale, filter)
    {
        changed = Some(resized);
    }
    if let Some(sigma) = blur {
        changed = Some(degrade::gaussian_blur(changed.as_ref().unwrap_or(image), sigma)?);
    }
    if let Some(std) = noise {
        changed = Some(degrade::noise(changed.as_ref().unwrap_or(image), std, random)?);
    }
    if let Some(quality) = webp
        && let Ok(bytes) = encode::webp(changed.as_ref().unwrap_or(image), quality)
    {
        changed = Some(decoded(&bytes));
        file = Some(bytes);
    }
    if let Some((quality, subsampling)) = jpeg
        && let Ok(bytes) = encode::jpeg(changed.as_ref().unwrap_or(image), quality, subsampling)
    {
        changed = Some(decoded(&bytes));
        file = Some(bytes);
    }
    Ok(changed.map(|image| Augmented { image, file }))
}

/// Draws the changes of an image. All numbers are drawn, so that enabling one change does not alter the others.
fn draw(config: &AugmentConfig, random: &mut Stream) -> Draws {
    // `random_bool` would draw nothing for a probability of 1.
    let mut chance = |probability: f64| random.random::<f64>() < probability;
    let flip = config.flip & chance(0.5);
    let (crops, resizes, blurs) =
        (chance(config.crop.probability), chance(config.resize.probability), chance(config.blur.probability));
    let (adds_noise, encodes_webp, encodes_jpeg) =
        (chance(config.noise.probability), chance(config.webp.probability), chance(config.jpeg.probability));
    let full_chroma = chance(0.5);
    let mut between = |[low, high]: [f32; 2]| low + (high - low) * random.random::<f32>();
    let area = between(config.crop.area);
    let position = [between([0.0, 1.0]), between([0.0, 1.0])];
    let scale = between(config.resize.scale.map(f32::ln)).exp();
    let filter = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos][(between([0.0, 3.0]) as usize).min(2)];
    let (sigma, std) = (between(config.blur.sigma), between(config.noise.std));
    let mut quality = |[low, high]: [u8; 2]| {
        let [low, high] = [low, high].map(f32::from);
        between([low, high + 1.0]).min(high) as u8
    };
    let (webp_quality, jpeg_quality) = (quality(config.webp.quality), quality(config.jpeg.quality));
    let subsampling = if full_chroma { Subsampling::Full } else { Subsampling::Quarter };
    Draws {
        crop: crops.then_some((area, position)),
        flip,
        resize: resizes.then_some((scale, filter)),
        blur: blurs.then_some(sigma),
        noise: adds_noise.then_some(std),
        webp: encodes_webp.then_some(webp_quality),
        jpeg: encodes_jpeg.then_some((jpeg_quality, subsampling)),
    }
}

/// Crops to a share of the area with the same aspect ratio, at a position from 0 (left, top) to 1 (right, bottom).
fn cropped(image: &RgbImage, area: f32, position: [f32; 2]) -> Result<RgbImage, DegradeError> {
    let factor = f64::from(area).sqrt();
    let side = |length: u32| ((f64::from(length) * factor).round() as u32).clamp(1, length);
    let (width, height) = (side(image.width()), side(image.height()));
    let offset = |room: u32, share: f32| ((f64::from(room + 1) * f64::from(share)) as u32).min(room);
    let [left, top] = [offset(image.width() - width, position[0]), offset(image.height() - height, position[1])];
    degrade::crop(image, left, top, width, height)
}

/// Resizes by a factor. `None` if the result would be too large.
fn resized(image: &RgbImage, scale: f32, filter: Filter) -> Option<RgbImage> {
    let side = |length: u32| (f64::from(length) * f64::from(scale)).round().max(1.0);
    let (width, height) = (side(image.width()), side(image.height()));
    if scale > 1.0 && width * height > MAX_PIXELS {
        return None;
    }
    resize_to(image, width as u32, height as u32, filter).ok()
}

fn decoded(file: &[u8]) -> RgbImage {
    decode(file, &Limits { max_pixels: u64::MAX }).expect("a file that was just encoded can be decoded").rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(40, 24, |x, y| [(x * 6) as u8, (y * 9) as u8, ((x * y * 3) % 200) as u8])
    }

    fn everything() -> AugmentConfig {
        AugmentConfig {
            crop: Crop { probability: 1.0, ..Crop::default() },
            flip: true,
            resize: Resize { probability: 1.0, ..Resize::default() },
            blur: Blur { probability: 1.0, ..Blur::default() },
            noise: Noise { probability: 1.0, ..Noise::default() },
            webp: Webp { probability: 1.0, ..Webp::default() },
            jpeg: Jpeg { probability: 1.0, ..Jpeg::default() },
        }
    }

    fn drawn(config: &AugmentConfig, sample: u64) -> Draws {
        draw(config, &mut stream(3, 1, sample))
    }

    fn augmented(config: &AugmentConfig, image: &RgbImage, epoch: u64, sample: u64) -> Option<Augmented> {
        augment(image, config, &mut stream(3, epoch, sample)).unwrap()
    }

    #[test]
    fn is_off_by_default() {
        assert!((0..50).all(|sample| augmented(&AugmentConfig::default(), &image(), 0, sample).is_none()));
    }

    #[test]
    fn enabling_one_change_keeps_the_draws_of_the_others() {
        let all = everything();
        for sample in 0..50 {
            let whole = drawn(&all, sample);
            let only_jpeg = drawn(&AugmentConfig { jpeg: all.jpeg, ..AugmentConfig::default() }, sample);
            assert_eq!(
                only_jpeg,
                Draws { crop: None, flip: false, resize: None, blur: None, noise: None, webp: None, ..whole }
            );
            let without_crop = drawn(&AugmentConfig { crop: Crop::default(), ..all }, sample);
            assert_eq!(without_crop, Draws { crop: None, ..whole });
        }
    }

    #[test]
    fn draws_cover_their_ranges() {
        let config = AugmentConfig {
            jpeg: Jpeg { probability: 0.5, quality: [80, 82] },
            resize: Resize { probability: 1.0, scale: [0.5, 2.0] },
            crop: Crop { probability: 1.0, area: [0.25, 0.25] },
            ..AugmentConfig::default()
        };
        let draws: Vec<Draws> = (0..600).map(|sample| drawn(&config, sample)).collect();
        let compressed = draws.iter().filter(|draws| draws.jpeg.is_some()).count();
        assert!((250..350).contains(&compressed), "{compressed} of 600");
        for quality in 80..=82 {
            let count = draws.iter().filter(|draws| draws.jpeg.is_some_and(|jpeg| jpeg.0 == quality)).count();
            assert!((70..130).contains(&count), "{count} with quality {quality}");
        }
        let smaller = draws.iter().filter(|draws| draws.resize.is_some_and(|resize| resize.0 < 1.0)).count();
        assert!((250..350).contains(&smaller), "{smaller} of 600");
        assert!(draws.iter().all(|draws| draws.crop.is_some_and(|crop| crop.0 == 0.25) && !draws.flip));
    }

    #[test]
    fn crops_keep_the_aspect_ratio_and_reach_every_corner() {
        let source = image();
        for (position, [x, y]) in [([0.0, 0.0], [0, 0]), ([0.9999, 0.0], [20, 0]), ([0.0, 0.9999], [0, 12])] {
            let cut = cropped(&source, 0.25, position).unwrap();
            assert_eq!(cut, degrade::crop(&source, x, y, 20, 12).unwrap());
        }
        assert_eq!(cropped(&source, 1.0, [0.7, 0.7]).unwrap(), source);
    }

    #[test]
    fn depends_on_seed_epoch_and_sample_only() {
        let (config, image) = (everything(), image());
        let result = |epoch, sample| augmented(&config, &image, epoch, sample).unwrap().image;
        assert_eq!(result(1, 2), result(1, 2));
        assert_ne!(result(1, 2), result(2, 2));
        assert_ne!(result(1, 2), result(1, 3));
    }

    #[test]
    fn returns_the_encoded_file() {
        let webp = AugmentConfig { webp: Webp { probability: 1.0, quality: [60, 60] }, ..AugmentConfig::default() };
        let both = AugmentConfig { jpeg: Jpeg { probability: 1.0, quality: [70, 70] }, ..webp };
        for (config, format) in [(webp, pixels::Format::WebP), (both, pixels::Format::Jpeg)] {
            let Augmented { image, file } = augmented(&config, &image(), 0, 0).unwrap();
            let decoded = decode(&file.unwrap(), &Limits::default()).unwrap();
            assert_eq!((decoded.format, decoded.rgb), (format, image));
        }
        let flip = AugmentConfig { flip: true, ..AugmentConfig::default() };
        assert!(
            (0..20).filter_map(|sample| augmented(&flip, &image(), 0, sample)).all(|flipped| flipped.file.is_none())
        );
    }

    #[test]
    fn works_for_tiny_and_very_long_images() {
        let config = everything();
        for image in [RgbImage::from_fn(1, 1, |_, _| [9; 3]), RgbImage::from_fn(20_000, 2, |x, _| [x as u8; 3])] {
            for sample in 0..5 {
                assert!(augmented(&config, &image, 0, sample).is_some());
            }
        }
    }
}
