//! Inputs made of others: pieces flipped, put in, taken out, repeated and spliced.

use fastrand::Rng;

/// Bytes that mean something in most formats.
const BYTES: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t ,;|\"'\\#:[]{}-+.0129eEZT";
/// Lengths and counts at which code changes its mind.
const NUMBERS: [u32; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];
/// Edits of one input, at most.
const EDITS: usize = 5;
/// Times that a piece is repeated, at most: a vector of SIMD has 64 bytes.
const REPEATS: usize = 70;

/// Makes inputs without end; always the same ones of the same inputs.
#[derive(Debug)]
pub struct Mutator {
    random: Rng,
    inputs: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
    longest: usize,
}

impl Mutator {
    /// Of these inputs, which need not be any, and with these tokens; none longer than `longest`.
    pub fn new(inputs: Vec<Vec<u8>>, tokens: Vec<Vec<u8>>, longest: usize) -> Mutator {
        Mutator {
            random: Rng::with_seed(1),
            inputs,
            tokens,
            longest,
        }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.one().to_vec();
        for _ in 0..self.random.usize(1..=EDITS) {
            self.edit(&mut input);
            input.truncate(self.longest);
        }
        input
    }

    fn one(&mut self) -> &[u8] {
        self.random.choice(&self.inputs).map_or(&[], Vec::as_slice)
    }

    fn edit(&mut self, input: &mut Vec<u8>) {
        let at = self.random.usize(0..=input.len());
        match self.random.u8(0..10) {
            0 => self.change(input, at, |random, byte| byte ^ (1 << random.u8(0..8))),
            1 => self.change(input, at, |random, _| random.u8(..)),
            2 => self.change(input, at, |random, _| *random.choice(BYTES).unwrap_or(&0)),
            3 => input.insert(at, *self.random.choice(BYTES).unwrap_or(&0)),
            4 => drop(input.drain(self.piece(input.len()))),
            5 => {
                let piece = input[self.piece(input.len())].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                let piece = &input[self.piece(input.len().min(8))];
                let many = piece.repeat(self.random.usize(0..REPEATS));
                input.splice(at..at, many);
            }
            7 => {
                let other = self.one().to_vec();
                let piece = &other[self.piece(other.len())];
                input.splice(at..at, piece.iter().copied());
            }
            8 => self.number(input, at),
            _ => {
                let token = self
                    .random
                    .choice(&self.tokens)
                    .cloned()
                    .unwrap_or_default();
                input.splice(at..at, token);
            }
        }
    }

    fn change(&mut self, input: &mut [u8], at: usize, to: impl Fn(&mut Rng, u8) -> u8) {
        if let Some(byte) = input.get_mut(at) {
            *byte = to(&mut self.random, *byte);
        }
    }

    /// Four bytes become a number, in either order.
    fn number(&mut self, input: &mut [u8], at: usize) {
        let number = *self.random.choice(&NUMBERS).unwrap_or(&0);
        let bytes = if self.random.bool() {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        };
        for (to, from) in input.iter_mut().skip(at).zip(bytes) {
            *to = from;
        }
    }

    fn piece(&mut self, len: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.random.usize(0..=len), self.random.usize(0..=len));
        a.min(b)..a.max(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_many_short_and_always_the_same() {
        let made = || {
            let mut mutator =
                Mutator::new(vec![b"a,b\n1,2\n".to_vec()], vec![b"token".to_vec()], 50);
            (0..500).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        let first = made();
        assert_eq!(first, made());
        assert!(first.iter().all(|input| input.len() <= 50));
        assert!(
            first
                .iter()
                .any(|input| input.windows(5).any(|w| w == b"token"))
        );
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert!(distinct.len() > 400, "{}", distinct.len());
    }

    #[test]
    fn nothing_to_begin_with_will_do() {
        let mut mutator = Mutator::new(Vec::new(), Vec::new(), 20);
        assert!((0..200).any(|_| !mutator.next_input().is_empty()));
    }
}
