//! Protocol buffers, as far as the messages of remote write need them: fields of a message, and the way back.
//!
//! Fields borrow from the message. Torn data gives a fault at the offset where it is torn, never a panic. Groups, which
//! no message here has and proto3 does not know, are faults.

use std::borrow::Cow;

use super::ReadError;
use crate::model::varint;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl Value<'_> {
    pub(super) fn int(self) -> u64 {
        match self {
            Self::Varint(value) => value,
            Self::Fixed64(_) | Self::Bytes(_) | Self::Fixed32 => 0,
        }
    }

    pub(super) fn double(self) -> f64 {
        match self {
            Self::Fixed64(bits) => f64::from_bits(bits),
            Self::Varint(_) | Self::Bytes(_) | Self::Fixed32 => 0.0,
        }
    }
}

/// Where in the whole body a slice of it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    /// The offset of a part that was cut from this body.
    pub(super) fn offset_of(self, part: &[u8]) -> usize {
        (part.as_ptr() as usize).wrapping_sub(self.0.as_ptr() as usize).min(self.0.len())
    }

    pub(super) fn fault(self, part: &[u8], reason: impl Into<Cow<'static, str>>) -> ReadError {
        ReadError::Malformed { offset: self.offset_of(part), reason: reason.into() }
    }

    /// The fields of a message in it.
    pub(super) fn fields(self, message: &'a [u8]) -> Fields<'a> {
        Fields { body: self, rest: message }
    }
}

/// The fields of a message, in their order.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    body: Body<'a>,
    rest: &'a [u8],
}

/// Reads a length and as many bytes.
#[inline]
pub(super) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut after = *rest;
    let len = usize::try_from(varint::take(&mut after)?).ok()?;
    let (bytes, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}

impl<'a> Fields<'a> {
    #[inline]
    fn field(&mut self) -> Result<(u64, Value<'a>), ReadError> {
        let start = self.rest;
        let Some(tag) = varint::take(&mut self.rest) else { return Err(self.body.fault(start, "a field is torn")) };
        let (number, kind) = (tag >> 3, tag & 7);
        if number == 0 {
            return Err(self.body.fault(start, "a field has the number 0"));
        }
        let value = match kind {
            0 => varint::take(&mut self.rest).map(Value::Varint),
            1 => self.rest.split_first_chunk::<8>().map(|(bytes, after)| {
                self.rest = after;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }),
            2 => take_bytes(&mut self.rest).map(Value::Bytes),
            5 => self.rest.split_first_chunk::<4>().map(|(_, after)| {
                self.rest = after;
                Value::Fixed32
            }),
            other => return Err(self.body.fault(start, format!("field {number} has the unknown wire type {other}"))),
        };
        value.map(|value| (number, value)).ok_or_else(|| self.body.fault(start, format!("field {number} is torn")))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), ReadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Appends a field of bytes: a text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint::put(out, number << 3 | 2);
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field of an integer; 0 is the default and is left out.
pub(super) fn put_int(out: &mut Vec<u8>, number: u64, value: u64) {
    if value != 0 {
        varint::put(out, number << 3);
        varint::put(out, value);
    }
}

/// Appends a field of a floating-point number, zero included.
pub(super) fn put_double(out: &mut Vec<u8>, number: u64, value: f64) {
    varint::put(out, number << 3 | 1);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}
