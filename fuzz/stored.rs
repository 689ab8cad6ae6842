//! Bodies of the fuzz targets over what the store of samples writes to the disk. Checksums are over all of it, so that
//! these bytes come from a program that went wrong or from somebody who meant it.

use alertd::ingest::remote_write;
use alertd::model::Point;
use alertd::store::durable::{Batch, Block, Many};
use alertd::store::embedded::decode_points;

use super::{T0_MS, packs};

/// A page of chunks as it may stand on a disk: what comes out of it can be stored again, and its chunks are none or chunks.
pub fn stored_block(data: &[u8]) {
    const PAGE: u32 = 3;
    let Some(chunks) = Block::chunks(PAGE, data) else { return };
    let block = Block::new(&chunks);
    let again = Block::chunks(PAGE, &block.data).expect("it was packed here");
    assert_eq!(format!("{again:?}"), format!("{chunks:?}"));
    assert!(chunks.iter().all(|chunk| chunk.series.slot() / 256 == PAGE));
    for chunk in &chunks {
        assert!(block.times.0 <= chunk.first_ms && chunk.first_ms <= chunk.last_ms && chunk.last_ms <= block.times.1);
        let mut points = Vec::new();
        if decode_points(&chunk.data, &mut points).is_some() {
            packs(&points);
        }
    }
}

/// A batch of the journal as it may stand on a disk: how many points (4 bytes), how long the series are (2 bytes), the
/// series, the values.
pub fn stored_batch(data: &[u8]) {
    let Some((points, rest)) = data.split_first_chunk::<4>() else { return };
    let Some((len, rest)) = rest.split_first_chunk::<2>() else { return };
    let (series, values) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
    let stored = |series: &[u8], values: &[u8]| Batch {
        at_ms: T0_MS,
        points: u32::from_le_bytes(*points),
        series: series.to_vec(),
        values: values.to_vec(),
        ..Batch::default()
    };
    // As they are, which is rarely what was packed; and packed here, which is rarely what was stored.
    for batch in [stored(series, values), stored(&remote_write::pack(series), &remote_write::pack(values))] {
        let (Some(series), Some(points)) = (batch.unpack_series(), batch.unpack_points()) else { continue };
        assert_eq!((series.len(), points.len()), (batch.points as usize, batch.points as usize));
        let points: Vec<_> = series.into_iter().zip(points).collect();
        let again = Batch::new(1, T0_MS, &points);
        let bits = |points: &[Point]| points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>();
        assert!(again.unpack_series().expect("packed here").into_iter().eq(points.iter().map(|(series, _)| *series)));
        let wanted: Vec<Point> = points.iter().map(|(_, point)| *point).collect();
        assert_eq!(bits(&again.unpack_points().expect("packed here")), bits(&wanted));
    }
}

/// Native histograms as they may stand on a disk.
pub fn stored_many(data: &[u8]) {
    for found in [Many::unpack(data), Many::unpack(&remote_write::pack(data))].into_iter().flatten() {
        let (mut rest, mut all) = (&found[..], Vec::new());
        while !rest.is_empty() {
            let (many, after) = Many::new(1, rest);
            let taken = rest.len() - after.len();
            assert!(taken > 0 && many.points as usize == taken);
            assert!(rest[..taken].iter().all(|(_, point)| (many.times.0..=many.times.1).contains(&point.t_ms)));
            all.extend(Many::unpack(&many.data).expect("it was packed here"));
            rest = after;
        }
        assert_eq!(format!("{all:?}"), format!("{found:?}"));
    }
}
