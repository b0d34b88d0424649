//! Lists, settings and other texts.

/// Lists of images.
pub(super) const CSV: [&str; 2] = [
    "path,label,split,generator\na.jpg,real,train,\n\"b, c.jpg\",fake,test,sdxl\n",
    "\u{feff}label;path\r\n1;a\\b.jpg\r\n0;c.jpg\r\n",
];

/// Predictions of other programs.
pub(super) const PREDICTIONS: [&str; 4] = [
    "path,label,score,generator\na.jpg,real,0.25,\nb.jpg,fake,nan,sdxl\n",
    "file;logit_real;logit_fake;model\r\nx\\y.png;-1.5;2e3;a\r\n",
    "{\"path\": \"a.jpg\", \"p_fake\": 0.5, \"label\": 1}\n{\"id\": \"x\", \"verdict\": true}\n",
    "a.jpg 0.25\nb.jpg 0.75\n",
];

/// Values of `--set`.
pub(super) const SETTINGS: [&str; 6] = [
    "train.epochs=2",
    "train.augment.blur.sigma=[0.5, 1.5]",
    "model.branches=[\"vit\"]",
    "ingest.labels.\"a=b\"=fake",
    "ingest.splits={ x = \"train\" }",
    "report.title=2024",
];

/// URLs, and names of sources.
pub(super) const URLS: [&str; 6] = [
    "https://example.org:8080/a/b%20c?d=e&f#g",
    "http://[::1]/x",
    "http://user@host/",
    "simulated:train=24,test=12,size=32,seed=3",
    "kaggle:owner/data/versions/2",
    "hf:datasets/owner/data",
];

/// Headers of responses: `Content-Range`, `x-goog-hash`, a digest, `Retry-After`.
pub(super) const HEADERS: [&str; 7] = [
    "bytes 0-9/100",
    "Bytes 5-18446744073709551615/*",
    "bytes */100",
    "crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "120",
    "Wed, 21 Oct 2015 07:28:00 GMT",
];

/// Pipeline files, and the description of a benchmark.
pub(super) const CONFIGURATIONS: [&str; 7] = [
    include_str!("../../../../pipelines/branches.toml"),
    include_str!("../../../../pipelines/demo.toml"),
    include_str!("../../../../pipelines/full.toml"),
    include_str!("../../../../pipelines/probe.toml"),
    include_str!("../../../../pipelines/smoke.toml"),
    include_str!("../../../../benchmarks/chameleon.toml"),
    NESTED,
];

/// Tables, lists, dates and numbers in all notations of TOML.
const NESTED: &str = r#"
[ingest]
source = ['simulated:train=4', "folder \u00e9"]
labels = { "a b" = 'fake', c.d = "real" }
val_fraction = 2.5e-1
size = 0x20

[train]
epochs = 1_000
learning_rate = nan
augment.blur.sigma = [[[[1], 2.0], -inf], 1979-05-27T07:32:00Z]

[report]
title = """
two \
  lines"""
"#;

/// The positions in training states of both schema versions.
pub(super) const POSITIONS: [&str; 2] = [
    r#"{"schema_version":2,"identity":{"config":{"weights":"none","batch":5,"augment":{"flip":true}},
"inputs":{"ingest/train":"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},"version":1,"device":"cpu"},
"epoch":3,"batches":1,"step":4,"sums":{"loss":1.5,"correct":1,"images":2,"seconds":0.5},
"best":{"epoch":2,"accuracy":1.0,"loss":0.65,"roc_auc":1.0},"events_len":828}"#,
    r#"{"schema_version":1,"identity":{"settings":"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
"device":"cpu"},"epoch":1,"batches":0,"step":0,"sums":{"loss":0.0,"correct":0,"images":0,"seconds":0.0},
"best":null,"events_len":0}"#,
];

pub(super) const MANIFEST: &str = r#"{
  "schema_version": 2, "stage": "ingest", "created": "2026-01-01T00:00:00Z",
  "code": { "version": 3, "program": "0.1.0", "executable": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" },
  "config": { "size": 224 }, "inputs": {}, "outputs": {}, "seconds": 1.5, "device": "cpu", "summary": null
}"#;
