//! libFuzzer's dictionaries: a token a line in quotes, perhaps with a name before it.
//! (<https://llvm.org/docs/LibFuzzer.html#dictionaries>)

/// The tokens of a dictionary; lines that are none are passed over.
pub fn tokens(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter_map(token).collect()
}

fn token(line: &str) -> Option<Vec<u8>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (_, quoted) = line.split_once('"')?;
    let mut rest = quoted.strip_suffix('"')?.as_bytes();
    let mut token = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        (token, rest) = match (byte, after) {
            (b'\\', [b'x', a, b, after @ ..]) => {
                let digits = [*a, *b];
                let value = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                (pushed(token, value), after)
            }
            (b'\\', [escaped, after @ ..]) => (pushed(token, *escaped), after),
            _ => (pushed(token, byte), after),
        };
    }
    Some(token)
}

fn pushed(mut token: Vec<u8>, byte: u8) -> Vec<u8> {
    token.push(byte);
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_with_and_without_names_and_escapes() {
        let text = "# c \"x\"\n\na=\"\\x0d\\n\"\n\"\\\"\\\\\"\n \"é\" \nno token\n";
        let expected: [&[u8]; 3] = [b"\x0dn", b"\"\\", "é".as_bytes()];
        assert_eq!(tokens(text), expected);
    }
}
