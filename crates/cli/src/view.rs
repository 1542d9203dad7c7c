//! What a run looks like while it goes on: bars on a terminal, plain lines or JSON elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gristmill_runner::words::{counted, grouped};
use gristmill_runner::{Event, EventSink, Level, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::answer::{colours, printable, say};
use crate::args::{Global, LogFormat};

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const OFF: &str = "\x1b[0m";

/// Shows events on standard error.
pub(crate) struct View {
    kind: Kind,
    verbose: bool,
    /// Another process does the work: how far a stage is, is not known.
    watching: bool,
    current: Mutex<Option<Bar>>,
    /// A stage that began while another was shown: with several jobs, scores come while shards are cut.
    next: Mutex<Option<Begun>>,
}

/// A stage as it was announced: bytes and rows to go through, if known.
type Begun = (Stage, Option<u64>, Option<u64>);

enum Kind {
    Terminal { colour: bool },
    Lines,
    Json,
}

struct Bar {
    stage: Stage,
    bar: ProgressBar,
    rows: u64,
    by_bytes: bool,
}

impl View {
    pub(crate) fn new(global: &Global) -> Self {
        let kind = match global.log_format {
            LogFormat::Json => Kind::Json,
            LogFormat::Text if std::io::stderr().is_terminal() => {
                Kind::Terminal { colour: colours() }
            }
            LogFormat::Text => Kind::Lines,
        };
        Self {
            kind,
            verbose: global.verbose > 0,
            watching: false,
            current: Mutex::new(None),
            next: Mutex::new(None),
        }
    }

    /// A view of what another process does.
    pub(crate) fn watching(global: &Global) -> Self {
        Self {
            watching: true,
            ..Self::new(global)
        }
    }

    fn line(&self, text: &str) {
        self.labelled("", "", text);
    }

    /// A line that begins with a word of ours, coloured where colours are wanted.
    fn labelled(&self, colour: &str, label: &str, text: &str) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match self.kind {
            Kind::Terminal { colour: true } if !label.is_empty() => {
                format!("{colour}{label}{OFF}{}", printable(text))
            }
            _ => format!("{label}{}", printable(text)),
        };
        match current.as_ref() {
            Some(bar) => bar.bar.suspend(|| say(&text)),
            None => say(&text),
        }
    }

    fn json(&self, event: &Event) {
        if matches!(event, Event::Advanced { .. }) || (!self.verbose && is_debug(event)) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = now.map_or(0.0, |d| d.as_secs_f64());
        let Ok(mut line) = serde_json::to_value(event) else {
            return;
        };
        if let Some(object) = line.as_object_mut() {
            object.insert("at".into(), at.into());
        }
        say(&line.to_string());
    }

    fn text(&self, event: &Event) {
        match event {
            Event::RunStarted {
                run_id, attempt, ..
            } => {
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt})")
                } else {
                    String::new()
                };
                self.line(&format!("run {run_id}{again}"));
            }
            Event::StageStarted {
                stage,
                total_bytes,
                total_rows,
            } => self.start(*stage, *total_bytes, *total_rows),
            Event::Advanced { stage, rows, bytes } => self.advance(*stage, *rows, *bytes),
            Event::StageFinished {
                stage,
                seconds,
                summary,
            } => {
                if self.is_shown(*stage) {
                    self.clear();
                }
                let text = format!("{summary}  {}", duration(*seconds));
                self.labelled(GREEN, &format!("{:<10} ", stage.name()), &text);
                self.show_next(*stage);
            }
            Event::StageReused { stage, summary } => {
                self.labelled(GREEN, &format!("{:<10} ", stage.name()), summary);
            }
            Event::Probed {
                rows,
                content_types,
                seconds,
            } => {
                let rows = counted(*rows, "row");
                let text = format!(
                    "{rows} went to the model and came back ({})  {}",
                    content_types.join(", "),
                    duration(*seconds)
                );
                self.labelled(GREEN, &format!("{:<10} ", "probe"), &text);
            }
            Event::Job {
                name,
                status,
                seconds,
            } => {
                self.line(&format!(
                    "{:<10} job {name}: {status} after {seconds} s",
                    "transform"
                ));
            }
            Event::Note {
                level: Level::Debug,
                ..
            } if !self.verbose => {}
            Event::Note {
                level: Level::Warn,
                message,
            } => {
                self.labelled(YELLOW, "warning: ", message);
            }
            Event::Note { message, .. } => self.line(message),
        }
    }

    fn is_shown(&self, stage: Stage) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|bar| bar.stage == stage)
    }

    /// Shows the stage that began while the one that has now ended was shown.
    fn show_next(&self, ended: Stage) {
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match next {
            Some((stage, bytes, rows)) if stage != ended => self.start(stage, bytes, rows),
            _ => {}
        }
    }

    fn start(&self, stage: Stage, total_bytes: Option<u64>, total_rows: Option<u64>) {
        if !matches!(self.kind, Kind::Terminal { .. }) {
            return;
        }
        if stage == Stage::Transform && self.is_shown(Stage::Shards) {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next = Some((stage, total_bytes, total_rows));
            return;
        }
        let by_bytes = total_bytes.is_some() || total_rows.is_none();
        // A job tells nothing of its progress: elapsed time is all that can be shown.
        let known = stage != Stage::Transform;
        let total = total_bytes.or(total_rows).filter(|t| known && *t > 0);
        let total = total.filter(|_| !self.watching);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style(total.is_some(), by_bytes && !self.watching));
        bar.set_prefix(stage.name());
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Bar {
            stage,
            bar,
            rows: 0,
            by_bytes,
        });
    }

    fn advance(&self, stage: Stage, rows: u64, bytes: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.as_mut().filter(|b| b.stage == stage) {
            bar.rows += rows;
            bar.bar.inc(if bar.by_bytes { bytes } else { rows });
            bar.bar.set_message(format!("{} rows", grouped(bar.rows)));
        }
    }

    /// Takes the bar away; the line that follows says what it came to.
    pub(crate) fn clear(&self) {
        let taken = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(bar) = taken {
            bar.bar.finish_and_clear();
        }
    }
}

impl EventSink for View {
    fn emit(&self, event: &Event) {
        match self.kind {
            Kind::Json => self.json(event),
            _ => self.text(event),
        }
    }
}

fn is_debug(event: &Event) -> bool {
    matches!(
        event,
        Event::Note {
            level: Level::Debug,
            ..
        }
    )
}

fn style(known: bool, by_bytes: bool) -> ProgressStyle {
    let template = match (known, by_bytes) {
        (true, true) => {
            "{prefix:<10} {bar:24} {percent:>3} %  {msg}  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {left} left"
        }
        (true, false) => "{prefix:<10} {bar:24} {percent:>3} %  {msg}  {left} left",
        (false, true) => {
            "{prefix:<10} {spinner}  {msg}  {binary_bytes}  {binary_bytes_per_sec}  {elapsed}"
        }
        (false, false) => "{prefix:<10} {spinner}  {msg}  {elapsed}",
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key(
        "left",
        |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = write!(w, "{}", duration(state.eta().as_secs_f64()));
        },
    )
}

/// `1.2 s`, `3 min 4 s`, `2 h 5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    match (whole / 3600, whole % 3600 / 60, whole % 60) {
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        assert_eq!(duration(1.234), "1.2 s");
        assert_eq!(duration(184.0), "3 min 4 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
    }
}
