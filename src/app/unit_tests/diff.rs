//! Lines that differ: `-` expected, `+` came.

/// Most lines of each side that are compared; longer ones are shown one after the other.
const LINES_MAX: usize = 1_000;

/// The difference of two texts, line by line.
pub(super) fn lines(expected: &[String], got: &[String]) -> Vec<String> {
    let (n, m) = (expected.len(), got.len());
    let minus = |line: &String| format!("- {line}");
    let plus = |line: &String| format!("+ {line}");
    if n > LINES_MAX || m > LINES_MAX {
        return expected.iter().map(minus).chain(got.iter().map(plus)).collect();
    }
    // Length of the longest common part of what is left of both.
    let mut common = vec![vec![0_usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            common[i][j] = match expected[i] == got[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < n || j < m {
        if i < n && j < m && expected[i] == got[j] {
            out.push(format!("  {}", expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < n && (j == m || common[i + 1][j] >= common[i][j + 1]) {
            out.push(minus(&expected[i]));
            i += 1;
        } else {
            out.push(plus(&got[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_is_common_stays_and_what_differs_is_marked() {
        let text = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = lines(&text("a b c d"), &text("a x c e d"));
        assert_eq!(found, ["  a", "- b", "+ x", "  c", "+ e", "  d"]);
    }
}
