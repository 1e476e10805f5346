//! What the exit status of a delivery command means: the convention of sysexits(3), with enhanced status codes (RFC 3463)
//! in the output taking precedence (pipe(8), local(8)).

use mail::Status;

use crate::failure::Failure;

/// EX_TEMPFAIL.
#[cfg(test)]
const TEMPORARY: i32 = 75;

const TABLE: &[(i32, Status, &str)] = &[
    (64, Status::new(5, 3, 0), "command line usage error"),
    (65, Status::new(5, 6, 0), "data format error"),
    (66, Status::new(5, 3, 0), "cannot open input"),
    (67, Status::new(5, 1, 1), "user unknown"),
    (68, Status::new(5, 1, 2), "host name unknown"),
    (69, Status::new(5, 3, 0), "service unavailable"),
    (70, Status::new(5, 3, 0), "internal software error"),
    (71, Status::new(4, 3, 0), "system resource problem"),
    (72, Status::new(5, 3, 0), "critical OS file missing"),
    (73, Status::new(5, 2, 0), "can't create user output file"),
    (74, Status::new(5, 3, 0), "input/output error"),
    (75, Status::new(4, 3, 0), "temporary failure"),
    (76, Status::new(5, 5, 0), "remote error in protocol"),
    (77, Status::new(5, 7, 0), "permission denied"),
    (78, Status::new(5, 3, 5), "local configuration error"),
];

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// It took longer than it may.
    TimedOut,
}

/// The failure that an ending stands for; `None` for success. `output` is what the command said, one line, bounded.
pub(crate) fn judge(ending: Ending, command: &str, output: &str) -> Option<Failure> {
    let said = if output.is_empty() { String::new() } else { format!(". Command output: {output}") };
    Some(match ending {
        Ending::Exited(0) => return None,
        Ending::TimedOut => {
            Failure::new(Status::new(5, 3, 0), format!("Command time limit exceeded: \"{command}\"{said}"))
        }
        // A killed command is no verdict on the message: try again.
        Ending::Killed(signal) => {
            Failure::system(format!("Command died with signal {signal}: \"{command}\"{said}"))
        }
        Ending::Exited(status) => match Status::split_from(output).filter(|(found, _)| found.class != 2) {
            Some((found, text)) => {
                Failure { said: Some(text.trim_end().to_owned()), ..Failure::new(found, text) }
            }
            None => {
                let known = TABLE.iter().find(|(number, ..)| *number == status);
                let failure = match known {
                    Some((_, found, meaning)) => Failure::new(*found, format!("{meaning}{said}")),
                    None => {
                        let text = format!("Command died with status {status}: \"{command}\"{said}");
                        Failure::new(Status::new(5, 3, 0), text)
                    }
                };
                let said = match known {
                    _ if !output.is_empty() => output.trim_end().to_owned(),
                    Some((.., meaning)) => (*meaning).to_owned(),
                    None => format!("unknown mail system error {status}"),
                };
                Failure { said: Some(said), ..failure }
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings() {
        use Ending::*;
        for (ending, output, status, text) in [
            (Exited(TEMPORARY), "", "4.3.0", "temporary failure"),
            (Exited(TEMPORARY), "later", "4.3.0", "temporary failure. Command output: later"),
            (Exited(67), "", "5.1.1", "user unknown"),
            (Exited(1), "", "5.3.0", "Command died with status 1: \"cmd -x\""),
            (Exited(1), "oh", "5.3.0", "Command died with status 1: \"cmd -x\". Command output: oh"),
            (Exited(1), "4.2.2 mailbox full", "4.2.2", "mailbox full"),
            (Exited(TEMPORARY), "5.1.1 nobody", "5.1.1", "nobody"),
            (Exited(67), "2.0.0 fine", "5.1.1", "user unknown. Command output: 2.0.0 fine"),
            (Killed(9), "", "4.3.0", "Command died with signal 9: \"cmd -x\""),
            (TimedOut, "", "5.3.0", "Command time limit exceeded: \"cmd -x\""),
        ] {
            let failure = judge(ending, "cmd -x", output).unwrap();
            assert_eq!((failure.status.to_string().as_str(), failure.text.as_str()), (status, text));
        }
        assert_eq!(judge(Exited(0), "cmd", "5.1.1 said and yet fine"), None);
    }

    #[test]
    fn the_table_has_each_number_once_and_in_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    }
}
