//! Detectors: golden values, properties, hostile input.
