//! What a mend changes: a unified diff of two texts.

use std::fmt::Write as _;

/// Lines shown before and behind a change.
const CONTEXT: usize = 3;
/// Most pairs of lines that are compared; beyond it the changed part is shown as one.
const PAIRS_MAX: usize = 4_000_000;

/// One line of the result.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Same,
    Old,
    New,
}

/// Renders the changes from one text of a file to another; nothing where they are equal.
pub fn render(path: &str, old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let steps = steps(&a, &b);
    let mut out = String::new();
    for hunk in hunks(&steps) {
        if out.is_empty() {
            let path = super::harmless(path);
            let _ = write!(out, "--- {path}\n+++ {path}\n");
        }
        write_hunk(&mut out, &steps, hunk, (&a, &b));
    }
    out
}

/// How one list of lines becomes the other, by their longest common part.
fn steps(a: &[&str], b: &[&str]) -> Vec<Step> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (old, new) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let mut steps = vec![Step::Same; head];
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        steps.extend(vec![Step::Old; old.len()]);
        steps.extend(vec![Step::New; new.len()]);
    } else {
        steps.extend(compared(old, new));
    }
    steps.extend(vec![Step::Same; tail]);
    steps
}

fn compared(old: &[&str], new: &[&str]) -> Vec<Step> {
    // common[i][j]: length of the longest common part of what is left from i and j.
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let step = if i < old.len() && j < new.len() && old[i] == new[j] {
            Step::Same
        } else if i < old.len() && (j == new.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            Step::Old
        } else {
            Step::New
        };
        i += usize::from(step != Step::New);
        j += usize::from(step != Step::Old);
        steps.push(step);
    }
    steps
}

/// Ranges of steps around changes, those that touch put together.
fn hunks(steps: &[Step]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for at in steps.iter().enumerate().filter(|(_, step)| **step != Step::Same).map(|(at, _)| at) {
        let (from, to) = (at.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(steps.len()));
        match hunks.last_mut() {
            Some(last) if from <= last.end => last.end = to,
            _ => hunks.push(from..to),
        }
    }
    hunks
}

fn write_hunk(out: &mut String, steps: &[Step], hunk: std::ops::Range<usize>, (a, b): (&[&str], &[&str])) {
    let count = |steps: &[Step], not: Step| steps.iter().filter(|step| **step != not).count();
    let (mut i, mut j) = (count(&steps[..hunk.start], Step::New), count(&steps[..hunk.start], Step::Old));
    let (olds, news) = (count(&steps[hunk.clone()], Step::New), count(&steps[hunk.clone()], Step::Old));
    // Of no lines, the line before them is named.
    let first = |at: usize, lines: usize| if lines == 0 { at } else { at + 1 };
    let _ = writeln!(out, "@@ -{},{olds} +{},{news} @@", first(i, olds), first(j, news));
    for step in &steps[hunk] {
        let (sign, line) = match step {
            Step::Same => (' ', a.get(i)),
            Step::Old => ('-', a.get(i)),
            Step::New => ('+', b.get(j)),
        };
        i += usize::from(*step != Step::New);
        j += usize::from(*step != Step::Old);
        let line = line.copied().unwrap_or("");
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}
