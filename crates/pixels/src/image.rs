//! An owned RGB image.

/// The pixels of an image: RGB with one byte per channel, row-major `[height, width, 3]`, without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

/// The error if the number of bytes does not match the shape of an image, or a side is zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an RGB image of {width}x{height} has {} bytes, not {bytes}", u64::from(*width) * u64::from(*height) * 3)]
pub struct ShapeError {
    width: u32,
    height: u32,
    bytes: usize,
}

impl RgbImage {
    /// Makes an image from `data`, row-major `[height, width, 3]`.
    ///
    /// # Errors
    /// A side is zero, or `data` does not have `height * width * 3` bytes.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, ShapeError> {
        let expected = u64::from(width).checked_mul(u64::from(height)).and_then(|pixels| pixels.checked_mul(3));
        if width == 0 || height == 0 || expected != Some(data.len() as u64) {
            return Err(ShapeError { width, height, bytes: data.len() });
        }
        Ok(Self { width, height, data })
    }

    /// Makes an image by calling `pixel(x, y)` for each pixel, row by row.
    ///
    /// # Panics
    /// If a side is zero.
    pub fn from_fn(width: u32, height: u32, mut pixel: impl FnMut(u32, u32) -> [u8; 3]) -> Self {
        assert!(width > 0 && height > 0, "an image has at least one pixel");
        let mut data = Vec::with_capacity(width as usize * height as usize * 3);
        for y in 0..height {
            for x in 0..width {
                data.extend_from_slice(&pixel(x, y));
            }
        }
        Self { width, height, data }
    }

    /// Makes a black image.
    pub(crate) fn black(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![0; width as usize * height as usize * 3] }
    }

    /// The width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `[height, width, 3]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels, `[height, width, 3]`, mutable.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Returns the pixels, `[height, width, 3]`.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Whether all pixels have the same colour, as in the images of many broken files.
    pub fn is_one_colour(&self) -> bool {
        let (pixels, _) = self.data.as_chunks::<3>();
        pixels.iter().all(|pixel| *pixel == pixels[0])
    }

    /// Returns the number of bytes in a row.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * 3
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RgbImage({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_data_that_does_not_fill_the_shape() {
        assert!(RgbImage::new(2, 1, vec![0; 6]).is_ok());
        let error = RgbImage::new(2, 2, vec![0; 6]).unwrap_err();
        assert_eq!(error.to_string(), "an RGB image of 2x2 has 12 bytes, not 6");
        assert!(RgbImage::new(0, 5, vec![]).is_err());
        assert!(RgbImage::new(u32::MAX, u32::MAX, vec![]).is_err());
    }

    #[test]
    fn recognises_images_of_one_colour() {
        assert!(RgbImage::from_fn(3, 2, |_, _| [1, 2, 3]).is_one_colour());
        assert!(!RgbImage::from_fn(3, 2, |x, y| [1, 2, u8::from(x + y == 3)]).is_one_colour());
    }
}
