//! `store import`: what `export` wrote, taken into this queue.
//!
//! A damaged line is named by its number and doesn't stop the rest. Lines are read one after another and made durable in
//! batches; to run an import again is harmless.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{Place, line};
use crate::{
    cli::{
        console::remark,
        failure::{Exit, Failure},
        progress::Progress,
        text::count,
    },
    store::embedded::offline::{Exported, Import, Imported},
};

/// Events that become durable together: enough that a sync hardly counts.
const BATCH: usize = 512;
/// Bytes of bodies in a batch: the memory that an import takes, but for a single larger event.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// No event makes a longer line: a frame of the journal (96 MiB) in base64.
const MAX_LINE: u64 = 160 * 1024 * 1024;

/// The arguments of `store import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// What `export` wrote; `-` reads standard input.
    file: PathBuf,
}

#[derive(Default, Serialize)]
struct ImportedView {
    added: u64,
    already_there: u64,
    refused: u64,
}

/// Runs `store import`.
pub(super) fn run(args: &ImportArgs, place: &Place<'_>) -> Result<(), Failure> {
    let (input, of_bytes) = open(&args.file)?;
    let import = place.open_or_create()?.import()?;
    let mut run = Run { import, batch: Batch::default(), view: ImportedView::default(), progress: Progress::new() };
    run.take_all(input, of_bytes, &args.file)?;
    run.import.finish()?;
    drop(run.progress);
    place.session.console.show(&run.view, |view, _| words(view))?;
    if run.view.refused > 0 { Err(Failure::told(Exit::Data)) } else { Ok(()) }
}

/// The lines, and how many bytes they have where that is known, else 0.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, u64), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((Box::new(BufReader::new(file)), bytes))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format_args!("can't read {}: {error}", path.display()))
}

struct Run {
    import: Import,
    batch: Batch,
    view: ImportedView,
    progress: Progress,
}

/// Events that become durable together, with the numbers of their lines.
#[derive(Default)]
struct Batch {
    events: Vec<Exported>,
    lines: Vec<u64>,
    bytes: usize,
}

impl Run {
    fn take_all(&mut self, mut input: Box<dyn BufRead>, of_bytes: u64, path: &Path) -> Result<(), Failure> {
        let (mut text, mut bytes) = (Vec::new(), 0);
        for number in 1.. {
            if !next_line(&mut input, &mut text).map_err(|error| unreadable(path, &error))? {
                break;
            }
            bytes += text.len() as u64 + 1;
            self.progress.show(bytes, of_bytes, || count(number, "line", "lines"));
            self.take(number, &text)?;
        }
        self.flush()
    }

    fn take(&mut self, number: u64, text: &[u8]) -> Result<(), Failure> {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        match line::read(text) {
            Ok(event) => {
                self.batch.bytes += event.event.body.len();
                self.batch.events.push(event);
                self.batch.lines.push(number);
            }
            Err(error) => self.refuse(number, &error.to_string()),
        }
        if self.batch.events.len() >= BATCH || self.batch.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let Batch { events, lines, .. } = std::mem::take(&mut self.batch);
        let imported = self.import.add(events)?;
        for (number, imported) in lines.into_iter().zip(imported) {
            match imported {
                Imported::Added => self.view.added += 1,
                Imported::AlreadyThere => self.view.already_there += 1,
                Imported::TooLarge => self.refuse(number, "it is larger than any event may be"),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, number: u64, reason: &str) {
        self.view.refused += 1;
        remark(&format!("line {number} is refused: {reason}"));
    }
}

/// Reads a line, without its end, into `text`; `false` when there is none left. What is longer than a line can be is cut
/// there, and isn't whole JSON then.
fn next_line(input: &mut dyn BufRead, text: &mut Vec<u8>) -> io::Result<bool> {
    text.clear();
    let read = input.take(MAX_LINE).read_until(b'\n', text)?;
    if text.pop_if(|last| *last == b'\n').is_none() && read as u64 == MAX_LINE {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

fn words(view: &ImportedView) -> String {
    let mut parts = vec![format!("{} added", count(view.added, "event", "events"))];
    if view.already_there > 0 {
        parts.push(count(view.already_there, "was there already", "were there already"));
    }
    if view.refused > 0 {
        parts.push(count(view.refused, "line refused", "lines refused"));
    }
    parts.join(", ") + "."
}
