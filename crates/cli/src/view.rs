//! What a run looks like while it goes on: bars on a terminal, plain lines or JSON elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gristmill_runner::{Event, EventSink, Level, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::answer::{colours, printable, say};
use crate::args::{Global, LogFormat};

/// Shows events on standard error.
pub(crate) struct View {
    kind: Kind,
    verbose: bool,
    current: Mutex<Option<Bar>>,
}

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
            current: Mutex::new(None),
        }
    }

    fn line(&self, text: &str) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let text = printable(text);
        match current.as_ref() {
            Some(bar) => bar.bar.suspend(|| say(&text)),
            None => say(&text),
        }
    }

    fn json(&self, event: &Event) {
        if matches!(event, Event::Advanced { .. }) || (!self.verbose && is_debug(event)) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            say(&line);
        }
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
                self.clear();
                self.line(&format!(
                    "{}{:<10}{} {summary}  {}",
                    self.green(),
                    stage.name(),
                    self.off(),
                    duration(*seconds)
                ));
            }
            Event::StageReused { stage, summary } => {
                self.line(&format!(
                    "{}{:<10}{} {summary}",
                    self.green(),
                    stage.name(),
                    self.off()
                ));
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
                self.line(&format!(
                    "{}warning{}: {message}",
                    self.yellow(),
                    self.off()
                ));
            }
            Event::Note { message, .. } => self.line(message),
        }
    }

    fn green(&self) -> &'static str {
        if matches!(self.kind, Kind::Terminal { colour: true }) {
            "\x1b[32m"
        } else {
            ""
        }
    }

    fn yellow(&self) -> &'static str {
        if matches!(self.kind, Kind::Terminal { colour: true }) {
            "\x1b[33m"
        } else {
            ""
        }
    }

    fn off(&self) -> &'static str {
        if matches!(self.kind, Kind::Terminal { colour: true }) {
            "\x1b[0m"
        } else {
            ""
        }
    }

    fn start(&self, stage: Stage, total_bytes: Option<u64>, total_rows: Option<u64>) {
        if !matches!(self.kind, Kind::Terminal { .. }) {
            return;
        }
        let by_bytes = total_bytes.is_some() || total_rows.is_none();
        let total = total_bytes.or(total_rows).filter(|t| *t > 0);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style(total.is_some(), by_bytes));
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

/// `27004` as `27,004`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_as_people_write_them() {
        assert_eq!(
            (grouped(7), grouped(1000), grouped(27_004_000)),
            ("7".into(), "1,000".into(), "27,004,000".into())
        );
        assert_eq!(duration(1.234), "1.2 s");
        assert_eq!(duration(184.0), "3 min 4 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
    }
}
