//! One benchmark of Candling and its peers, and its rows of results.

use serde::Serialize;

use super::measured_program::MeasuredProgram;
use super::options::{Malloc, Part};
use super::result_name::memory_name;
use super::statistics::{median, ratio_range};

/// One benchmark.
pub(crate) struct Case {
    /// The part it belongs to.
    pub(crate) part: Part,
    /// The name of its result, or the first words of the names if it has several.
    pub(crate) name: String,
    /// Candling's program.
    pub(crate) ours: MeasuredProgram,
    /// The peers' programs.
    pub(crate) peers: Vec<MeasuredProgram>,
    /// The element type whose peak arithmetic limits the speed: `f32` or `bf16`.
    pub(crate) limit: Option<&'static str>,
}

/// One result. `--json` writes its fields except the skipped ones, which are for the tables only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The name, such as `cpu.train.f32.b16`.
    pub(crate) name: String,
    /// Candling's median.
    pub(crate) ours: Option<f64>,
    /// The peer.
    pub(crate) peer_name: Option<String>,
    /// The peer's median.
    pub(crate) peer: Option<f64>,
    /// The ratio of the two values. Above 1, Candling is better.
    pub(crate) ratio: Option<f64>,
    /// The unit of both values.
    pub(crate) unit: String,
    /// Why a value is missing, or which other processes used the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The table that contains the result.
    #[serde(skip)]
    pub(crate) table: Table,
    /// The lowest and the highest ratio of a round.
    #[serde(skip)]
    pub(crate) ratio_range: Option<[f64; 2]>,
    /// Share of the machine's peak arithmetic, 0 to 1.
    #[serde(skip)]
    pub(crate) peak_share: Option<f64>,
    /// Share of the machine's memory bandwidth, 0 to 1.
    #[serde(skip)]
    pub(crate) bandwidth_share: Option<f64>,
}

/// The tables of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// The speeds of a part.
    Speed(Part),
    /// The peak memory of programs.
    Memory,
}

impl Row {
    /// A row without values.
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
            ratio_range: None,
            peak_share: None,
            bandwidth_share: None,
        }
    }
}

impl Case {
    /// Measures all programs once. The order is reversed in every second round. `other_processes` returns a list of the
    /// other processes on the card.
    pub(crate) fn measure(&mut self, round: u32, malloc: Malloc, other_processes: fn() -> Option<String>) {
        let mut programs: Vec<&mut MeasuredProgram> = std::iter::once(&mut self.ours).chain(&mut self.peers).collect();
        if !round.is_multiple_of(2) {
            programs.reverse();
        }
        programs.into_iter().for_each(|program| program.measure(malloc, other_processes));
    }

    /// Returns the results. `peak` returns a peak of the machine by name: operations per second for `f32` and `bf16`,
    /// bytes per second for `copy`.
    pub(crate) fn rows(&self, peak: impl Fn(&str) -> Option<f64>) -> Vec<Row> {
        let copy = peak("copy");
        let peak = self.limit.and_then(peak);
        if self.peers.is_empty() {
            return self.rows_without_peers(peak);
        }
        let first = self.ours.first();
        let peak_share = |ours: Option<f64>| Some(ours? * first?.operations? as f64 / peak?);
        let bandwidth_share = |ours: Option<f64>| Some(ours? * first?.bytes? as f64 / copy?);
        let mut rows = Vec::new();
        for peer in &self.peers {
            let (our_values, peer_values) = (self.ours.values(), peer.values());
            let (ours, theirs) = (median(&our_values), median(&peer_values));
            let unit = [&self.ours, peer].iter().find_map(|program| Some(program.first()?.unit.as_str()));
            rows.push(Row {
                ours,
                peer_name: Some(peer.name.clone()),
                peer: theirs,
                ratio: ours.zip(theirs).map(|(ours, theirs)| ours / theirs),
                note: self.note(peer),
                ratio_range: ratio_range(&our_values, &peer_values),
                peak_share: peak_share(ours),
                bandwidth_share: bandwidth_share(ours),
                ..Row::new(self.name.clone(), Table::Speed(self.part), unit.unwrap_or("images/s"))
            });
        }
        rows.extend(self.memory_rows());
        rows
    }

    /// Returns Candling's peak memory beside that of each peer that reports it.
    fn memory_rows(&self) -> Vec<Row> {
        let our_values = self.ours.memory();
        let Some(ours) = median(&our_values) else { return Vec::new() };
        let without_peer = Row {
            ours: Some(ours),
            note: other_processes_note([&self.ours]),
            ..Row::new(memory_name(&self.name), Table::Memory, "bytes")
        };
        let row = |peer: &MeasuredProgram| {
            let peer_values = peer.memory();
            let theirs = median(&peer_values)?;
            Some(Row {
                peer_name: Some(peer.name.clone()),
                peer: Some(theirs),
                ratio: Some(theirs / ours),
                note: other_processes_note([&self.ours, peer]),
                ratio_range: ratio_range(&peer_values, &our_values),
                ..without_peer.clone()
            })
        };
        let rows: Vec<Row> = self.peers.iter().filter_map(row).collect();
        if rows.is_empty() { vec![without_peer] } else { rows }
    }

    /// Returns a row for each value that a program without peers prints.
    fn rows_without_peers(&self, peak: Option<f64>) -> Vec<Row> {
        let row = |name: String, ours: Option<f64>, unit: &str, note: Option<String>| Row {
            peak_share: ours.zip(peak).filter(|_| unit == "GFLOP/s").map(|(ours, peak)| ours * 1e9 / peak),
            ours,
            note,
            ..Row::new(name, Table::Speed(self.part), unit)
        };
        let note = self.ours.failure().map(|reason| format!("{}: {reason}", self.ours.name));
        let Some(first) = self.ours.rounds().first() else {
            return vec![row(self.name.clone(), None, "", note)];
        };
        let rows = first.iter().enumerate().map(|(i, measurement)| {
            let values: Vec<f64> =
                self.ours.rounds().iter().filter_map(|round| round.get(i)).map(|found| found.value).collect();
            let words = [self.name.as_str(), &measurement.name, &measurement.direction];
            let name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(".");
            // The program that measures layers prints no unit.
            let unit = if measurement.unit.is_empty() { "GFLOP/s" } else { &measurement.unit };
            row(name, median(&values), unit, note.clone())
        });
        rows.collect()
    }

    fn note(&self, peer: &MeasuredProgram) -> Option<String> {
        let programs = [&self.ours, peer].into_iter();
        let failures = programs.filter_map(|program| Some(format!("{}: {}", program.name, program.failure()?)));
        join_notes(failures.chain(other_processes_note([&self.ours, peer])))
    }
}

/// Returns a note about other processes on the card during the measurements, because the measured memory includes
/// theirs.
fn other_processes_note<'a>(programs: impl IntoIterator<Item = &'a MeasuredProgram>) -> Option<String> {
    let note = |program: &MeasuredProgram| {
        Some(format!("{}: the card was also used by {}", program.name, program.other_processes()?))
    };
    join_notes(programs.into_iter().filter_map(note))
}

fn join_notes(notes: impl Iterator<Item = String>) -> Option<String> {
    let notes: Vec<String> = notes.collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A program that prints `lines` in every round.
    fn prints(name: &str, lines: &str) -> MeasuredProgram {
        MeasuredProgram::new(name, ["printf", "%s\\n", lines])
    }

    fn measured_case(ours: MeasuredProgram, peers: Vec<MeasuredProgram>) -> Case {
        let mut case =
            Case { part: Part::Train, name: "cpu.train.f32.b16".to_owned(), ours, peers, limit: Some("f32") };
        case.measure(0, Malloc::Default, || None);
        case.measure(1, Malloc::Default, || None);
        case
    }

    #[test]
    fn memory_row_needs_no_peer_and_names_other_processes() {
        let ours = prints("Candling", r#"{"value": 15, "unit": "images/s", "peak_bytes": 100}"#);
        let absent = MeasuredProgram::absent("PyTorch", "no --peer-python was given".to_owned());
        let rows = measured_case(ours, vec![absent]).rows(|_| None);
        let [_, memory] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((memory.name.as_str(), memory.ours, memory.peer), ("cpu.train.memory.b16", Some(100.0), None));
        assert_eq!((&memory.peer_name, &memory.note), (&None, &None));

        let ours = prints("Candling", r#"{"value": 15, "peak_bytes": 100}"#);
        let mut case = measured_case(ours, vec![prints("PyTorch", r#"{"value": 10, "peak_bytes": 150}"#)]);
        case.measure(0, Malloc::Default, || Some("1234 (python)".to_owned()));
        for row in case.rows(|_| None) {
            let expected =
                "Candling: the card was also used by 1234 (python); PyTorch: the card was also used by 1234 (python)";
            assert_eq!(row.note.as_deref(), Some(expected), "{}", row.name);
        }
    }

    #[test]
    fn each_peer_has_rows_of_speed_and_memory() {
        let ours = prints(
            "Candling",
            r#"{"value": 15, "unit": "images/s", "peak_bytes": 100, "operations": 2000000000, "bytes": 500}"#,
        );
        let peer = prints("PyTorch", r#"{"value": 10, "unit": "images/s", "peak_bytes": 150}"#);
        let missing = MeasuredProgram::absent("onnxruntime", "it is not installed".to_owned());
        let rows = measured_case(ours, vec![peer, missing]).rows(|name| match name {
            "f32" => Some(60e9),
            "copy" => Some(75e3),
            _ => None,
        });
        let [speed, absent, memory] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((speed.ours, speed.peer, speed.ratio), (Some(15.0), Some(10.0), Some(1.5)));
        assert_eq!((speed.peak_share, speed.ratio_range, &speed.note), (Some(0.5), Some([1.5, 1.5]), &None));
        assert_eq!((speed.bandwidth_share, memory.bandwidth_share), (Some(0.1), None));
        assert_eq!((absent.ours, absent.peer, absent.ratio), (Some(15.0), None, None));
        assert_eq!(absent.note.as_deref(), Some("onnxruntime: it is not installed"));
        // Less memory is better.
        assert_eq!((memory.name.as_str(), memory.ratio), ("cpu.train.memory.b16", Some(1.5)));
        assert_eq!((memory.ours, memory.peer, memory.unit.as_str()), (Some(100.0), Some(150.0), "bytes"));
    }

    #[test]
    fn failure_of_candling_is_in_note() {
        let ours = MeasuredProgram::new("Candling", ["sh", "-c", "echo 'no bf16 here' >&2; exit 2"]);
        let rows = measured_case(ours, vec![prints("PyTorch", r#"{"value": 10, "unit": "images/s"}"#)]).rows(|_| None);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].ours, rows[0].peer, rows[0].ratio), (None, Some(10.0), None));
        assert_eq!(rows[0].note.as_deref(), Some("Candling: no bf16 here"));
    }

    #[test]
    fn several_values_make_several_rows() {
        let lines = "{\"name\":\"conv1\",\"direction\":\"forward\",\"gflops\":30}\n{\"name\":\"copy\",\"value\":7,\"unit\":\"GB/s\"}";
        let case = Case {
            part: Part::Layers,
            name: "cpu.layer.b8".to_owned(),
            ..measured_case(prints("layers", lines), vec![])
        };
        let rows = case.rows(|_| Some(60e9));
        assert_eq!(
            (rows[0].name.as_str(), rows[0].ours, rows[0].peak_share),
            ("cpu.layer.b8.conv1.forward", Some(30.0), Some(0.5))
        );
        assert_eq!(
            (rows[1].name.as_str(), rows[1].unit.as_str(), rows[1].peak_share),
            ("cpu.layer.b8.copy", "GB/s", None)
        );
    }

    #[test]
    fn json_has_documented_fields() {
        let ours = prints("Candling", r#"{"value": 15, "unit": "images/s"}"#);
        let peer = prints("PyTorch", r#"{"value": 10, "unit": "images/s"}"#);
        let rows = serde_json::to_value(measured_case(ours, vec![peer]).rows(|_| None)).unwrap();
        let expected = serde_json::json!([{
            "name": "cpu.train.f32.b16", "ours": 15.0, "peer_name": "PyTorch", "peer": 10.0, "ratio": 1.5, "unit": "images/s"
        }]);
        assert_eq!(rows, expected);
    }
}
