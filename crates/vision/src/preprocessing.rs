//! The preprocessing of images for a tower, and its reading from `preprocessor_config.json`.

use std::path::Path;

use pixels::{Filter, Fit, RgbImage, resize};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Family, as_usize, read_json};
use crate::error::{Error, Result};

/// How an image becomes the input of a tower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// Squash, or resize the shorter side and crop the centre.
    pub fit: Fit,
    /// The length of the shorter side before the crop. Equal to `size` if the fit is [`Fit::Squash`].
    pub shorter_side: usize,
    /// The resampling filter.
    pub filter: Filter,
    /// Subtracted per colour channel from bytes divided by 255.
    pub mean: [f32; 3],
    /// Divides the difference, per colour channel.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// Returns the preprocessing of the published models of a family, for inputs of `size` pixels.
    #[must_use]
    pub fn of_family(family: Family, size: usize) -> Self {
        let (fit, shorter_side, mean, std) = match family {
            Family::Clip => {
                (Fit::Crop, size, [0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1])
            }
            // Published models resize to 256 and crop 224. The border is even for other sizes as well.
            Family::Dinov2 => (Fit::Crop, size + size / 14 * 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Family::Siglip => (Fit::Squash, size, [0.5; 3], [0.5; 3]),
        };
        Self { size, fit, shorter_side, filter: Filter::Bicubic, mean, std }
    }

    /// Resizes and crops an image to `size` x `size`, with the same result as Pillow. The bytes of the result are the
    /// input of [`Tower::features`](crate::Tower::features).
    ///
    /// # Errors
    /// A size is 0 or too large.
    pub fn apply(&self, image: &RgbImage) -> Result<RgbImage> {
        let whole = resize(image, self.shorter_side as u32, self.filter, self.fit)?;
        let border = self.shorter_side.saturating_sub(self.size) / 2;
        if border == 0 && self.shorter_side == self.size {
            return Ok(whole);
        }
        let (row, size) = (whole.width() as usize * 3, self.size);
        let rows = whole.data().chunks_exact(row).skip(border).take(size);
        let data = rows.flat_map(|row| row[border * 3..(border + size) * 3].iter().copied()).collect();
        Ok(RgbImage::new(size as u32, size as u32, data)?)
    }

    /// Reads `preprocessor_config.json` in the folder of the weights. What it leaves out is as in the published models.
    pub(crate) fn beside(weights: &Path, family: Family, side: usize) -> Result<Self> {
        let path = weights.with_file_name("preprocessor_config.json");
        match read_json(&path)? {
            // Published models of DINOv2 have position embeddings for 518 pixels and inputs of 224.
            None if family == Family::Dinov2 && side == 518 => Ok(Self::of_family(family, 224)),
            None => Ok(Self::of_family(family, side)),
            Some(value) => Self::parse(&value, family, side).map_err(|problem| Error::Config { path, problem }),
        }
    }

    fn parse(value: &Value, family: Family, side: usize) -> std::result::Result<Self, String> {
        let on = |key: &str| value.get(key).and_then(Value::as_bool);
        for (key, needed) in [("do_resize", true), ("do_rescale", true), ("do_normalize", true)] {
            if on(key) == Some(!needed) {
                return Err(format!("`{key}` is {}, which is not supported", !needed));
            }
        }
        // A number is the shorter side; an object has the shorter side or both.
        let length = |key: &str| match value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(sides)) => {
                let side = ["shortest_edge", "height"].iter().find_map(|&name| sides.get(name));
                match (side.and_then(as_usize), sides.get("height") == sides.get("width")) {
                    (Some(length), true) => Ok(Some((length, !sides.contains_key("shortest_edge")))),
                    _ => Err(format!("`{key}` has no square size")),
                }
            }
            Some(number) => match as_usize(number) {
                Some(length) => Ok(Some((length, false))),
                None => Err(format!("`{key}` is {number}, not a number of pixels")),
            },
        };
        let defaults = Self::of_family(family, side);
        let crops = on("do_center_crop").unwrap_or(family != Family::Siglip);
        let (resized, both_sides) = length("size")?.unwrap_or((defaults.shorter_side, family == Family::Siglip));
        let size = match (crops, length("crop_size")?) {
            (true, Some((size, _))) => size,
            (true, None) => side.min(resized),
            (false, _) => resized,
        };
        if size == 0 || size > resized || resized > 1 << 13 {
            return Err(format!("images of {resized} pixels cannot be cropped to {size} pixels"));
        }
        if !crops && !both_sides && family != Family::Siglip {
            return Err(
                "`do_center_crop` is false, so that inputs would not be square; this is not supported".to_owned()
            );
        }
        if crops && !(resized - size).is_multiple_of(2) {
            return Err(format!("the border between {resized} and {size} pixels is no whole number of pixels"));
        }
        let filter = match value.get("resample").and_then(as_usize) {
            None => defaults.filter,
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(4) => Filter::Box,
            Some(other) => return Err(format!("`resample` is {other}; supported are 0 to 4")),
        };
        let colours = |key: &str, default: [f32; 3]| match value.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(found) => serde_json::from_value::<[f32; 3]>(found.clone())
                .map_err(|_| format!("`{key}` is {found}, not three numbers")),
        };
        let std = colours("image_std", defaults.std)?;
        if std.iter().any(|&std| std <= 0.0) {
            return Err("`image_std` has a value that is not positive".to_owned());
        }
        let fit = if crops && !both_sides { Fit::Crop } else { Fit::Squash };
        Ok(Self { size, fit, shorter_side: resized, filter, mean: colours("image_mean", defaults.mean)?, std })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_published_forms() {
        let clip = Preprocessing::of_family(Family::Clip, 224);
        for size in [json!(224), json!({"shortest_edge": 224})] {
            for crop in [json!(224), json!({"height": 224, "width": 224})] {
                let file = json!({"size": size, "crop_size": crop, "do_center_crop": true, "resample": 3,
                    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]});
                assert_eq!(Preprocessing::parse(&file, Family::Clip, 224).unwrap(), clip);
            }
        }
        let file = json!({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3,
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]});
        let dino = Preprocessing::parse(&file, Family::Dinov2, 518).unwrap();
        assert_eq!(dino, Preprocessing::of_family(Family::Dinov2, 224));
        assert_eq!((dino.shorter_side, dino.size), (256, 224));
        let file = json!({"size": {"height": 384, "width": 384}, "resample": 3, "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5]});
        let siglip = Preprocessing::parse(&file, Family::Siglip, 384).unwrap();
        assert_eq!(siglip, Preprocessing::of_family(Family::Siglip, 384));
    }

    #[test]
    fn rejects_what_is_not_supported() {
        for file in [
            json!({"do_normalize": false}),
            json!({"size": "large"}),
            json!({"size": {"height": 224, "width": 448}}),
            json!({"size": 100, "crop_size": 224}),
            json!({"image_std": [0.0, 1.0, 1.0]}),
            json!({"image_mean": 0.5}),
            json!({"resample": 9}),
        ] {
            assert!(Preprocessing::parse(&file, Family::Clip, 224).is_err(), "{file}");
        }
    }

    #[test]
    fn crops_the_centre_of_the_resized_image() {
        let image = RgbImage::new(32, 32, (0..32 * 32 * 3).map(|i| (i / 3 % 32 * 8) as u8).collect()).unwrap();
        let recipe = Preprocessing { shorter_side: 32, ..Preprocessing::of_family(Family::Dinov2, 28) };
        let cropped = recipe.apply(&image).unwrap();
        assert_eq!((cropped.width(), cropped.height()), (28, 28));
        let row: Vec<u8> = cropped.data()[..28 * 3].chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(row, (2..30).map(|x| x * 8).collect::<Vec<u8>>());
    }
}
