//! The same answers, stored in every way that a service and a container may store them, make the same
//! table; and a row or a newline that was lost, doubled or glued makes that table or none.

use gristmill_tabular::predictions::{
    AnswerForm, AnswerLayout, Documents, Pick, Predictions, Step,
};
use gristmill_tabular::{ColumnType, OutputColumn, TabularError};
use proptest::prelude::*;

use crate::assembling::{CSV, Run, text};

/// One row's answer.
#[derive(Debug, Clone)]
struct Answer {
    score: f64,
    label: String,
}

/// What the container says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    PythonList,
    List,
    Object,
    /// As a join stores it.
    Joined,
    /// A document a request: an object with `predictions`, of lists or of objects.
    Predictions,
    NamedPredictions,
    /// A document a request: a bare list.
    Batch,
}

impl Form {
    const ALL: [Form; 8] = [
        Form::Csv,
        Form::PythonList,
        Form::List,
        Form::Object,
        Form::Joined,
        Form::Predictions,
        Form::NamedPredictions,
        Form::Batch,
    ];

    fn is_text(self) -> bool {
        matches!(self, Form::Csv | Form::PythonList)
    }

    fn is_a_request_each(self) -> bool {
        matches!(
            self,
            Form::Predictions | Form::NamedPredictions | Form::Batch
        )
    }

    fn has_names(self) -> bool {
        matches!(self, Form::Object | Form::Joined | Form::NamedPredictions)
    }

    fn row(self, answer: &Answer) -> String {
        let Answer { score, label } = answer;
        let json = || serde_json::to_string(label).unwrap();
        match self {
            Form::Csv => format!("{score},\"{}\"", label.replace('"', "\"\"")),
            Form::PythonList => format!("[{score}, '{label}']"),
            Form::List | Form::Predictions | Form::Batch => format!("[{score},{}]", json()),
            Form::Object | Form::NamedPredictions => {
                format!("{{\"s\":{score}, \"of\":{{\"l\":{}}}}}", json())
            }
            Form::Joined => format!(
                "{{\"id\":[7],\"SageMakerOutput\":{{\"s\":{score},\"of\":{{\"l\":{}}}}}}}",
                json()
            ),
        }
    }
}

/// What happens to answers on their way.
#[derive(Debug, Clone, Copy)]
struct Switches {
    form: Form,
    /// The container ends its reply by a newline.
    reply_ends: bool,
    /// And one more.
    reply_ends_twice: bool,
    crlf: bool,
    /// `AssembleWith: Line`, and whether a newline is added where there is one.
    assemble_lines: bool,
    always: bool,
    /// Blank lines at the edges have blanks in them.
    padded: bool,
    inference_ids: bool,
    blank_before_id: bool,
    last_newline_cut: bool,
    single_record: bool,
}

const ID: &str = "1f1d57b1-2e6f-488c-8c30-db4e6d757861";
const TIME: &str = "2022-08-30T00:49:15Z";

impl Switches {
    fn newline(self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }

    fn has_ids(self) -> bool {
        let takes = self.form.is_text() || self.form.has_names();
        self.inference_ids && takes && !self.form.is_a_request_each()
    }

    fn record(self, answer: &Answer) -> String {
        let row = self.form.row(answer);
        if !self.has_ids() {
            return row;
        }
        if self.form.is_text() {
            let blank = if self.blank_before_id { " " } else { "" };
            return format!("{row},{blank}{ID},{TIME}");
        }
        let open = row.strip_suffix('}').unwrap();
        format!("{open},\"SageMakerInferenceId\":\"{ID}\",\"SageMakerInferenceTime\":\"{TIME}\"}}")
    }

    /// What the container says to one request.
    fn reply(self, answers: &[Answer]) -> String {
        let rows: Vec<String> = answers.iter().map(|a| self.record(a)).collect();
        let mut reply = match self.form {
            Form::Predictions | Form::NamedPredictions => {
                format!("{{\"of\":1, \"predictions\": [{}]}}", rows.join(", "))
            }
            Form::Batch => format!("[{}]", rows.join(",\n ")),
            _ => rows.join(self.newline()),
        };
        if self.reply_ends {
            reply.push_str(self.newline());
            if self.reply_ends_twice {
                reply.push_str(if self.padded { " \n" } else { "\n" });
            }
        }
        reply
    }

    /// The object that the service stores.
    fn stored(self, answers: &[Answer], requests: &[usize]) -> String {
        let mut out = String::new();
        for request in cut(answers, requests, self.single_record) {
            let reply = self.reply(request);
            out.push_str(&reply);
            if self.assemble_lines && (self.always || !reply.ends_with('\n')) {
                out.push('\n');
            }
        }
        if self.last_newline_cut && out.ends_with('\n') {
            out.pop();
        }
        out
    }

    /// Two replies without a newline between them.
    fn glues(self) -> bool {
        self.form.is_text() && !self.reply_ends && !self.assemble_lines
    }

    fn layout(self) -> AnswerLayout {
        AnswerLayout {
            form: if self.form.is_text() {
                AnswerForm::Csv
            } else {
                AnswerForm::Json
            },
            documents: if self.form == Form::Batch {
                Documents::Batches
            } else {
                Documents::Auto
            },
            single_record: self.single_record,
            inference_ids: self.has_ids(),
        }
    }

    fn columns(self) -> Vec<OutputColumn> {
        let value = |name: &str, index: usize, path: &[&str], column_type| {
            let name = name.to_owned();
            if self.form.has_names() {
                let path = path.iter().map(|p| Step::Name((*p).into())).collect();
                OutputColumn::Field {
                    name,
                    path,
                    column_type,
                }
            } else {
                OutputColumn::Prediction {
                    name,
                    index,
                    column_type,
                }
            }
        };
        vec![
            OutputColumn::Source {
                name: "id".into(),
                from: "id".into(),
            },
            value("label", 1, &["of", "l"], ColumnType::String),
            value("score", 0, &["s"], ColumnType::Float64),
        ]
    }
}

/// The rows of each request.
fn cut<'a>(answers: &'a [Answer], sizes: &[usize], single: bool) -> Vec<&'a [Answer]> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = answers;
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let size = if single { 1 } else { *sizes.next().unwrap() };
        let (request, more) = rest.split_at(size.min(rest.len()));
        requests.push(request);
        rest = more;
    }
    requests
}

/// The table, or why there is none.
fn table(run: &Run, switches: Switches) -> Result<String, TabularError> {
    let done = run.assemble(&switches.columns(), CSV, 1_000, 1)?;
    assert_eq!(done.parts.len(), 1);
    Ok(text(&done.parts[0].path))
}

/// What everything must come to.
fn wanted(run: &mut Run, answers: &[Answer]) -> String {
    let plain = Switches {
        form: Form::Csv,
        reply_ends: true,
        reply_ends_twice: false,
        crlf: false,
        assemble_lines: true,
        always: false,
        padded: false,
        inference_ids: false,
        blank_before_id: false,
        last_newline_cut: false,
        single_record: false,
    };
    run.predict(0, plain.stored(answers, &[answers.len()]));
    run.answers = plain.layout();
    let table = table(run, plain).unwrap();
    // In another way: a line a row, by the other writer of CSV that there is.
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let read: Vec<(String, f64)> = reader
        .records()
        .map(|r| {
            let r = r.unwrap();
            (r[1].to_owned(), r[2].parse().unwrap())
        })
        .collect();
    let given: Vec<(String, f64)> = answers.iter().map(|a| (a.label.clone(), a.score)).collect();
    assert_eq!(read, given);
    table
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let number = prop_oneof![
        Just(0.5),
        Just(-1e-7),
        (0u8..30).prop_map(f64::from),
        prop::num::f64::NORMAL
    ];
    let answer =
        (number, "[a-c,\\[\\] {}:1.]{0,4}").prop_map(|(score, label)| Answer { score, label });
    prop::collection::vec(answer, 1..9)
}

fn switches() -> impl Strategy<Value = Switches> {
    let form = prop::sample::select(Form::ALL.to_vec());
    (form, prop::array::uniform10(any::<bool>())).prop_map(|(form, on)| Switches {
        form,
        reply_ends: on[0],
        reply_ends_twice: on[1],
        crlf: on[2],
        assemble_lines: on[3],
        always: on[4],
        padded: on[5],
        inference_ids: on[6],
        blank_before_id: on[7],
        last_newline_cut: on[8],
        single_record: on[9],
    })
}

/// All 1,024 settings of the switches beside the form.
fn all_switches(form: Form) -> impl Iterator<Item = Switches> {
    (0u32..1 << 10).map(move |bits| {
        let on = |n: u32| bits & (1 << n) != 0;
        Switches {
            form,
            reply_ends: on(0),
            reply_ends_twice: on(1),
            crlf: on(2),
            assemble_lines: on(3),
            always: on(4),
            padded: on(5),
            inference_ids: on(6),
            blank_before_id: on(7),
            last_newline_cut: on(8),
            single_record: on(9),
        }
    })
}

fn hold(run: &mut Run, answers: &[Answer], requests: &[usize], wanted: &str, switches: Switches) {
    let stored = switches.stored(answers, requests);
    let count = cut(answers, requests, switches.single_record).len();
    run.predict(0, &stored);
    run.answers = switches.layout();
    match table(run, switches) {
        Ok(table) => {
            assert!(!switches.glues() || count == 1, "{switches:?}\n{stored}");
            assert_eq!(table, wanted, "{switches:?}\n{stored}");
        }
        Err(error) => {
            assert!(
                switches.glues() && count > 1,
                "{error}\n{switches:?}\n{stored}"
            );
            let told = format!("expected {} predictions", answers.len());
            assert!(error.to_string().contains(&told), "{error}");
        }
    }
}

/// Label and score of every row, or why there are not as many as there should be.
fn read(stored: &str, switches: Switches, rows: usize) -> Result<Vec<(String, f64)>, String> {
    let path = std::path::Path::new("p.out");
    let mut predictions = Predictions::new(stored.as_bytes(), path, "s", switches.layout());
    let picks: Vec<Pick> = switches.columns()[1..].iter().map(pick).collect();
    let mut found = Vec::new();
    while let Some(cells) = predictions.next_row().map_err(|e| e.to_string())? {
        let value = |pick| cells.find(pick).map_err(|(expected, _)| expected);
        let score = value(&picks[1])?.trim().parse().map_err(|_| "a number")?;
        found.push((value(&picks[0])?.into_owned(), score));
    }
    (found.len() == rows)
        .then_some(found)
        .ok_or_else(|| "the count".to_owned())
}

fn pick(column: &OutputColumn) -> Pick {
    match column {
        OutputColumn::Field { path, .. } => Pick::Path(path.clone()),
        OutputColumn::Prediction { index, .. } => Pick::Cell(*index),
        other => panic!("{other:?}"),
    }
}

/// All settings of all switches with all forms, read as `assemble` reads; that it makes one table of what
/// it reads is held below, on some of them.
#[test]
fn one_answer_under_all_combinations_of_the_switches() {
    let answers: Vec<Answer> = (0..5)
        .map(|i| Answer {
            score: f64::from(i) / 4.0,
            label: ["", "a", "b c", "1,5", "[x]"][i as usize].into(),
        })
        .collect();
    let wanted: Vec<(String, f64)> = answers.iter().map(|a| (a.label.clone(), a.score)).collect();
    for form in Form::ALL {
        for switches in all_switches(form) {
            let stored = switches.stored(&answers, &[2]);
            let found = read(&stored, switches, answers.len());
            if switches.glues() {
                assert!(found.is_err(), "{switches:?}\n{stored}");
            } else {
                assert_eq!(found.as_ref(), Ok(&wanted), "{switches:?}\n{stored}");
            }
        }
    }
}

/// Two requests' answers on a line, and the line twice: as many lines as rows.
#[test]
fn glued_answers_that_came_twice_are_no_rows() {
    let answers = ["", ":"].map(|label| Answer {
        score: 0.5,
        label: label.into(),
    });
    for form in [Form::Csv, Form::PythonList] {
        for switches in all_switches(form).filter(|s| s.glues() && s.has_ids()) {
            let line = switches.stored(&answers, &[1]);
            let found = read(&format!("{line}\n{line}"), switches, answers.len());
            assert!(found.is_err(), "{switches:?}\n{line}");
        }
    }
}

/// What may happen to the lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    Drop,
    Double,
    /// A newline is lost.
    Glue,
    /// A newline is doubled.
    Blank,
    /// A newline is lost, another is doubled.
    GlueAndBlank,
    /// A row is lost, and a newline is doubled where it was, or elsewhere.
    Emptied,
    DropAndBlank,
    /// A row is lost with its newline, and two others are torn from one another where they are not
    /// two: the count is right.
    DropAndTear,
    /// The end is lost from some byte on.
    Truncate,
}

const MUTATIONS: [Mutation; 9] = [
    Mutation::Drop,
    Mutation::Double,
    Mutation::Glue,
    Mutation::Blank,
    Mutation::GlueAndBlank,
    Mutation::Emptied,
    Mutation::DropAndBlank,
    Mutation::DropAndTear,
    Mutation::Truncate,
];

fn mutated(
    stored: &str,
    mutation: Mutation,
    one: prop::sample::Index,
    two: prop::sample::Index,
) -> String {
    if mutation == Mutation::Truncate {
        // Within the last value of a line nothing shows it: see `Evidence::is_open`.
        let mut at = one.index(stored.len() + 1);
        while !stored.is_char_boundary(at) {
            at -= 1;
        }
        return stored[..at].to_owned();
    }
    let mut lines: Vec<String> = stored.split('\n').map(str::to_owned).collect();
    let (a, b) = (one.index(lines.len()), two.index(lines.len()));
    let glue = |lines: &mut Vec<String>| {
        if a + 1 < lines.len() {
            let next = lines.remove(a + 1);
            lines[a] = lines[a].trim_end_matches('\r').to_owned() + &next;
        }
    };
    match mutation {
        Mutation::Drop => drop(lines.remove(a)),
        Mutation::Double => lines.insert(a, lines[a].clone()),
        Mutation::Glue => glue(&mut lines),
        Mutation::Blank => lines.insert(a, String::new()),
        Mutation::GlueAndBlank => {
            glue(&mut lines);
            lines.insert(b.min(lines.len()), String::new());
        }
        Mutation::Emptied => lines[a].clear(),
        Mutation::DropAndBlank => {
            lines.remove(a);
            lines.insert(b.min(lines.len()), String::new());
        }
        Mutation::DropAndTear => {
            lines.remove(a);
            if let Some(line) = lines.get_mut(b)
                && let Some(comma) = line.find(',')
            {
                line.replace_range(comma..=comma, "\n");
            }
        }
        Mutation::Truncate => {}
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn one_table_however_answers_are_stored(
        answers in answers(), requests in prop::collection::vec(1usize..5, 1..4), switches in switches(),
    ) {
        let mut run = Run::new(&[answers.len() as u64]);
        let wanted = wanted(&mut run, &answers);
        hold(&mut run, &answers, &requests, &wanted, switches);
    }

    #[test]
    fn what_is_lost_doubled_or_glued_makes_that_table_or_none(
        answers in answers(), requests in prop::collection::vec(1usize..5, 1..4), switches in switches(),
        mutation in prop::sample::select(MUTATIONS.to_vec()), one: prop::sample::Index, two: prop::sample::Index,
    ) {
        let mut run = Run::new(&[answers.len() as u64]);
        let wanted = wanted(&mut run, &answers);
        let stored = mutated(&switches.stored(&answers, &requests), mutation, one, two);
        run.predict(0, &stored);
        run.answers = switches.layout();
        if let Ok(table) = table(&run, switches) {
            let open = mutation == Mutation::Truncate && switches.form == Form::Csv;
            prop_assert!(open || table == wanted, "{:?}\n{}", mutation, stored);
        }
    }
}
