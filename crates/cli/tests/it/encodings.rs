//! Text in other encodings than UTF-8: no cell is changed, no separator is seen that is none.

use crate::project::Project;

/// `name|note` in CP932: 表 and 能 end in a backslash's byte, ポ in a bar's.
const CP932: &[u8] =
    b"name|note\n\x95\x5c|\"\x83\x7c|\\\"\n\x94\x5c|\"a\"\"\x95\x5c\"\n\x83\x7c\x83\x7c|\n";
const AS_CSV: &str = "name,note\n表,ポ|\\\n能,\"a\"\"表\"\nポポ,\n";

fn text(project: &Project, name: &str) -> String {
    String::from_utf8(std::fs::read(project.path(name)).unwrap()).unwrap()
}

#[test]
fn cp932_beside_quotes_and_bars_converts_without_a_changed_cell() {
    let project = Project::new();
    project.write("in.csv", CP932);
    let convert = |to: &str, name: &str| {
        project
            .run(&["convert", "in.csv", to, "--encoding", name, "--canonical"])
            .expect(0);
    };
    convert("a.csv", "cp932");
    convert("b.csv.gz", "Shift_JIS");
    convert("c.parquet", "windows-31j");
    assert_eq!(text(&project, "a.csv"), AS_CSV);
    for from in ["b.csv.gz", "c.parquet"] {
        let back = format!("{from}.csv");
        project.run(&["convert", from, &back]).expect(0);
        assert_eq!(text(&project, &back), AS_CSV, "{from}");
    }
    let found = project
        .run(&[
            "inspect",
            "in.csv",
            "--encoding",
            "cp932",
            "--output",
            "json",
        ])
        .expect(0)
        .json();
    assert_eq!(found["first_rows"][0][0], "表");
    assert_eq!(found["dialect"]["delimiter"], "|");
}

#[test]
fn utf_16_tells_of_itself() {
    let project = Project::new();
    for (name, mark, little) in [
        ("le.csv", [0xff, 0xfe], true),
        ("be.csv", [0xfe, 0xff], false),
    ] {
        let order = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        let units = AS_CSV.encode_utf16().flat_map(order);
        project.write(name, mark.into_iter().chain(units).collect::<Vec<u8>>());
        let out = format!("out-{name}");
        project.run(&["convert", name, &out]).expect(0);
        assert_eq!(text(&project, &out), AS_CSV, "{name}");
    }
}

#[test]
fn bytes_that_do_not_decode_make_a_bad_row() {
    let project = Project::new();
    project.write("in.csv", b"a,b\n\x95\x5c,1\n\x85\xff,2\n");
    let args = ["convert", "in.csv", "out.csv", "--encoding", "cp932"];
    let refused = project.run(&args).expect(65).stderr;
    assert!(
        refused.contains("in.csv:3: record 2") && refused.contains("expected UTF-8"),
        "{refused}"
    );
    project
        .run(&[&args[..], &["--on-bad-row", "quarantine"]].concat())
        .expect(0);
    assert_eq!(text(&project, "out.csv"), "a,b\n表,1\n");
    let unknown = project
        .run(&["convert", "in.csv", "x.csv", "--encoding", "klingon"])
        .expect(2);
    assert!(
        unknown.stderr.contains("shift_jis (cp932)"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_pipeline_names_the_encoding() {
    let project = Project::new();
    project.write("in.csv", CP932);
    let pipeline = |encoding: &str| {
        format!(
            "version: 1\nname: p\nsource: {{ uri: in.csv, encoding: {encoding} }}\n\
             shards: {{ to: out.parquet, format: parquet }}\n"
        )
    };
    project.write("p.yaml", pipeline("cp932"));
    project.run(&["run", "p.yaml"]).expect(0);
    project
        .run(&["convert", "out.parquet", "back.csv"])
        .expect(0);
    assert_eq!(text(&project, "back.csv"), AS_CSV);
    project.write("q.yaml", pipeline("cp9320"));
    let refused = project.run(&["validate", "q.yaml"]).expect(78);
    assert!(
        refused.stdout.contains("q.yaml:3:") && refused.stdout.contains("is no known encoding"),
        "{}",
        refused.stdout
    );
}
