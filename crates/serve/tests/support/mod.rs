//! A server with a checker whose behaviour the file decides, and a client that sends bytes.

pub(crate) mod client;
#[cfg(unix)]
pub(crate) mod program;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use artifacts::stage::Failure;
use pixels::encode::{self, Subsampling};
use pixels::{DecodeError, Limits as PixelLimits, RgbImage};
use serde_json::{Value, json};
use serve::{Checked, Checker, EvidenceImage, Limits, PictureFile, Server};
use tokio::sync::oneshot;

/// A checker that takes some time for files that begin with `slow`, panics on `panic`, fails on `fail`, and decodes
/// others.
pub(crate) struct FakeChecker {
    /// The names of the files that it got.
    seen: Arc<Mutex<Vec<String>>>,
}

/// The time of a slow check.
pub(crate) const SLOW: Duration = Duration::from_millis(150);

impl Checker for FakeChecker {
    fn model(&self) -> Value {
        json!({ "name": "fake <b>model</b>", "weights": "ab".repeat(32), "band": { "low": 0.3, "high": 0.7 } })
    }

    fn check(&mut self, file: &PictureFile, is_cancelled: &dyn Fn() -> bool) -> Result<Checked, Failure> {
        self.seen.lock().unwrap().push(file.name.clone());
        if file.bytes.starts_with(b"slow") {
            let start = Instant::now();
            while start.elapsed() < SLOW && !is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Ok(Checked { result: result(file, Ok((8, 8))), ..Checked::default() });
        }
        if file.bytes.starts_with(b"panic") {
            panic!("the test asks for a panic");
        }
        if file.bytes.starts_with(b"fail") {
            return Err(Failure::failed("the test asks for a failure"));
        }
        let decoded = pixels::decode(&file.bytes, &PixelLimits::default());
        let size = decoded.as_ref().map(|decoded| (decoded.width, decoded.height));
        let result = result(file, size);
        let (mut images, mut picture) = (Vec::new(), None);
        if let Ok(decoded) = decoded
            && file.images
        {
            let heat = image::RgbImage::from_fn(decoded.rgb.width(), decoded.rgb.height(), |x, _| {
                image::Rgb([255, x as u8, 0])
            });
            let mut png = std::io::Cursor::new(Vec::new());
            heat.write_to(&mut png, image::ImageFormat::Png).unwrap();
            let heat = png.into_inner();
            images.push(EvidenceImage {
                branch: "patches".to_owned(),
                class: "fake".to_owned(),
                overlay: heat.clone(),
                heat,
                region: [0.25, 0.0, 0.75, 1.0],
            });
            picture = Some(encode::jpeg(&decoded.rgb, 90, Subsampling::Quarter).unwrap());
        }
        let record = json!({ "schema_version": 1, "result": result });
        Ok(Checked { result, record, origin: Vec::new(), images, picture })
    }
}

/// The verdict follows from the name of the file.
fn result(file: &PictureFile, size: Result<(u32, u32), &DecodeError>) -> Value {
    let verdict = ["fake", "inconclusive"].into_iter().find(|verdict| file.name.contains(verdict)).unwrap_or("real");
    let score = match verdict {
        "fake" => 0.934,
        "inconclusive" => 0.52,
        _ => 0.04,
    };
    let declares = json!({ "kind": "generator_parameters", "text": "a cat, <b>studio</b> light\nSteps: 20" });
    let error = size.err().map(ToString::to_string);
    let known = error.is_none();
    json!({
        "path": file.name, "p_fake": known.then_some(score), "p_fake_calibrated": known.then_some(score),
        "branches": { "patches": 0.91, "frequency": null }, "verdict": known.then_some(verdict), "error": error,
        "warnings": ["no training image was a <i>png</i> file"], "declares": [declares], "explanation": null,
        "file": "cd".repeat(32), "model": "ab".repeat(32), "format": "jpeg", "width": size.ok().map(|size| size.0),
        "height": size.ok().map(|size| size.1),
    })
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Running {
    pub(crate) fn start(limits: Limits) -> Running {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let open = {
            let seen = Arc::clone(&seen);
            move || Ok(Box::new(FakeChecker { seen: Arc::clone(&seen) }) as Box<dyn Checker>)
        };
        let server = Server::open(0, limits, Box::new(open)).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            server.run(async {
                let _ = stopped.await;
            })
        });
        Running { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The names of the files that were checked, in their order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Ends the server and returns its result.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.stop.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the server panicked");
        }
    }
}

/// A small JPEG.
pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| [(x * 3) as u8, (y * 5) as u8, (x * y / 7) as u8]);
    encode::jpeg(&picture, 90, Subsampling::Quarter).unwrap()
}

/// Waits until a condition is true.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
