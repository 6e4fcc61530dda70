//! Splits a stream of bytes into lines. A line that is too long is skipped without being kept.
//!
//! A byte order mark at the start of a line is skipped, as files that were joined have several. After the mark of another
//! encoding every line is refused.

use bytes::{Buf, Bytes, BytesMut};

/// Longest line in bytes, without its line feed.
pub(in super::super) const MAX_LINE_BYTES: usize = 64 * 1024;
/// The byte order mark of UTF-8.
const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Those of UTF-16, which UTF-32 in little-endian order begins with as well. No UTF-8 begins like this.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// A line without its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Line {
    /// A whole line.
    Whole(Bytes),
    /// A line of more than [`MAX_LINE_BYTES`].
    TooLong,
    /// A line of a stream in UTF-16 or UTF-32.
    NotUtf8,
}

/// Splits bytes into numbered lines. Blank lines are counted and skipped.
#[derive(Default, Debug)]
pub(in super::super) struct Lines {
    waiting: BytesMut,
    /// Length of the start of `waiting` that has no line feed.
    searched: usize,
    /// Whether the rest of a line that is too long must be skipped.
    too_long: bool,
    /// Whether the stream has begun with the mark of another encoding.
    not_utf8: bool,
    number: u64,
    finished: bool,
}

impl Lines {
    /// Adds bytes.
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Marks the end of the stream: the rest is the last line.
    pub(in super::super) fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the stream has ended and all lines were taken.
    pub(in super::super) fn is_finished(&self) -> bool {
        self.finished && self.waiting.is_empty() && !self.too_long
    }

    /// The next complete line, with its number from 1.
    pub(in super::super) fn next(&mut self) -> Option<(u64, Line)> {
        loop {
            let line = self.take()?;
            self.number += 1;
            self.not_utf8 |= self.number == 1
                && matches!(&line, Line::Whole(bytes) if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)));
            match line {
                _ if self.not_utf8 => return Some((self.number, Line::NotUtf8)),
                Line::Whole(bytes) if bytes.trim_ascii().is_empty() => {}
                line => return Some((self.number, line)),
            }
        }
    }

    fn take(&mut self) -> Option<Line> {
        let unsearched = self.waiting.get(self.searched..).unwrap_or_default();
        let end = unsearched.iter().position(|byte| *byte == b'\n').map(|at| self.searched + at);
        let mut line = match end {
            Some(end) => {
                self.searched = 0;
                let line = self.waiting.split_to(end);
                let _line_feed = self.waiting.split_to(1);
                line
            }
            None if self.finished && (self.too_long || !self.waiting.is_empty()) => {
                self.searched = 0;
                self.waiting.split()
            }
            None => {
                if self.too_long || self.waiting.len() > UTF_8_MARK.len() + MAX_LINE_BYTES + 1 {
                    self.too_long = true;
                    self.waiting.clear();
                }
                self.searched = self.waiting.len();
                return None;
            }
        };
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.starts_with(UTF_8_MARK) {
            line.advance(UTF_8_MARK.len());
        }
        if std::mem::take(&mut self.too_long) || line.len() > MAX_LINE_BYTES {
            return Some(Line::TooLong);
        }
        Some(Line::Whole(line.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<(u64, Line)> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in pieces {
            lines.push(piece);
            all.extend(std::iter::from_fn(|| lines.next()));
        }
        lines.finish();
        all.extend(std::iter::from_fn(|| lines.next()));
        assert!(lines.is_finished());
        all
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let expected = vec![(1, whole("one")), (2, whole("two")), (4, whole("four"))];
        assert_eq!(split(&[b"one\ntwo\r\n\nfour"]), expected);
        assert_eq!(split(&[b"o", b"ne", b"\n", b"two\r", b"\n\nfo", b"ur\n"]), expected);
        assert_eq!(split(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_does_not_touch_its_neighbours() {
        let long = vec![b'x'; MAX_LINE_BYTES + 1];
        let much_longer = vec![b'x'; 5 * MAX_LINE_BYTES];
        for long in [long, much_longer] {
            let expected = vec![(1, whole("a")), (2, Line::TooLong), (3, whole("b"))];
            assert_eq!(split(&[b"a\n", &long, b"\nb\n"]), expected);
            assert_eq!(split(&[b"a\n", &long]), expected[..2]);
            let pieces: Vec<&[u8]> =
                [&b"a\n"[..]].into_iter().chain(long.chunks(1000)).chain([&b"\nb"[..]]).collect();
            assert_eq!(split(&pieces), expected);
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_of_any_line() {
        let expected = vec![(1, whole("one")), (3, whole("two"))];
        assert_eq!(split(&[b"\xEF\xBB\xBFone\n\xEF\xBB\xBF\n\xEF\xBB\xBFtwo"]), expected);
        assert_eq!(split(&[b"\xEF", b"\xBB", b"\xBFone\r\n\n\xEF\xBB", b"\xBFtwo\n"]), expected);
        assert_eq!(split(&[b"\xEF\xBB\xBF"]), [], "a file with a mark alone is empty");
    }

    #[test]
    fn each_line_of_another_encoding_is_refused() {
        let little: Vec<u8> = "\u{feff}a\n\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}a\n\nb".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            let expected = vec![(1, Line::NotUtf8), (2, Line::NotUtf8), (3, Line::NotUtf8)];
            assert_eq!(split(&[&bytes]), expected);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(split(&single), expected);
        }
    }

    #[test]
    fn the_longest_line_is_kept() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        for end in ["", "\n", "\r\n"] {
            assert_eq!(split(&[&longest, end.as_bytes()]), [(1, Line::Whole(longest.clone().into()))]);
        }
    }
}
