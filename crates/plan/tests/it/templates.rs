//! Templates: rendered after parsing, typed, strict.

use crate::support::{edited, problems_of, spec, try_spec};

fn model(template: &str) -> String {
    let text = edited(&[("model: late-v1", &format!("model: \"{template}\""))]);
    match try_spec(&text, &[("run_date", "2013-02-05")]) {
        Ok(spec) => match spec.transform.unwrap().model {
            gristmill_plan::spec::Model::Named(name) => name,
            other => panic!("{other:?}"),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn dates_clock_and_run_can_be_named() {
    assert_eq!(model("m-{{ params.run_date }}"), "m-2013-02-05");
    assert_eq!(
        model("m-{{ params.run_date.strftime('%Y%m') }}"),
        "m-201302"
    );
    assert_eq!(
        model("m-{{ params.run_date.year }}-{{ params.run_date.month }}"),
        "m-2013-2"
    );
    assert_eq!(model("m-{{ now.date }}"), "m-2026-11-21");
    assert_eq!(model("{{ now.strftime('%Y-%m-%d') }}"), "2026-11-21");
    assert_eq!(model("m-{{ now(tz='Asia/Tokyo').date }}"), "m-2026-11-22");
    assert_eq!(
        model("m-{{ now(tz='Asia/Tokyo').strftime('%H%M') }}"),
        "m-0830"
    );
    assert_eq!(
        model("{{ run.id }}-{{ run.key }}"),
        "r-1-late-flights-0123456789ab"
    );
}

#[test]
fn what_is_not_defined_is_found_with_a_suggestion() {
    insta::assert_snapshot!(model("{{ params.run_dat }}"), @r"
    p.yaml:15:10: `transform.model`: `params.run_dat` is not defined
      help: did you mean `params.run_date`?
    ");
    insta::assert_snapshot!(model("{{ prams.run_date }}"), @r"
    p.yaml:15:10: `transform.model`: `prams.run_date` is not defined
      help: did you mean `params.run_date`?
    ");
    insta::assert_snapshot!(model("{{ env.HOME }}"), @r"
    p.yaml:15:10: `transform.model`: `env.HOME` is not defined
      help: list it under `env:`
    ");
    insta::assert_snapshot!(model("x-{{ params.run_date.nothing }}"), @r"
    p.yaml:15:10: `transform.model`: template `x-{{ params.run_date.nothing }}`: undefined value
      help: templates know now, now.date, run.id, run.key, params.run_date
    ");
    insta::assert_snapshot!(model("{{ nonsense }}"), @r"
    p.yaml:15:10: `transform.model`: `nonsense` is not defined
      help: templates know now, now.date, run.id, run.key, params.run_date
    ");
}

#[test]
fn what_does_not_parse_or_run_is_explained() {
    insta::assert_snapshot!(model("{{ params.run_date "), @r"
    p.yaml:15:10: `transform.model`: template `{{ params.run_date `: unexpected end of input, expected end of variable block
      help: a template is one expression: {{ params.NAME }}
    ");
    insta::assert_snapshot!(model("{{ params.run_date + }}"), @r"
    p.yaml:15:10: `transform.model`: template `{{ params.run_date + }}`: unexpected end of variable block
      help: a template is one expression: {{ params.NAME }}
    ");
    insta::assert_snapshot!(model("{% if true %}{{ now }}{% endif %}"), @"p.yaml:15:10: `transform.model`: only `{{ … }}` is accepted in a template, not `{% … %}` or `{# … #}`");
    insta::assert_snapshot!(model("{{ now.strftime('%!') }}"), @"p.yaml:15:10: `transform.model`: template `{{ now.strftime('%!') }}`: the format `%!` cannot be used here: strftime formatting failed: found unrecogn…");
    insta::assert_snapshot!(model("{{ now(tz='Mars/Base') }}"), @"p.yaml:15:10: `transform.model`: template `{{ now(tz='Mars/Base') }}`: `Mars/Base` is not a time zone such as 'Asia/Tokyo'");
    insta::assert_snapshot!(model("{{ now.format('x') }}"), @"p.yaml:15:10: `transform.model`: template `{{ now.format('x') }}`: there is no `.format()`; there is `.strftime('%Y-%m-%dT%H:%M:%SZ')`");
    let long = format!("{{{{ now }}}}{}", "x".repeat(70_000));
    insta::assert_snapshot!(model(&long), @"p.yaml:15:10: `transform.model`: the rendered text has more than 65536 characters");
}

#[test]
fn a_lone_template_keeps_its_type() {
    let params = "run_date: { type: date, default: 2013-01-31 }\n  n: { type: int, default: 4 }\n  s: { type: string, default: '4' }";
    let declared = ("run_date: { type: date, default: 2013-01-31 }", params);
    let with = |value: &str| {
        let line = format!("instance_type: ml.m5.xlarge\n  instance_count: {value}");
        edited(&[declared, ("instance_type: ml.m5.xlarge", &line)])
    };
    let count = |value: &str| {
        try_spec(&with(value), &[])
            .unwrap()
            .transform
            .unwrap()
            .instance_count
    };
    assert_eq!(count("\"{{ params.n }}\""), 4);
    assert_eq!(count("'{{ params.n * 2 + 1 }}'"), 9);
    assert_eq!(count("\"{{ params.s | int }}\""), 4);
    insta::assert_snapshot!(try_spec(&with("\"{{ params.s }}\""), &[]).unwrap_err(), @r"
    p.yaml:19:19: `transform.instance_count`: expected an integer from 1 to 100, found the text `4`
      help: a value that is one {{ … }} keeps its type, any other is a text
    ");
    insta::assert_snapshot!(try_spec(&with("\"{{ params.n }}0\""), &[]).unwrap_err(), @r"
    p.yaml:19:19: `transform.instance_count`: expected an integer from 1 to 100, found the text `40`
      help: a value that is one {{ … }} keeps its type, any other is a text
    ");
    // A number in a text is meant as text.
    let text = edited(&[declared, ("model: late-v1", "model: '{{ params.n }}'")]);
    assert!(try_spec(&text, &[]).is_ok());
}

#[test]
fn a_rendered_value_is_never_read_as_yaml_or_as_a_template() {
    let params = "run_date: { type: date, default: 2013-01-31 }\n  s: { type: string, default: \"{{ now }}: [\" }";
    let text = edited(&[("run_date: { type: date, default: 2013-01-31 }", params)]);
    insta::assert_snapshot!(try_spec(&text, &[]).unwrap_err(), @r"
    p.yaml:5:31: `params.s.default` cannot hold a template
      help: write the value itself
    ");
    let params = params.replace("{{ now }}: [", "a");
    let text = edited(&[
        ("run_date: { type: date, default: 2013-01-31 }", &params),
        ("onnx: late.onnx", "command: \"{{ params.s }}\""),
    ]);
    let spec = try_spec(&text, &[("s", "x: [{{ now }}\n- y")]).unwrap();
    let gristmill_plan::spec::LocalModel::Command(command) = spec.local.unwrap().model else {
        panic!()
    };
    assert_eq!(command, "x: [{{ now }}\n- y");
}

#[test]
fn the_files_own_keys_take_no_template() {
    insta::assert_snapshot!(problems_of(&[("name: late-flights", "name: \"late-{{ now.date }}\"")]), @r"
    [template] p.yaml:2:7: `name` cannot hold a template
      help: write the value itself
    ");
}

#[test]
fn environment_variables_must_be_listed_and_set() {
    let text = edited(&[
        ("work:\n", "env: [STAGE]\nwork:\n"),
        ("model: late-v1", "model: \"late-{{ env.STAGE }}\""),
    ]);
    insta::assert_snapshot!(try_spec(&text, &[]).unwrap_err(), @r"
    p.yaml:5:7: the environment variable `STAGE` is not set
      help: set it, or remove it from `env:`
    ");
    let doc = gristmill_plan::parse(&text, "p.yaml").unwrap();
    assert_eq!(doc.env_names(), ["STAGE"]);
    let mut context = crate::support::context(&[]);
    context.env.insert("STAGE".into(), "prod".into());
    let spec = gristmill_plan::resolve(&doc, &context).unwrap();
    assert_eq!(
        spec.transform.unwrap().model,
        gristmill_plan::spec::Model::Named("late-prod".into())
    );
    insta::assert_snapshot!(problems_of(&[("work:\n", "env: [AWS_SECRET_ACCESS_KEY]\nwork:\n")]), @"[bad-value] p.yaml:5:7: `env[0]`: `AWS_SECRET_ACCESS_KEY` is a credential's name; a pipeline must not take credentials");
}

#[test]
fn offline_what_is_not_known_is_not_complained_about() {
    let params = "run_date: { type: date, required: true }\n  n: { type: int, required: true }\n  model: { type: string, required: true }";
    let edits = [
        ("run_date: { type: date, default: 2013-01-31 }", params),
        (
            "model: late-v1",
            "model: '{{ params.model }}'\n  max_concurrent_transforms: '{{ params.n }}'",
        ),
        ("format: csv", "format: 'csv{{ params.model }}'"),
    ];
    assert_eq!(problems_of(&edits), "");
    let doc = gristmill_plan::parse(&edited(&edits), "p.yaml").unwrap();
    let error = gristmill_plan::resolve(&doc, &crate::support::context(&[])).unwrap_err();
    insta::assert_snapshot!(error, @r"
    parameter `model` is required: give it with `-p model=<text>`
    parameter `n` is required: give it with `-p n=<an integer>`
    parameter `run_date` is required: give it with `-p run_date=<a date (YYYY-MM-DD)>`
    ");
}

#[test]
fn dates_in_locations_are_rendered() {
    assert_eq!(
        spec(&[]).assemble.unwrap().to.to_string(),
        "s3://scores/dt=2013-01-31/"
    );
}

#[test]
fn an_environment_variable_that_is_a_credential_is_refused() {
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "GITHUB_TOKEN",
        "token",
        "DB_PASSWORD",
        "PGPASSWORD",
        "CLIENT_SECRET",
        "OPENAI_API_KEY",
    ] {
        let found =
            crate::support::problems_of(&[("work:\n", &format!("env: [STAGE, {name}]\nwork:\n"))]);
        assert_eq!(
            found,
            format!(
                "[bad-value] p.yaml:5:14: `env[1]`: `{name}` is a credential's name; a pipeline must not take credentials"
            )
        );
    }
    let fine = "env: [STAGE, TOKENIZER, KEYS, USER, PASSED, _x1]\nwork:\n";
    assert_eq!(crate::support::problems_of(&[("work:\n", fine)]), "");
}

#[test]
fn no_template_makes_more_than_a_value_may_have() {
    for template in [
        "{{ 'x'|indent(1000000000) }}",
        "{{ 'x'|indent(width=1000000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ '%.1000000000f'|format(1) }}",
        "{{ '%*d'|format(1000000000, 1) }}",
        "{{ 'x'|replace('x', 'xxxxxxxxxx')|replace('x', 'xxxxxxxxxx')|replace('x', 'xxxxxxxxxx')\
         |replace('x', 'xxxxxxxxxx')|replace('x', 'xxxxxxxxxx')|length }}",
        "{{ 'xxxxxx'|list|string|list|string|list|string|list|string|list|string|list|string|length }}",
    ] {
        let error = model(template);
        assert!(
            error.starts_with("p.yaml:15:10: `transform.model`: "),
            "{error}"
        );
        assert!(error.contains("65536"), "{template}: {error}");
    }
    insta::assert_snapshot!(model("{{ 'x'|indent(1000000000) }}"), @"p.yaml:15:10: `transform.model`: template `{{ 'x'|indent(1000000000) }}`: `indent` would make more than 65536 characters or items");
    // What repeats is not there, or is for numbers.
    let error = model("{{ range(100000)|list|length }}");
    assert!(error.contains("`range` is not defined"), "{error}");
    let error = model("{{ 'x'|map('upper') }}");
    assert!(
        error.contains("a template makes one value; filters are abs, "),
        "{error}"
    );
    insta::assert_snapshot!(model("m-{{ 'x' * 100000000 }}"), @r"
    p.yaml:15:10: `transform.model`: template `{{ 'x' * 100000000 }}`: `*` multiplies numbers only, and this expression has other values or filters
      help: numbers are `2`, `params.NAME`, `now.year`
    ");
    for template in [
        "{{ [1] * 100000000 }}",
        "{{ (1, 2) * 50000000 }}",
        "{{ params.run_date * 3 }}",
        "{{ {1: {1: 2}}|length ~ 'x' * 3 }}",
        "{{ 3 * run.id }}",
        "{{ (1 ~ 1) * 100000000 }}",
    ] {
        assert!(
            model(template).contains("`*` multiplies numbers only"),
            "{template}"
        );
    }
    assert_eq!(model("m-{{ params.run_date.month * 2 }}"), "m-4");
    assert_eq!(
        model("{{ 'a*b'|replace('*', '-') }}-{{ 2 * (1 + now.year) }}"),
        "a-b-4054"
    );
}

#[test]
fn filters_of_one_value_work() {
    assert_eq!(model("{{ ' Late-V1 '|trim|lower }}"), "late-v1");
    assert_eq!(
        model("{{ '%02d-%s'|format(params.run_date.month, 'x') }}"),
        "02-x"
    );
    assert_eq!(model("{{ ['a', 'b']|join('-')|upper }}"), "A-B");
    assert_eq!(
        model("{{ 'x' if params.run_date is defined else 'y' }}"),
        "x"
    );
    assert_eq!(model("{{ 'a-b'|split('-')|last|default('c') }}"), "b");
}
