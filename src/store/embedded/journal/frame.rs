//! How one record lies in a segment, and how its damage is noticed.
//!
//! ```text
//! offset  0      4        8         12                  8-byte boundary
//!         ┌──────┬────────┬─────────┬───────────┬───────┐
//!         │ mark │ length │ crc-32c │ payload   │ zeros │
//!         └──────┴────────┴─────────┴───────────┴───────┘
//! ```
//!
//! All integers are little-endian. `length` counts the payload. The checksum covers segment number, offset, length and
//! payload, so that neither a stale frame of a recycled block nor one copied elsewhere passes for valid. Frames start at
//! multiples of eight, so that a search for the next valid one after damage is quick.

use super::Position;

/// Starts every frame; "arec" when read as text.
pub(super) const MARK: [u8; 4] = *b"arec";
/// Mark, length and checksum.
pub(super) const HEAD: usize = 12;
/// Frames start at multiples of this.
pub(super) const ALIGN: usize = 8;
/// No payload is longer. The largest body that a config may ask for has 32 MiB; the rest is for headers and attempts.
pub(super) const MAX_PAYLOAD: usize = 96 * 1024 * 1024;

/// What stands at a place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// A frame seems to start here, with this many bytes of payload and this checksum.
    Frame {
        /// Bytes of payload.
        len: usize,
        /// The checksum it claims.
        crc: u32,
    },
    /// Nothing was ever written here.
    Blank,
    /// Something else.
    Garbage,
}

/// Bytes that a frame with `payload` bytes of payload takes.
pub(super) const fn size(payload: usize) -> usize {
    (HEAD + payload).next_multiple_of(ALIGN)
}

/// Reads the head of a frame.
pub(super) fn head(bytes: &[u8; HEAD]) -> Head {
    if *bytes == [0; HEAD] {
        return Head::Blank;
    }
    let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
    let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if [m0, m1, m2, m3] != MARK || len > MAX_PAYLOAD {
        return Head::Garbage;
    }
    Head::Frame { len, crc: u32::from_le_bytes([c0, c1, c2, c3]) }
}

/// Whether `payload` is what was written at `position`.
pub(super) fn is_valid(position: Position, payload: &[u8], crc: u32) -> bool {
    checksum(position, payload) == crc
}

/// Appends a frame that will lie at `position` to `out`; `write` appends the payload.
///
/// Returns the bytes of payload, or `None`, with `out` as it was, when that is more than a frame can hold.
pub(super) fn encode(out: &mut Vec<u8>, position: Position, write: impl FnOnce(&mut Vec<u8>)) -> Option<usize> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    write(out);
    let payload = out.get(start + HEAD..).unwrap_or_default();
    let len = payload.len();
    let Some(wire_len) = u32::try_from(len).ok().filter(|_| len <= MAX_PAYLOAD) else {
        out.truncate(start);
        return None;
    };
    let crc = checksum(position, payload);
    if let Some(head) = out.get_mut(start..start + HEAD) {
        let fields = [MARK, wire_len.to_le_bytes(), crc.to_le_bytes()];
        head.copy_from_slice(fields.as_flattened());
    }
    out.resize(start + size(len), 0);
    Some(len)
}

fn checksum(position: Position, payload: &[u8]) -> u32 {
    let place = [position.segment.to_le_bytes(), position.offset.to_le_bytes(), (payload.len() as u64).to_le_bytes()];
    crc32c::crc32c_append(crc32c::crc32c(place.as_flattened()), payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { segment: 3, offset: 4096 };

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, HERE, |out| out.extend_from_slice(payload)).unwrap();
        out
    }

    fn head_of(frame: &[u8]) -> Head {
        head(frame.first_chunk().unwrap())
    }

    #[test]
    fn a_frame_reads_back_at_its_place_only() {
        let frame = frame(b"payload");
        let Head::Frame { len, crc } = head_of(&frame) else { panic!("no frame") };
        let payload = &frame[HEAD..HEAD + len];
        assert_eq!(payload, b"payload");
        assert!(is_valid(HERE, payload, crc));
        assert!(!is_valid(Position { segment: 4, ..HERE }, payload, crc));
        assert!(!is_valid(Position { offset: 0, ..HERE }, payload, crc));
        assert_eq!(frame.len() % ALIGN, 0);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = frame(b"some payload");
        for bit in 0..(HEAD + 12) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let passes = match head_of(&bad) {
                Head::Frame { len, crc } => {
                    bad.get(HEAD..HEAD + len).is_some_and(|payload| is_valid(HERE, payload, crc))
                }
                Head::Blank | Head::Garbage => false,
            };
            assert!(!passes, "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_blank() {
        assert_eq!(head(&[0; HEAD]), Head::Blank);
    }
}
