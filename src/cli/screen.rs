//! A terminal that shows one screen over and over, and is as it was before when the screen is dropped, however that comes.

use std::io::{self, Read, Write};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::sync::mpsc;

use super::failure::{Exit, Failure};

/// The other screen, without a cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// The cursor, and the screen as it was.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the upper left corner.
const HOME: &str = "\u{1b}[H";
/// Nothing in the rest of the line; nothing below.
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The screen.
pub(super) struct Screen {
    before: Termios,
    keys: mpsc::Receiver<u8>,
}

impl Screen {
    /// Takes the terminal over. Keys come one by one and aren't shown; Ctrl-C stays a signal.
    pub(super) fn enter() -> Result<Self, Failure> {
        let failed = |error| Failure::new(Exit::Io, format_args!("can't take over the terminal: {error}"));
        let before = termios::tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        let keys = keys().map_err(|error| Failure::new(Exit::Io, format_args!("can't read the keyboard: {error}")))?;
        let screen = Self { before, keys };
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &raw).map_err(failed)?;
        write(ENTER);
        Ok(screen)
    }

    /// How large it is now.
    pub(super) fn size() -> Size {
        let size = termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Size { columns: 80, rows: 24 }, |size| Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }

    /// Shows these lines and nothing else. They have to fit.
    pub(super) fn show(lines: &[String]) {
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}{CLEAR_LINE}")).collect();
        write(&format!("{HOME}{}{CLEAR_BELOW}", lines.join("\r\n")));
    }

    /// Waits for the next key.
    pub(super) async fn key(&mut self) -> u8 {
        match self.keys.recv().await {
            Some(key) => key,
            // Nobody types any more.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(LEAVE);
        // When this fails there is nobody left to be told.
        let _unheard = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// What is typed. The thread waits for keys until the process ends: there is no other way out of a read.
fn keys() -> io::Result<mpsc::Receiver<u8>> {
    let (typed, keys) = mpsc::channel(16);
    let read = move || {
        for key in io::stdin().lock().bytes().map_while(Result::ok) {
            if typed.blocking_send(key).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keyboard".to_owned()).spawn(read)?;
    Ok(keys)
}

fn write(text: &str) {
    let _unheard = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}
