//! The table, and what the machine can do at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use super::scenario::{Measured, Scenario};
use super::subject::Kind;

/// A scenario with the medians of both.
pub(crate) struct Row {
    name: &'static str,
    unit: &'static str,
    goal: f64,
    is_cpu: bool,
    postfix: Measured,
    mailclad: Measured,
    /// What a server costs that does nothing with the mail.
    floor: Option<f64>,
}

impl Row {
    pub(crate) fn new(scenario: &Scenario, runs: &HashMap<Kind, Vec<Measured>>, floors: &[Measured]) -> Row {
        let of = |kind| {
            let runs = runs.get(&kind).map_or(&[][..], Vec::as_slice);
            Measured {
                cost: median(runs.iter().map(|run| run.cost)),
                rate: median(runs.iter().map(|run| run.rate)),
            }
        };
        Row {
            name: scenario.name,
            unit: scenario.unit,
            goal: scenario.goal,
            is_cpu: scenario.is_cpu(),
            postfix: of(Kind::Postfix),
            mailclad: of(Kind::Mailclad),
            floor: (!floors.is_empty()).then(|| median(floors.iter().map(|run| run.cost))),
        }
    }

    fn ratio(&self) -> f64 {
        self.mailclad.cost / self.postfix.cost.max(f64::MIN_POSITIVE)
    }

    /// One line, for who waits.
    pub(crate) fn line(&self) -> String {
        let floor = self.floor.map(|floor| format!(", floor {floor:.3}")).unwrap_or_default();
        format!(
            "{:<22} Postfix {:>9.3} {:>8.0}/s   Mailclad {:>9.3} {:>8.0}/s   1/{:.1} (goal 1/{:.1}{floor})",
            self.name,
            self.postfix.cost,
            self.postfix.rate,
            self.mailclad.cost,
            self.mailclad.rate,
            1.0 / self.ratio(),
            1.0 / self.goal
        )
    }

    fn markdown(&self) -> String {
        let cost = |value: f64| if self.is_cpu { format!("{value:.2} ms") } else { format!("{value:.0}") };
        let rate = |value: f64| if value > 0.0 { format!("{value:.0}/s") } else { "–".into() };
        let above = |floor: f64| self.mailclad.cost / floor.max(f64::MIN_POSITIVE);
        let floor = self.floor.map_or("–".into(), |floor| format!("{}, ×{:.1}", cost(floor), above(floor)));
        let faster = match self.postfix.rate > 0.0 {
            true => format!("×{:.1}", self.mailclad.rate / self.postfix.rate),
            false => "–".into(),
        };
        format!(
            "| {} ({}) | {} | {} | {floor} | 1/{:.1} | 1/{:.1} | {} | {} | {faster} |\n",
            self.name,
            self.unit,
            cost(self.postfix.cost),
            cost(self.mailclad.cost),
            1.0 / self.ratio(),
            1.0 / self.goal,
            rate(self.postfix.rate),
            rate(self.mailclad.rate)
        )
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The whole page.
pub(crate) fn page(rows: &[Row], repeats: usize, scale: usize, limits: &str) -> String {
    let mut out = String::from(
        "# Performance\n\nWritten by `cargo run --release --package xtask -- bench --output docs/performance.md`: Debian's Postfix and Mailclad on one\n\
         machine, with the same main.cf and master.cf, on the same file system, in turn. Cost is the CPU time of all processes of the\n\
         mail system for one unit; the load has its own. Machines differ and are shared: the ratios are what counts. The floor is what a server costs that speaks\n\
         the same dialogue through the same TLS library and does nothing with the mail (`xtask sink`): no log, no checks, no disk; with it\n\
         stands how many times as much Mailclad costs. On a shared machine two runs of one program differ by a third and more.\n\n",
    );
    out.push_str(&format!("Medians of {repeats} runs with {scale} % of the load. {limits}\n\n"));
    out.push_str("| work (unit) | cost: Postfix | Mailclad | floor | ratio | goal | rate: Postfix | Mailclad | ratio |\n|---|---|---|---|---|---|---|---|---|\n");
    rows.iter().for_each(|row| out.push_str(&row.markdown()));
    out
}

/// What one core and the disk can do, measured on the spot.
pub(crate) fn limits() -> String {
    let sign = |name: &str| -> Option<String> {
        let output = Command::new("openssl").args(["speed", "-seconds", "1", name]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // The last line ends with signatures and verifications a second.
        let last =
            text.lines().rev().find(|line| line.contains("bits") || line.contains("nistp256"))?.to_owned();
        last.split_whitespace().rev().nth(1).map(str::to_owned)
    };
    let syncs = || -> std::io::Result<f64> {
        let path = std::env::temp_dir().join(format!("mailclad-bench-sync-{}", std::process::id()));
        let mut file = File::create(&path)?;
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed().as_millis() < 500 {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            count += 1;
        }
        let _ = std::fs::remove_file(&path);
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    };
    let known = |value: Option<String>| value.unwrap_or_else(|| "?".into());
    format!(
        "This machine: {} RSA-2048 and {} ECDSA P-256 signatures a second on one core, {} synced appends of 4 KB a second.",
        known(sign("rsa2048")),
        known(sign("ecdsap256")),
        known(syncs().ok().map(|rate| format!("{rate:.0}")))
    )
}
