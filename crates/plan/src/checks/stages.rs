//! Which stages need, or exclude, one another.

use super::View;
use crate::problem::code;

pub(super) fn check(view: &mut View<'_>) {
    if view.has("transform") {
        with_transform(view);
    } else {
        without_transform(view);
    }
    prepare(view);
    bad_rows(view);
    budget(view);
}

fn budget(view: &mut View<'_>) {
    if !view.written("budget") {
        return;
    }
    if !view.has("transform") {
        let message = "`budget` has no effect without `transform`".to_owned();
        let help = "it bounds what transform jobs take; remove it";
        view.problem("budget", code::CONFLICT, message, help);
    } else if !view.has("budget.instance_hours") && !view.has("budget.usd") {
        let message = "`budget` names no amount".to_owned();
        let help = "`instance_hours`, `usd`, or both";
        view.problem("budget", code::MISSING_KEY, message, help);
    }
}

fn with_transform(view: &mut View<'_>) {
    for (stage, why) in [
        (
            "work",
            "`work.uri` is an S3 prefix for shards and all else that a retry needs",
        ),
        ("assemble", "`assemble.to` says where the predictions go"),
    ] {
        if !view.has(stage) {
            let message = format!("`transform` needs the stage `{stage}`");
            view.problem("transform", code::MISSING_KEY, message, why);
        }
    }
    if view.written("shards.to") {
        let message = "`shards.to` and `transform` exclude one another".to_owned();
        let help = "shards for a model go under `work.uri`; remove `shards.to`";
        view.problem("shards.to", code::CONFLICT, message, help);
    }
    if view.written("prepare.rename") {
        let message = "`prepare.rename` has no effect with `transform`".to_owned();
        let help = "a model gets no header; rename in `assemble.columns`: { name: NEW, from: OLD }";
        view.problem("prepare.rename", code::CONFLICT, message, help);
    }
    if view
        .get("shards.header")
        .is_some_and(|header| *header == true)
    {
        let message = "`shards.header` cannot be true with `transform`".to_owned();
        let help = "the service would send the header to the model as a row";
        view.problem("shards.header", code::CONFLICT, message, help);
    }
}

fn without_transform(view: &mut View<'_>) {
    if view.written("assemble") {
        let message = "`assemble` needs the stage `transform`".to_owned();
        let help = "it puts predictions beside rows; to only convert, use `shards.to`";
        view.problem("assemble", code::CONFLICT, message, help);
    } else if !view.has("shards.to") {
        let at = if view.written("shards") { "shards" } else { "" };
        let message = "`shards` needs the key `to`, since there is no `transform`".to_owned();
        let help = "`shards.to`: where the rows go; a folder if it ends with `/`, else a file";
        view.problem(at, code::MISSING_KEY, message, help);
    }
    if view.written("prepare.id") {
        let message = "`prepare.id` has no effect without `transform`".to_owned();
        let help = "it keeps columns out of a model's input; remove it";
        view.problem("prepare.id", code::CONFLICT, message, help);
    }
}

fn prepare(view: &mut View<'_>) {
    if view.written("prepare.select") && view.written("prepare.drop") {
        let message = "`prepare.select` and `prepare.drop` exclude one another".to_owned();
        let help = "`select` names all that go on, so there is nothing left to drop";
        view.problem("prepare.drop", code::CONFLICT, message, help);
    }
}

fn bad_rows(view: &mut View<'_>) {
    if view.text("source.on_bad_row.action") != Some("fail") {
        return;
    }
    for key in ["max_ratio", "max_rows"] {
        let path = format!("source.on_bad_row.{key}");
        if view.has(&path) {
            let message = format!("`{path}` has no effect with `action: fail`");
            view.problem(
                &path,
                code::CONFLICT,
                message,
                "use `action: quarantine`, or remove it",
            );
        }
    }
}
