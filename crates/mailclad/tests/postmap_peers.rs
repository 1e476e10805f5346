//! postmap(1) and postalias(1) beside Postfix's own: what they say, with which status they end, and what is in the index then.
#![allow(clippy::unwrap_used)] // a test has no other way out

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command, its words, its input.
type Step<'a> = (&'a str, &'a [&'a str], &'a str);

/// What one command did, without the names of folders and programs.
#[derive(Debug, PartialEq, Eq)]
struct Did {
    status: Option<i32>,
    said: String,
    complained: String,
}

/// One side: its folder, and what its commands begin with.
struct Side {
    folder: tempfile::TempDir,
    program: &'static [&'static str],
}

impl Side {
    fn new(program: &'static [&'static str]) -> Side {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
        Side { folder, program }
    }

    fn write(&self, name: &str, text: &[u8]) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// DIR in the words is the folder.
    fn run(&self, command: &str, words: &[&str], input: &[u8]) -> Did {
        let dir = self.folder.path().display().to_string();
        let (program, before) = match self.program {
            [] => (command.to_owned(), None),
            [program, ..] => ((*program).to_owned(), Some(command)),
        };
        let mut child = Command::new(program)
            .args(before)
            .args(["-c", &dir])
            .args(words.iter().map(|word| word.replace("DIR", &dir)))
            .env_remove("MAIL_CONFIG")
            .env("LANG", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir, "DIR");
        // The order of an index is its own.
        let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
        if words.contains(&"-s") {
            lines.sort();
        }
        Did { status: output.status.code(), said: lines.join("\n"), complained: text(&output.stderr) }
    }

    fn mode(&self, name: &str) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt;
        Some(std::fs::metadata(Path::new(self.folder.path()).join(name)).ok()?.permissions().mode() & 0o777)
    }
}

/// The same on both sides, one after the other; gives what differs.
fn compare(name: &str, source: &[u8], steps: &[Step<'_>], differences: &mut Vec<String>) {
    let sides = [Side::new(&[]), Side::new(&[env!("CARGO_BIN_EXE_mailclad")])];
    for side in &sides {
        side.write("t", source);
    }
    for (at, (command, words, input)) in steps.iter().enumerate() {
        let [theirs, ours] = sides.each_ref().map(|side| side.run(command, words, input.as_bytes()));
        if theirs != ours && meant(words, &theirs, &ours).is_none() {
            differences.push(format!(
                "{name}, step {at}: {command} {words:?}\n  theirs {theirs:?}\n  ours   {ours:?}"
            ));
        }
    }
    for file in ["t.db", "t.cdb", "t.lmdb"] {
        let [theirs, ours] = sides.each_ref().map(|side| side.mode(file));
        if theirs != ours {
            differences.push(format!("{name}: mode of {file}: theirs {theirs:?}, ours {ours:?}"));
        }
    }
}

/// Why a difference is meant; `None` for one that is not.
fn meant(words: &[&str], theirs: &Did, ours: &Did) -> Option<&'static str> {
    let (said, complained) = (theirs.said.as_str(), theirs.complained.as_str());
    if words.iter().any(|word| word.starts_with("cdb:")) && theirs.status == Some(1) && ours.status == Some(0)
    {
        return Some("ours lists and changes such a table, too");
    }
    if said.contains("YP_MASTER_NAME") {
        // Since 3.12 a quoted key is kept as it is written.
        let rest: Vec<String> = said
            .lines()
            .filter(|line| !line.starts_with("YP_"))
            .map(|line| line.replace("a b:", "\"a b\":"))
            .collect();
        let mut rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        rest.sort_unstable();
        return (rest.join("\n") == ours.said)
            .then_some("nobody asks for the time and the master of an NIS map");
    }
    if complained.replace("-bfFhimn", "-bfFhijmn") == ours.complained {
        return Some("3.11 has an option more");
    }
    for (part, why) in [
        ("MDB_BAD_VALSIZE", "an empty key is in no table"),
        (". Is the postfix-nonsense package installed?", "there are no such packages"),
        ("query error: Application error", "ours says what was wrong"),
        ("expecting \"type:name\" form instead of \"environ:\"", "environ needs no name"),
        ("open database DIR/t.db: No such file", "ours reads the source of a missing index"),
    ] {
        if complained.contains(part) {
            return Some(why);
        }
    }
    (words.contains(&"-s") && said.contains('\u{c4}')).then_some("text is always UTF-8, also with -u")
}

const SOURCE: &[u8] = b"# comment\nplain value one\nUpper Value\n  continued\nuser@x.test a@x.test, b@x.test\n\"quoted key\" v\n@x.test all\n";

#[test]
fn options_and_texts() {
    // Postfix's own waits for a second to pass where a file is new.
    let mut differences: Vec<String> = std::thread::scope(|scope| {
        let kinds = ["hash", "btree", "cdb", "lmdb"].map(|kind| scope.spawn(move || of_kind(kind)));
        kinds.into_iter().flat_map(|kind| kind.join().unwrap()).collect()
    });
    other_cases(&mut differences);
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// What can be done with tables of a kind.
fn of_kind(kind: &str) -> Vec<String> {
    let mut differences = Vec::new();
    {
        let table = format!("{kind}:DIR/t");
        let table = table.as_str();
        let cases: &[(&str, &[u8], &[Step<'_>])] = &[
            ("build", SOURCE, &[
                ("postmap", &[table], ""),
                ("postmap", &["-s", table], ""),
                ("postmap", &["-q", "plain", table], ""),
                ("postmap", &["-q", "UPPER", table], ""),
                ("postmap", &["-q", "upper", table], ""),
                ("postmap", &["-q", "quoted key", table], ""),
                ("postmap", &["-q", "\"quoted key\"", table], ""),
                ("postmap", &["-q", "absent", table], ""),
                ("postmap", &["-q", "", table], ""),
                ("postmap", &["-q", "-", table], "plain\nabsent\nUpper\n"),
                ("postmap", &["-q", "-", table], "absent\n"),
                ("postmap", &["-fq", "Upper", table], ""),
            ]),
            ("no-fold", SOURCE, &[("postmap", &["-f", table], ""), ("postmap", &["-s", table], ""), ("postmap", &["-fq", "Upper", table], "")]),
            ("duplicates", b"a 1\na 2\nb 3\n", &[("postmap", &[table], ""), ("postmap", &["-s", table], "")]),
            ("duplicates-quiet", b"a 1\na 2\n", &[("postmap", &["-w", table], ""), ("postmap", &["-s", table], "")]),
            ("duplicates-replace", b"a 1\na 2\n", &[("postmap", &["-r", table], ""), ("postmap", &["-s", table], "")]),
            ("with-nul", SOURCE, &[("postmap", &["-N", table], ""), ("postmap", &["-q", "plain", table], ""), ("postmap", &["-s", table], "")]),
            ("without-nul", SOURCE, &[("postmap", &["-n", table], ""), ("postmap", &["-q", "plain", table], ""), ("postmap", &["-s", table], "")]),
            ("own-mode", SOURCE, &[("postmap", &["-p", table], "")]),
            ("old-owner", SOURCE, &[("postmap", &["-o", table], "")]),
            ("odd-lines", b"alone\n  begins with a blank\nkey:\nkey: value\n\"open quote x\n\\ escaped y\nx\t\ttabs\t\n", &[("postmap", &[table], ""), ("postmap", &["-s", table], "")]),
            ("empty", b"", &[("postmap", &[table], ""), ("postmap", &["-s", table], ""), ("postmap", &["-q", "a", table], "")]),
            ("binary", b"a \xff\xfe\nb \xc3\xa4\n\xc3\x84 c\n", &[("postmap", &[table], ""), ("postmap", &["-s", table], ""), ("postmap", &["-q", "\u{e4}", table], "")]),
            ("no-utf8", b"b \xc3\xa4\n\xc3\x84 c\n", &[("postmap", &["-u", table], ""), ("postmap", &["-s", table], "")]),
            ("aliases", b"# c\nroot: me, you\nPostmaster: root\nlist: :include:/x\ncmd: \"|/bin/x y\"\nodd line\nowner-x:\n\"a b\": c\n a\n", &[
                ("postalias", &[table], ""),
                ("postalias", &["-s", table], ""),
                ("postalias", &["-q", "root", table], ""),
                ("postalias", &["-q", "POSTMASTER", table], ""),
                ("postalias", &["-q", "absent", table], ""),
                ("postalias", &["-q", "-", table], "cmd\nabsent\n"),
            ]),
        ];
        for (name, source, steps) in cases {
            compare(&format!("{kind} {name}"), source, steps, &mut differences);
        }
        if matches!(kind, "hash" | "btree" | "lmdb") {
            let cases: &[(&str, &[Step<'_>])] = &[
                (
                    "delete",
                    &[
                        ("postmap", &[table], ""),
                        ("postmap", &["-d", "plain", table], ""),
                        ("postmap", &["-d", "plain", table], ""),
                        ("postmap", &["-d", "-", table], "upper\nabsent\n"),
                        ("postmap", &["-s", table], ""),
                        ("postmap", &["-q", "plain", table], ""),
                    ],
                ),
                (
                    "increment",
                    &[
                        ("postmap", &[table], ""),
                        ("postmap", &["-i", table], "new entry\nplain other\n"),
                        ("postmap", &["-q", "new", table], ""),
                        ("postmap", &["-q", "plain", table], ""),
                        ("postmap", &["-ir", table], "plain other\n"),
                        ("postmap", &["-q", "plain", table], ""),
                        ("postmap", &["-iw", table], "plain again\n"),
                        ("postmap", &["-s", table], ""),
                    ],
                ),
                (
                    "increment-new",
                    &[("postmap", &["-i", table], "first entry\n"), ("postmap", &["-s", table], "")],
                ),
                (
                    "alias-increment",
                    &[
                        ("postalias", &["-i", table], "first: entry\n"),
                        ("postalias", &["-s", table], ""),
                        ("postalias", &["-d", "first", table], ""),
                        ("postalias", &["-d", "first", table], ""),
                    ],
                ),
            ];
            for (name, steps) in cases {
                compare(&format!("{kind} {name}"), SOURCE, steps, &mut differences);
            }
        }
        if matches!(kind, "cdb") {
            compare(
                "cdb changes",
                SOURCE,
                &[
                    ("postmap", &[table], ""),
                    ("postmap", &["-d", "plain", table], ""),
                    ("postmap", &["-i", table], "a b\n"),
                ],
                &mut differences,
            );
        }
    }
    differences
}

fn other_cases(differences: &mut Vec<String>) {
    let others: &[(&str, &[u8], &[Step<'_>])] = &[
        (
            "usage",
            SOURCE,
            &[
                ("postmap", &[], ""),
                ("postmap", &["-x", "hash:DIR/t"], ""),
                ("postmap", &["-q", "a", "-d", "b", "hash:DIR/t"], ""),
                ("postmap", &["-q", "a", "-s", "hash:DIR/t"], ""),
                ("postmap", &["-d", "a", "-s", "hash:DIR/t"], ""),
                ("postmap", &["-h", "-q", "a", "hash:DIR/t"], ""),
                ("postmap", &["-b", "-i", "hash:DIR/t"], ""),
                ("postmap", &["-r", "-s", "hash:DIR/t"], ""),
            ],
        ),
        (
            "absent",
            SOURCE,
            &[
                ("postmap", &["hash:DIR/absent"], ""),
                ("postmap", &["-q", "a", "hash:DIR/absent"], ""),
                ("postmap", &["-s", "hash:DIR/absent"], ""),
                ("postmap", &["-d", "a", "hash:DIR/absent"], ""),
                ("postalias", &["hash:DIR/absent"], ""),
            ],
        ),
        (
            "types",
            SOURCE,
            &[
                ("postmap", &["nonsense:DIR/t"], ""),
                ("postmap", &["-q", "a", "nonsense:DIR/t"], ""),
                ("postmap", &["texthash:DIR/t"], ""),
                ("postmap", &["-q", "plain", "texthash:DIR/t"], ""),
                ("postmap", &["-s", "texthash:DIR/t"], ""),
                ("postmap", &["-q", "x", "static:y"], ""),
                ("postmap", &["-q", "k", "inline:{ k=v, { l = w } }"], ""),
                ("postmap", &["-q", "PATH_ABSENT", "environ:"], ""),
                ("postmap", &["-q", "x", "fail:why"], ""),
                ("postmap", &["-q", "root", "unix:passwd.byname"], ""),
                ("postmap", &["-q", "x", "pipemap:{static:a,static:b}"], ""),
                ("postmap", &["-q", "x", "unionmap:{static:a,static:b}"], ""),
                ("postmap", &["-q", "x", "randmap:{a}"], ""),
                ("postmap", &["cidr:DIR/t"], ""),
                ("postmap", &["-q", "x", "cidr:DIR/t"], ""),
                ("postmap", &["-q", "x", "regexp:DIR/absent"], ""),
                ("postmap", &["-q", "x", "pcre:DIR/absent"], ""),
                ("postmap", &["-s", "static:y"], ""),
                ("postmap", &["-d", "x", "static:y"], ""),
                ("postmap", &["DIR/t"], ""),
                ("postmap", &["-q", "plain", "DIR/t"], ""),
            ],
        ),
        (
            "patterns",
            b"/^plain$/ found\n/^subject: (.*)/ SUBJECT $1\n/^name/ BODY\n",
            &[
                ("postmap", &["-q", "plain", "regexp:DIR/t"], ""),
                ("postmap", &["-q", "PLAIN", "pcre:DIR/t"], ""),
                ("postmap", &["-q", "absent", "regexp:DIR/t"], ""),
                (
                    "postmap",
                    &["-hq", "-", "regexp:DIR/t"],
                    "From: x\nSubject: one\n two\n\nname\nSubject: body\n",
                ),
                ("postmap", &["-bq", "-", "regexp:DIR/t"], "From: x\nSubject: one\n\nname\nother\n"),
                ("postmap", &["-bhq", "-", "regexp:DIR/t"], "Subject: one\n\nname\n"),
                (
                    "postmap",
                    &["-bhmq", "-", "pcre:DIR/t"],
                    "Content-Type: multipart/mixed; boundary=b\n\n--b\nSubject: part\n\nname\n--b--\n",
                ),
            ],
        ),
        ("files", b"a DIR/one\nb DIR/absent\n", &[("postmap", &["-F", "hash:DIR/t"], "")]),
    ];
    for (name, source, steps) in others {
        compare(name, source, steps, differences);
    }
}
