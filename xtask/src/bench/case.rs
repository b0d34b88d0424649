//! One thing that is measured, on both sides, and the rows of results that come of it.

use serde::Serialize;

use super::args::{Malloc, Part};
use super::entrant::Entrant;
use super::statistics::{median, spread};

/// One thing that is measured.
pub(crate) struct Case {
    /// The part it belongs to.
    pub(crate) part: Part,
    /// The name of its result, or what the names of its results begin with.
    pub(crate) name: String,
    /// Candling.
    pub(crate) ours: Entrant,
    /// Who it is held against.
    pub(crate) peers: Vec<Entrant>,
    /// Which of the machine's peaks limits it.
    pub(crate) limit: Option<&'static str>,
}

/// One result. Its public form, `--json`, is the contract's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Such as `cpu.train.f32.b16`.
    pub(crate) name: String,
    /// Candling's median.
    pub(crate) ours: Option<f64>,
    /// Who it is held against.
    pub(crate) peer_name: Option<String>,
    /// The peer's median.
    pub(crate) peer: Option<f64>,
    /// Above 1 Candling is better.
    pub(crate) ratio: Option<f64>,
    /// What both count.
    pub(crate) unit: String,
    /// Why something is missing, or who else was on the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The table it stands in.
    #[serde(skip)]
    pub(crate) table: Table,
    /// The lowest and the highest ratio of a round.
    #[serde(skip)]
    pub(crate) spread: Option<[f64; 2]>,
    /// Share of the arithmetic that the machine can do at most, 0 to 1.
    #[serde(skip)]
    pub(crate) share: Option<f64>,
    /// Share of the bytes that it can copy.
    #[serde(skip)]
    pub(crate) bandwidth: Option<f64>,
}

/// The tables of the page, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// A part's own.
    Of(Part),
    /// The most memory that programs took.
    Memory,
}

impl Row {
    /// A row that says nothing yet.
    fn new(name: String, table: Table, unit: &str) -> Row {
        Row {
            name,
            ours: None,
            peer_name: None,
            peer: None,
            ratio: None,
            unit: unit.to_owned(),
            note: None,
            table,
            spread: None,
            share: None,
            bandwidth: None,
        }
    }
}

impl Case {
    /// Measures both sides once; who begins changes from round to round.
    pub(crate) fn measure(&mut self, round: u32, malloc: Malloc, company: fn() -> Option<String>) {
        let mut sides: Vec<&mut Entrant> = std::iter::once(&mut self.ours).chain(&mut self.peers).collect();
        if !round.is_multiple_of(2) {
            sides.reverse();
        }
        sides.into_iter().for_each(|side| side.measure(malloc, company));
    }

    /// Its results. `peak` finds the machine's peak by name, in operations or, for `copy`, in bytes a second.
    pub(crate) fn rows(&self, peak: impl Fn(&str) -> Option<f64>) -> Vec<Row> {
        let copy = peak("copy");
        let peak = self.limit.and_then(peak);
        if self.peers.is_empty() {
            return self.several(peak);
        }
        let first = self.ours.first();
        let share = |ours: Option<f64>| Some(ours? * first?.operations? as f64 / peak?);
        let bandwidth = |ours: Option<f64>| Some(ours? * first?.bytes? as f64 / copy?);
        let mut rows = Vec::new();
        for peer in &self.peers {
            let (ours, theirs) = (self.ours.values(), peer.values());
            let (a, b) = (median(&ours), median(&theirs));
            let unit = [&self.ours, peer].iter().find_map(|side| Some(side.first()?.unit.as_str()));
            rows.push(Row {
                ours: a,
                peer_name: Some(peer.name.clone()),
                peer: b,
                ratio: a.zip(b).map(|(a, b)| a / b),
                note: self.note(peer),
                spread: spread(&ours, &theirs),
                share: share(a),
                bandwidth: bandwidth(a),
                ..Row::new(self.name.clone(), Table::Of(self.part), unit.unwrap_or("images/s"))
            });
        }
        rows.extend(self.memory());
        rows
    }

    /// The most memory that Candling took, beside each peer that tells its own.
    fn memory(&self) -> Vec<Row> {
        let ours = self.ours.memory();
        let Some(a) = median(&ours) else { return Vec::new() };
        let alone = Row {
            ours: Some(a),
            note: company([&self.ours]),
            ..Row::new(memory_name(&self.name), Table::Memory, "bytes")
        };
        let row = |peer: &Entrant| {
            let theirs = peer.memory();
            let b = median(&theirs)?;
            Some(Row {
                peer_name: Some(peer.name.clone()),
                peer: Some(b),
                ratio: Some(b / a),
                note: company([&self.ours, peer]),
                spread: spread(&theirs, &ours),
                ..alone.clone()
            })
        };
        let rows: Vec<Row> = self.peers.iter().filter_map(row).collect();
        if rows.is_empty() { vec![alone] } else { rows }
    }

    /// All values of a program that measures several things and has no peer.
    fn several(&self, peak: Option<f64>) -> Vec<Row> {
        let row = |name: String, ours: Option<f64>, unit: &str, note: Option<String>| Row {
            share: ours.zip(peak).filter(|_| unit == "GFLOP/s").map(|(ours, peak)| ours * 1e9 / peak),
            ours,
            note,
            ..Row::new(name, Table::Of(self.part), unit)
        };
        let note = self.ours.reason().map(|reason| format!("{}: {reason}", self.ours.name));
        let Some(first) = self.ours.rounds().first() else {
            return vec![row(self.name.clone(), None, "", note)];
        };
        let rows = first.iter().enumerate().map(|(i, measurement)| {
            let values: Vec<f64> =
                self.ours.rounds().iter().filter_map(|round| round.get(i)).map(|found| found.value).collect();
            let words = [self.name.as_str(), &measurement.name, &measurement.direction];
            let name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(".");
            // Layers count GFLOP/s and do not say it.
            let unit = if measurement.unit.is_empty() { "GFLOP/s" } else { &measurement.unit };
            row(name, median(&values), unit, note.clone())
        });
        rows.collect()
    }

    fn note(&self, peer: &Entrant) -> Option<String> {
        let sides = [&self.ours, peer].into_iter();
        let reasons = sides.filter_map(|side| Some(format!("{}: {}", side.name, side.reason()?)));
        joined(reasons.chain(company([&self.ours, peer])))
    }
}

/// Who else was on the card while these were measured: its memory is counted with theirs.
fn company<'a>(sides: impl IntoIterator<Item = &'a Entrant>) -> Option<String> {
    let company = |side: &Entrant| Some(format!("{}: the card was also used by {}", side.name, side.company()?));
    joined(sides.into_iter().filter_map(company))
}

fn joined(notes: impl Iterator<Item = String>) -> Option<String> {
    let notes: Vec<String> = notes.collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// `cpu.train.f32.b16` takes `cpu.train.memory.b16`; other precisions than f32 are named.
pub(crate) fn memory_name(name: &str) -> String {
    match name.split('.').collect::<Vec<_>>().as_slice() {
        [device, what, "f32", batch] => format!("{device}.{what}.memory.{batch}"),
        [device, what, rest @ ..] => format!("{device}.{what}.memory.{}", rest.join(".")),
        _ => format!("{name}.memory"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A program that prints `lines` every time.
    pub(crate) fn says(name: &str, lines: &str) -> Entrant {
        Entrant::new(name, ["printf", "%s\\n", lines])
    }

    fn contest(ours: Entrant, peers: Vec<Entrant>) -> Case {
        let mut case =
            Case { part: Part::Train, name: "cpu.train.f32.b16".to_owned(), ours, peers, limit: Some("f32") };
        case.measure(0, Malloc::Default, || None);
        case.measure(1, Malloc::Default, || None);
        case
    }

    #[test]
    fn memory_is_told_where_no_peer_tells_its_own_and_company_is_named() {
        let ours = says("Candling", r#"{"value": 15, "unit": "images/s", "peak_bytes": 100}"#);
        let rows =
            contest(ours, vec![Entrant::absent("PyTorch", "no --peer-python was given".to_owned())]).rows(|_| None);
        let [_, memory] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((memory.name.as_str(), memory.ours, memory.peer), ("cpu.train.memory.b16", Some(100.0), None));
        assert_eq!((&memory.peer_name, &memory.note), (&None, &None));

        let ours = says("Candling", r#"{"value": 15, "peak_bytes": 100}"#);
        let mut case = contest(ours, vec![says("PyTorch", r#"{"value": 10, "peak_bytes": 150}"#)]);
        case.measure(0, Malloc::Default, || Some("1234 (python)".to_owned()));
        for row in case.rows(|_| None) {
            let expected =
                "Candling: the card was also used by 1234 (python); PyTorch: the card was also used by 1234 (python)";
            assert_eq!(row.note.as_deref(), Some(expected), "{}", row.name);
        }
    }

    #[test]
    fn a_contest_gives_speed_and_memory_for_each_peer() {
        let ours = says(
            "Candling",
            r#"{"value": 15, "unit": "images/s", "peak_bytes": 100, "operations": 2000000000, "bytes": 500}"#,
        );
        let peer = says("PyTorch", r#"{"value": 10, "unit": "images/s", "peak_bytes": 150}"#);
        let missing = Entrant::absent("onnxruntime", "it is not installed".to_owned());
        let rows = contest(ours, vec![peer, missing]).rows(|name| match name {
            "f32" => Some(60e9),
            "copy" => Some(75e3),
            _ => None,
        });
        let [speed, absent, memory] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((speed.ours, speed.peer, speed.ratio), (Some(15.0), Some(10.0), Some(1.5)));
        assert_eq!((speed.share, speed.spread, &speed.note), (Some(0.5), Some([1.5, 1.5]), &None));
        assert_eq!((speed.bandwidth, memory.bandwidth), (Some(0.1), None));
        assert_eq!((absent.ours, absent.peer, absent.ratio), (Some(15.0), None, None));
        assert_eq!(absent.note.as_deref(), Some("onnxruntime: it is not installed"));
        // Less memory is better.
        assert_eq!((memory.name.as_str(), memory.ratio), ("cpu.train.memory.b16", Some(1.5)));
        assert_eq!((memory.ours, memory.peer, memory.unit.as_str()), (Some(100.0), Some(150.0), "bytes"));
    }

    #[test]
    fn what_fails_on_our_side_is_said_too() {
        let ours = Entrant::new("Candling", ["sh", "-c", "echo 'no bf16 here' >&2; exit 2"]);
        let rows = contest(ours, vec![says("PyTorch", r#"{"value": 10, "unit": "images/s"}"#)]).rows(|_| None);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].ours, rows[0].peer, rows[0].ratio), (None, Some(10.0), None));
        assert_eq!(rows[0].note.as_deref(), Some("Candling: no bf16 here"));
    }

    #[test]
    fn several_values_are_several_rows() {
        let lines = "{\"name\":\"conv1\",\"direction\":\"forward\",\"gflops\":30}\n{\"name\":\"copy\",\"value\":7,\"unit\":\"GB/s\"}";
        let case =
            Case { part: Part::Layers, name: "cpu.layer.b8".to_owned(), ..contest(says("layers", lines), vec![]) };
        let rows = case.rows(|_| Some(60e9));
        assert_eq!(
            (rows[0].name.as_str(), rows[0].ours, rows[0].share),
            ("cpu.layer.b8.conv1.forward", Some(30.0), Some(0.5))
        );
        assert_eq!((rows[1].name.as_str(), rows[1].unit.as_str(), rows[1].share), ("cpu.layer.b8.copy", "GB/s", None));
    }

    #[test]
    fn json_is_the_contracts() {
        let ours = says("Candling", r#"{"value": 15, "unit": "images/s"}"#);
        let peer = says("PyTorch", r#"{"value": 10, "unit": "images/s"}"#);
        let rows = serde_json::to_value(contest(ours, vec![peer]).rows(|_| None)).unwrap();
        let expected = serde_json::json!([{
            "name": "cpu.train.f32.b16", "ours": 15.0, "peer_name": "PyTorch", "peer": 10.0, "ratio": 1.5, "unit": "images/s"
        }]);
        assert_eq!(rows, expected);
    }

    #[test]
    fn memory_is_named_after_what_it_is_of() {
        assert_eq!(memory_name("cpu.train.f32.b32"), "cpu.train.memory.b32");
        assert_eq!(memory_name("cuda.train.bf16.b256"), "cuda.train.memory.bf16.b256");
    }
}
