//! Plain tables for terminals: left-aligned words, right-aligned numbers.

/// `rows` under `header`, each column as wide as its widest cell. `numbers`: which columns are aligned to the right.
pub(super) fn render<const N: usize>(header: [&str; N], numbers: [bool; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .zip(numbers)
            .map(|((cell, width), number)| if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header)];
    lines.extend(rows.iter().map(|row| line(std::array::from_fn(|i| row[i].as_str()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["AAPL".to_owned(), "9".to_owned()], ["BTC-USD".to_owned(), "1234".to_owned()]];
        assert_eq!(render(["symbol", "bars"], [false, true], &rows), "symbol   bars\nAAPL        9\nBTC-USD  1234");
    }
}
