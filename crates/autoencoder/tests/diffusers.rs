//! Reconstructions equal those of diffusers.

use autoencoder::Autoencoder;

use crate::common::Golden;

#[test]
fn reconstructions_equal_those_of_diffusers() {
    for golden in Golden::all() {
        let folder = tempfile::tempdir().unwrap();
        let autoencoder = Autoencoder::open(&golden.write(folder.path())).unwrap();
        let found = autoencoder.reconstruct(&golden.image(), 64).unwrap();
        let size = (golden.width * golden.height) as usize;
        for (at, expected) in golden.result.iter().enumerate() {
            let found = f64::from(found.data()[at % size * 3 + at / size]);
            let expected = ((expected + 1.0) * 127.5).clamp(0.0, 255.0);
            assert!((found - expected).abs() < 0.51, "{} {at}: {found} {expected}", golden.name);
        }
        // The latent distribution is not sampled.
        assert_eq!(autoencoder.reconstruct(&golden.image(), 64).unwrap(), found);
    }
}

#[test]
fn large_images_are_divided_into_tiles() {
    let golden = Golden::all().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let autoencoder = Autoencoder::open(&golden.write(folder.path())).unwrap();
    let image = pixels::RgbImage::from_fn(75, 50, |x, y| [(3 * x) as u8, (4 * y) as u8, 120]);
    let (whole, tiled) = (autoencoder.reconstruct(&image, 128).unwrap(), autoencoder.reconstruct(&image, 32).unwrap());
    assert_eq!((tiled.width(), tiled.height()), (75, 50));
    assert_eq!((whole.width(), whole.height()), (75, 50));
    assert_ne!(whole, tiled);
}
