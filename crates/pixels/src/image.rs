//! An owned RGB image.

/// Pixels of an image: RGB, one byte a channel, row-major `[height, width, 3]`, no padding between rows.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

/// Pixels that do not fill the shape they are said to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of RGB pixels do not make an image of {width}x{height}, which takes {}", u64::from(*width) * u64::from(*height) * 3)]
pub struct ShapeError {
    width: u32,
    height: u32,
    bytes: usize,
}

impl RgbImage {
    /// Takes `data`, row-major `[height, width, 3]`.
    ///
    /// # Errors
    /// If a side is zero, or if `data` is not `height * width * 3` bytes.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, ShapeError> {
        let expected = u64::from(width).checked_mul(u64::from(height)).and_then(|pixels| pixels.checked_mul(3));
        if width == 0 || height == 0 || expected != Some(data.len() as u64) {
            return Err(ShapeError { width, height, bytes: data.len() });
        }
        Ok(Self { width, height, data })
    }

    /// Makes an image by asking for each pixel, row by row.
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

    /// An image whose every byte is zero, to be filled by this crate's own operations.
    pub(crate) fn black(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![0; width as usize * height as usize * 3] }
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `[height, width, 3]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels, `[height, width, 3]`, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Gives up the pixels, `[height, width, 3]`.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Whether all pixels have one colour, as in what broken files decode to.
    pub fn is_one_colour(&self) -> bool {
        let (pixels, _) = self.data.as_chunks::<3>();
        pixels.iter().all(|pixel| *pixel == pixels[0])
    }

    /// The bytes of one row.
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
    fn the_shape_must_be_filled() {
        assert!(RgbImage::new(2, 1, vec![0; 6]).is_ok());
        let error = RgbImage::new(2, 2, vec![0; 6]).unwrap_err();
        assert_eq!(error.to_string(), "6 bytes of RGB pixels do not make an image of 2x2, which takes 12");
        assert!(RgbImage::new(0, 5, vec![]).is_err());
        assert!(RgbImage::new(u32::MAX, u32::MAX, vec![]).is_err());
    }

    #[test]
    fn one_colour_is_told_from_two() {
        assert!(RgbImage::from_fn(3, 2, |_, _| [1, 2, 3]).is_one_colour());
        assert!(!RgbImage::from_fn(3, 2, |x, y| [1, 2, u8::from(x + y == 3)]).is_one_colour());
    }
}
