//! The settings of each job of a sweep.

use artifacts::stage::Failure;
use serde::Serialize;

use super::SweepArgs;

/// The longest name of a job. Names of files are limited to 255 bytes.
const MAX_NAME: usize = 200;

/// The choices of one setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dimension {
    /// The key, or what varies otherwise.
    key: String,
    choices: Vec<Choice>,
}

/// One value of a setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Choice {
    /// What varies: the last part of a key, such as `seed`.
    pub(super) name: String,
    /// The value as text.
    pub(super) value: String,
    /// The overrides that make it.
    pub(super) sets: Vec<String>,
}

/// One training with its evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) choices: Vec<Choice>,
}

/// A sweep over generators.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    /// Each generator is left out once.
    LeaveOutEach,
    /// Each generator is trained on alone.
    TrainOnEach,
    /// A generator is trained on with several numbers of images.
    FewShot {
        /// The generator.
        generator: String,
        /// The numbers of images.
        counts: Vec<u64>,
    },
}

/// The name of a choice that leaves a generator out.
pub(super) const WITHOUT: &str = "without";
/// The name of a choice that trains on one generator alone.
pub(super) const ONLY: &str = "only";
/// The key whose values are averaged over.
const SEED: &str = "train.seed";

impl Dimension {
    /// Parses `KEY=VALUE,VALUE…` or `KEY=A..B`. Returns `None` if there is one value. Commas in brackets and quotes do not
    /// separate values.
    pub(super) fn of_set(set: &str) -> Result<Option<Dimension>, Failure> {
        let Some((key, values)) = set.split_once('=') else {
            return Err(Failure::usage(format!("--set {set} has no `=`; write --set KEY=VALUE")));
        };
        let key = key.trim();
        let values = match range(values) {
            Some(values) => values,
            None => split(values),
        };
        if values.iter().any(|value| value.trim().is_empty()) {
            return Err(Failure::usage(format!("--set {set} has an empty value")));
        }
        if values.len() < 2 {
            return Ok(None);
        }
        let repeated = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value));
        if let Some((_, value)) = repeated {
            return Err(Failure::usage(format!("--set {set} has the value {value} twice")));
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let choice = |value: &String| Choice {
            name: name.to_owned(),
            value: value.trim().to_owned(),
            sets: vec![format!("{key}={value}")],
        };
        Ok(Some(Dimension { key: key.to_owned(), choices: values.iter().map(choice).collect() }))
    }

    /// Whether each choice needs shards of its own.
    pub(super) fn is_of_ingest(&self) -> bool {
        self.key.starts_with("ingest.")
    }
}

/// Returns the integers of `A..B`, without B.
fn range(values: &str) -> Option<Vec<String>> {
    let (first, end) = values.split_once("..")?;
    let (first, end) = (first.trim().parse::<u64>().ok()?, end.trim().parse::<u64>().ok()?);
    (end.saturating_sub(first) <= 10_000).then(|| (first..end).map(|value| value.to_string()).collect())
}

/// Splits at commas that are neither in brackets nor in quotes.
fn split(values: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0_i32, None);
    for c in values.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

impl Protocol {
    /// The protocol that the arguments name, if there is one.
    pub(super) fn of(args: &SweepArgs) -> Result<Option<Protocol>, Failure> {
        if let Some(few_shot) = &args.few_shot {
            let wrong = || Failure::usage(format!("--few-shot {few_shot}: write GENERATOR=N,N…, as in sd1.5=0,10,100"));
            let (generator, counts) = few_shot.rsplit_once('=').ok_or_else(wrong)?;
            let counts: Result<Vec<u64>, _> = counts.split(',').map(|count| count.trim().parse()).collect();
            let counts = counts.map_err(|_| wrong())?;
            return Ok(Some(Protocol::FewShot { generator: generator.to_owned(), counts }));
        }
        Ok(match (args.leave_out_each, args.train_on_each) {
            (true, _) => Some(Protocol::LeaveOutEach),
            (_, true) => Some(Protocol::TrainOnEach),
            _ => None,
        })
    }

    /// The choices of the protocol. `generators` are those of the training images.
    pub(super) fn dimension(&self, generators: &[String]) -> Result<Dimension, Failure> {
        let list = |names: Vec<&String>| {
            let names = names.into_iter().map(|name| toml::Value::from(name.as_str()));
            format!("train.leave_out={}", toml::Value::Array(names.collect()))
        };
        let choice = |name: &str, value: &str, set: String| Choice {
            name: name.to_owned(),
            value: value.to_owned(),
            sets: vec![set],
        };
        let choices = match self {
            Protocol::LeaveOutEach | Protocol::TrainOnEach if generators.len() < 2 => {
                return Err(Failure::usage(format!(
                    "generators of the training images: {}; this needs at least two; put the images of each generator \
                     in a folder of its own, or name it in a column `generator`",
                    generators.len()
                )));
            }
            Protocol::LeaveOutEach => generators.iter().map(|g| choice(WITHOUT, g, list(vec![g]))).collect(),
            Protocol::TrainOnEach => generators
                .iter()
                .map(|g| choice(ONLY, g, list(generators.iter().filter(|other| *other != g).collect())))
                .collect(),
            Protocol::FewShot { generator, counts } => {
                if !generators.contains(generator) {
                    let known = generators.join(", ");
                    return Err(Failure::usage(format!(
                        "no training image is of the generator `{generator}` of --few-shot; there are {known}"
                    )));
                }
                let set = |count: &u64| {
                    let table = toml::Table::from_iter([(generator.clone(), toml::Value::from(*count as i64))]);
                    format!("train.few_shot={}", toml::Value::Table(table))
                };
                counts.iter().map(|count| choice(generator, &count.to_string(), set(count))).collect()
            }
        };
        Ok(Dimension { key: "train.leave_out".to_owned(), choices })
    }
}

impl Job {
    /// All combinations of the choices; the last dimension varies fastest.
    pub(super) fn all(dimensions: &[Dimension]) -> Vec<Job> {
        let mut jobs = vec![Job { choices: Vec::new() }];
        for Dimension { choices, .. } in dimensions {
            let with = |job: Job| {
                choices
                    .iter()
                    .map(move |choice| Job { choices: [job.choices.as_slice(), std::slice::from_ref(choice)].concat() })
            };
            jobs = jobs.into_iter().flat_map(with).collect();
        }
        jobs
    }

    /// The name of the job and of its folder, such as `learning_rate=1e-4,seed=0`. Characters that are not allowed in names
    /// of files are replaced.
    pub(super) fn name(&self) -> String {
        let text = |choice: &Choice| format!("{}={}", choice.name, choice.value);
        let name: Vec<String> = self.choices.iter().map(text).collect();
        let safe = |c: char| c.is_alphanumeric() || "=,.-_+".contains(c);
        let name: String = name.join(",").chars().map(|c| if safe(c) { c } else { '_' }).collect();
        let long = name.len() > MAX_NAME || name.starts_with('.');
        if long { artifacts::hash::Hash::of(name.as_bytes()).short() } else { name }
    }

    /// The overrides of the job.
    pub(super) fn sets(&self) -> Vec<String> {
        self.choices.iter().flat_map(|choice| choice.sets.clone()).collect()
    }

    /// The job without its seed: jobs of one setting differ in their seeds only.
    pub(super) fn setting(&self) -> String {
        let is_seed = |choice: &&Choice| choice.sets.iter().any(|set| set.starts_with(SEED));
        Job { choices: self.choices.iter().filter(|choice| !is_seed(choice)).cloned().collect() }.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(set: &str) -> Vec<String> {
        Dimension::of_set(set).unwrap().unwrap().choices.into_iter().map(|choice| choice.value).collect()
    }

    #[test]
    fn values_are_separated_by_commas_outside_of_brackets_and_quotes() {
        assert_eq!(values("train.learning_rate=1e-4, 3e-4"), ["1e-4", "3e-4"]);
        assert_eq!(
            values("model.branches=[\"vit\"],[\"vit\",\"frequency\"]"),
            ["[\"vit\"]", "[\"vit\",\"frequency\"]"]
        );
        assert_eq!(values("report.title='a, b','c'"), ["'a, b'", "'c'"]);
        assert_eq!(values("train.seed=2..5"), ["2", "3", "4"]);
        for single in ["train.epochs=2", "train.leave_out=[\"a\",\"b\"]", "train.seed=4..5"] {
            assert_eq!(Dimension::of_set(single).unwrap(), None, "{single}");
        }
        for wrong in ["train.epochs", "train.seed=1,,2", "train.seed=1,1"] {
            assert!(Dimension::of_set(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn jobs_are_all_combinations_with_names_of_files() {
        let dimensions =
            ["train.learning_rate=1e-4,3e-4", "train.seed=0..3"].map(|set| Dimension::of_set(set).unwrap().unwrap());
        let jobs = Job::all(&dimensions);
        assert_eq!(jobs.len(), 6);
        assert_eq!(jobs[1].name(), "learning_rate=1e-4,seed=1");
        assert_eq!(jobs[1].setting(), "learning_rate=1e-4");
        assert_eq!(jobs[1].sets(), ["train.learning_rate=1e-4", "train.seed=1"]);
        let hostile = Dimension::of_set("ingest.source='../../x','/y'").unwrap().unwrap();
        for job in Job::all(&[hostile]) {
            assert!(!job.name().contains('/') && !job.name().starts_with('.'), "{}", job.name());
        }
    }

    #[test]
    fn protocols_leave_out_generators() {
        let generators = ["a", "b.c", "d"].map(str::to_owned);
        let sets = |protocol: Protocol| -> Vec<String> {
            Job::all(&[protocol.dimension(&generators).unwrap()]).iter().flat_map(Job::sets).collect()
        };
        assert_eq!(sets(Protocol::LeaveOutEach)[1], "train.leave_out=[\"b.c\"]");
        assert_eq!(sets(Protocol::TrainOnEach)[1], "train.leave_out=[\"a\", \"d\"]");
        let few = Protocol::FewShot { generator: "b.c".to_owned(), counts: vec![0, 10] };
        let parsed: toml::Table = sets(few.clone())[1].parse().unwrap();
        assert_eq!(parsed["train"]["few_shot"]["b.c"].as_integer(), Some(10));
        assert!(few.dimension(&generators[..1]).is_err());
        assert!(
            Protocol::LeaveOutEach
                .dimension(&generators[..1])
                .unwrap_err()
                .to_string()
                .contains("generators of the training images: 1;")
        );
    }
}
