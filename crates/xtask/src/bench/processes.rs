//! What processes cost: CPU time and memory of a master and everything it started, from /proc.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// CPU time of a process and its descendants, those included that have ended and been waited for.
pub(crate) fn cpu_time(root: u32) -> Duration {
    let ticks: u64 = family(root).iter().filter_map(|pid| ticks(*pid)).sum();
    // 100 ticks a second on every Linux that this runs on (USER_HZ).
    Duration::from_millis(ticks * 10)
}

/// Proportional memory of all of them, in bytes.
pub(crate) fn memory(root: u32) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    family(root).iter().filter_map(of).sum::<u64>() * 1024
}

/// CPU time of this process's own children that were waited for.
pub(crate) fn children_time() -> Duration {
    Duration::from_millis(fields(std::process::id()).map_or(0, |fields| fields[2] + fields[3]) * 10)
}

/// user, system, and both of the children that were waited for: fields 14 to 17 of /proc/PID/stat.
fn ticks(pid: u32) -> Option<u64> {
    fields(pid).map(|fields| fields.iter().sum())
}

fn fields(pid: u32) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn family(root: u32) -> HashSet<u32> {
    let mut parents: HashMap<u32, u32> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(parent) = parent(pid)
        {
            parents.insert(pid, parent);
        }
    }
    let mut family = HashSet::from([root]);
    loop {
        let before = family.len();
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| family.contains(parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            return family;
        }
    }
}
