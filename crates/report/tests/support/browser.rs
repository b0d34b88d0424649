//! Controls a headless Chromium through the DevTools protocol: JSON messages that end with a zero byte, sent over a
//! pair of FIFOs (<https://chromedevtools.github.io/devtools-protocol/>).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testing::Need;

/// The paths at which Linux distributions install Chromium and Chrome.
const PROGRAMS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/// The longest time to wait for an answer. It is long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
    session: String,
    next_id: u64,
    _home: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser. Returns `None`, and records the skipped test, if none is installed.
    pub(crate) fn start() -> Option<Browser> {
        let Some(program) = PROGRAMS.iter().map(Path::new).find(|path| path.exists()) else {
            testing::skip(Need::Chromium, format_args!("none of {} exists", PROGRAMS.join(", ")));
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| home.path().join(name));
        if !testing::make_fifos(&[&to, &from]) {
            return None;
        }
        let child = spawn(program, home.path(), &to, &from);
        // Opening a FIFO blocks until its other end is opened. The shell opens them in the same order.
        let commands = File::options().write(true).open(&to).unwrap();
        let answers = File::open(&from).unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            commands,
            messages,
            events: VecDeque::new(),
            session: String::new(),
            next_id: 0,
            _home: home,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = self.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Opens a file and waits until it has loaded.
    pub(crate) fn open(&mut self, path: &Path) {
        self.open_url(&format!("file://{}", path.canonicalize().unwrap().display()));
    }

    /// Opens an address and waits until the page has loaded.
    pub(crate) fn open_url(&mut self, url: &str) {
        let loads = |events: &VecDeque<Value>| events.iter().filter(|e| e["method"] == "Page.loadEventFired").count();
        let before = loads(&self.events);
        self.call("Page.navigate", json!({"url": url}));
        let start = Instant::now();
        while loads(&self.events) == before {
            assert!(start.elapsed() < TIMEOUT, "the page did not load");
            self.wait();
        }
    }

    /// Evaluates a JavaScript expression in the page. An exception fails the test.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Sets the size of the window in CSS pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", parameters);
    }

    /// Sets the preferred colour scheme: "light" or "dark".
    pub(crate) fn set_colour_scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Disables JavaScript in pages that are opened from now on.
    pub(crate) fn disable_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    /// Presses and releases a key. `code` is its virtual-key code in Windows.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let parameters = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Moves the pointer.
    pub(crate) fn move_pointer(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    /// Returns a screenshot of the whole page as a base64-encoded PNG.
    pub(crate) fn screenshot(&mut self) -> String {
        let result = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true, "format": "png"}));
        result["data"].as_str().unwrap().to_owned()
    }

    /// Returns the printed page as a base64-encoded PDF.
    pub(crate) fn print(&mut self) -> String {
        let result =
            self.call("Page.printToPDF", json!({"printBackground": false, "paperWidth": 8.27, "paperHeight": 11.69}));
        result["data"].as_str().unwrap().to_owned()
    }

    /// Returns all errors so far: exceptions, console errors and warnings, blocked content.
    pub(crate) fn errors(&mut self) -> Vec<String> {
        self.receive_events();
        let error = |event: &Value| match event["method"].as_str()? {
            "Runtime.exceptionThrown" => Some(event["params"]["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if event["params"]["type"] != "log" => Some(event["params"]["args"].to_string()),
            "Log.entryAdded" => Some(event["params"]["entry"].to_string()),
            _ => None,
        };
        self.events.iter().filter_map(error).collect()
    }

    /// Returns the URLs of all requests so far, except `data:` URLs, which load nothing.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.receive_events();
        let request = |event: &Value| {
            let url = event["params"]["request"]["url"].as_str()?;
            (event["method"] == "Network.requestWillBeSent" && !url.starts_with("data:")).then(|| url.to_owned())
        };
        self.events.iter().filter_map(request).collect()
    }

    /// Calls a method of the protocol and returns its result.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < TIMEOUT, "no answer to {method}");
            if let Some(answer) = self.wait().filter(|answer| answer["id"] == id) {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// Waits for one message. Stores it if it is an event, and returns it if it is an answer.
    fn wait(&mut self) -> Option<Value> {
        let message = self.messages.recv_timeout(TIMEOUT).expect("the browser sends a message");
        if message.get("id").is_some() {
            return Some(message);
        }
        self.events.push_back(message);
        None
    }

    /// Receives all events so far. Messages arrive in order, so all of them precede the answer to a new command.
    fn receive_events(&mut self) {
        self.call("Runtime.evaluate", json!({"expression": "0"}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, home: &Path, to: &PathBuf, from: &PathBuf) -> Child {
    Command::new("sh")
        .args(["-c", r#"to="$1" from="$2"; shift 2; exec "$@" 3<"$to" 4>"$from""#, "sh"])
        .args([to, from])
        .arg(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb"])
        .arg(format!("--user-data-dir={}", home.join("profile").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
