//! The results of each day, kept in files until its reports are sent: `tlsrpt/2026-11-28` below data_directory, one result on a line.
//! Beside it `2026-11-28.sent` names what has been sent. Days are those of UTC (RFC 8460 section 4.1).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::event::Event;

/// Bytes of results of one day at most; later ones are not counted.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Longest line that is read.
const MOST_LINE: u64 = 64 * 1024;

/// Seconds of a day of UTC.
pub(crate) const SECONDS: i64 = 86_400;

/// A day of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// The day of a moment.
    pub fn of(time: SystemTime) -> Day {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs());
        let timestamp = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
        Day(timestamp.to_zoned(TimeZone::UTC).date())
    }

    /// `2026-11-28`
    pub fn parse(text: &str) -> Option<Day> {
        let day = Day(text.parse().ok()?);
        (day.to_string() == text).then_some(day)
    }

    /// Its first second, since 1970.
    pub(crate) fn begin(self) -> i64 {
        self.0.to_zoned(TimeZone::UTC).map_or(0, |midnight| midnight.timestamp().as_second())
    }

    /// The first second of the next.
    pub(crate) fn end(self) -> i64 {
        self.begin() + SECONDS
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The files.
pub struct Days {
    directory: PathBuf,
    /// Open for one more line, with its day.
    current: Mutex<Option<(Day, File)>>,
}

impl Days {
    /// Below data_directory; nothing is made before there is a result.
    pub fn new(data_directory: &str) -> Days {
        Days { directory: Path::new(data_directory).join("tlsrpt"), current: Mutex::default() }
    }

    /// Adds a result to a day. One write, so that processes that share a file do not mix their lines.
    pub(crate) fn add(&self, day: Day, event: &Event) -> io::Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(of, _)| *of != day) {
            fs::create_dir_all(&self.directory)?;
            let file =
                OpenOptions::new().create(true).append(true).open(self.directory.join(day.to_string()))?;
            *current = Some((day, file));
        }
        let Some((_, file)) = current.as_mut() else { return Ok(()) };
        if file.metadata()?.len() >= MOST_BYTES {
            return Err(io::Error::other(format!(
                "{MOST_BYTES} bytes of results are there for {day} already"
            )));
        }
        file.write_all(format!("{}\n", event.to_json()).as_bytes())
    }

    /// The days that have results, oldest first.
    pub fn all(&self) -> io::Result<Vec<Day>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut days: Vec<Day> =
            entries.flatten().filter_map(|entry| Day::parse(entry.file_name().to_str()?)).collect();
        days.sort();
        Ok(days)
    }

    /// The results of a day. A line that was cut off when the machine stopped is skipped.
    pub fn events(&self, day: Day) -> io::Result<impl Iterator<Item = Event> + use<>> {
        let mut file = BufReader::new(File::open(self.directory.join(day.to_string()))?);
        Ok(std::iter::from_fn(move || {
            loop {
                let mut line = Vec::new();
                let read = io::Read::take(&mut file, MOST_LINE).read_until(b'\n', &mut line).ok()?;
                if read == 0 {
                    return None;
                }
                if let Some(event) = std::str::from_utf8(&line).ok().and_then(Event::parse) {
                    return Some(event);
                }
            }
        }))
    }

    /// What has been sent of a day.
    pub(crate) fn sent(&self, day: Day) -> Vec<String> {
        let text = fs::read_to_string(self.sent_file(day)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Notes that something has been sent.
    pub(crate) fn note_sent(&self, day: Day, what: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.sent_file(day))?;
        file.write_all(format!("{what}\n").as_bytes())
    }

    /// A day that is done with.
    pub(crate) fn remove(&self, day: Day) -> io::Result<()> {
        fs::remove_file(self.directory.join(day.to_string()))?;
        match fs::remove_file(self.sent_file(day)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// An open file without a name, for a message that is handed on.
    pub(crate) fn nameless(&self) -> io::Result<File> {
        let path = self.directory.join(".mail");
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    fn sent_file(&self, day: Day) -> PathBuf {
        self.directory.join(format!("{day}.sent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlsrpt::event::Policy;

    #[test]
    fn days() {
        let day = Day::of(UNIX_EPOCH + std::time::Duration::from_secs(1_795_910_399));
        assert_eq!(
            (day.to_string().as_str(), day.begin(), day.end()),
            ("2026-11-28", 1_795_824_000, 1_795_910_400)
        );
        assert_eq!(Day::parse("2026-11-28"), Some(day));
        for text in ["2026-11-28.sent", "2026-13-01", "20261128", ".mail", ""] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn results_outlive_the_process_and_a_broken_line() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let (first, second) = (Day::parse("2026-11-28").unwrap(), Day::parse("2026-11-29").unwrap());
        let event = |domain: &str| Event::new(domain, "v=TLSRPTv1;", Policy::none(), None);
        assert_eq!(Days::new(data).all().unwrap(), []);
        let days = Days::new(data);
        days.add(second, &event("a.test")).unwrap();
        days.add(first, &event("b.test")).unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.path().join("tlsrpt/2026-11-28")).unwrap();
        file.write_all(b"{\"dpv\":\"1\",\"d\":\"cut\n").unwrap();
        let days = Days::new(data);
        days.add(first, &event("c.test")).unwrap();
        assert_eq!(days.all().unwrap(), [first, second]);
        let domains: Vec<String> = days.events(first).unwrap().map(|event| event.domain).collect();
        assert_eq!(domains, ["b.test", "c.test"]);
        days.note_sent(first, "b.test mailto").unwrap();
        assert_eq!(days.sent(first), ["b.test mailto"]);
        days.remove(first).unwrap();
        assert_eq!((days.all().unwrap(), days.sent(first)), (vec![second], vec![]));
    }
}
