//! JSON for scripts, as far as lines of names and numbers need it.

/// A JSON string, quotes included.
pub fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_string_is_escaped() {
        assert_eq!(string("Peter"), r#""Peter""#);
        assert_eq!(
            string("a\"b\\c\nd\u{1b}é\u{7f}"),
            r#""a\"b\\c\nd\u001bé\u007f""#
        );
    }
}
