//! Long lists as answers: written in parts as the client reads them, so that no answer stands in memory whole.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use super::wire::TRUNCATED;

/// About how many bytes are written at once.
const PART_BYTES: usize = 64 * 1024;
const HEAD: &str = r#"{"status":"success","data":["#;

/// A list that is being written.
struct Writing<I> {
    items: I,
    /// How many may still follow.
    left: usize,
    /// Whether the list is all of the answer.
    plain: bool,
    first: bool,
    ended: bool,
}

impl<T, I: Iterator<Item = T>> Writing<I> {
    /// Appends the next items until the part is long enough, and what stands behind the last of them.
    fn part(&mut self, out: &mut String, write: fn(&mut String, &T)) {
        while out.len() < PART_BYTES {
            let next = self.items.next();
            let Some(item) = next.as_ref().filter(|_| self.left > 0) else {
                out.push(']');
                if next.is_some() {
                    out.push_str(&format!(r#","warnings":{}"#, json!([TRUNCATED])));
                }
                if !self.plain {
                    out.push('}');
                }
                self.ended = true;
                return;
            };
            self.left -= 1;
            if !std::mem::take(&mut self.first) {
                out.push(',');
            }
            write(out, item);
        }
    }
}

/// A list of at most `limit` entries (0: all), with Prometheus's warning where it is cut.
pub(super) fn list<T, I>(all: I, limit: usize, write: fn(&mut String, &T)) -> Response
where
    T: 'static,
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    let left = if limit == 0 { usize::MAX } else { limit };
    answer(Writing { items: all.into_iter(), left, plain: false, first: true, ended: false }, HEAD, write)
}

/// A list without anything around it.
pub(super) fn plain<T, I>(all: I, write: fn(&mut String, &T)) -> Response
where
    T: 'static,
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    answer(Writing { items: all.into_iter(), left: usize::MAX, plain: true, first: true, ended: false }, "[", write)
}

fn answer<T, I>(mut writing: Writing<I>, head: &str, write: fn(&mut String, &T)) -> Response
where
    T: 'static,
    I: Iterator<Item = T> + Send + 'static,
{
    let mut head = String::from(head);
    writing.part(&mut head, write);
    let body = if writing.ended {
        Body::from(head)
    } else {
        let parts = std::iter::once(head).chain(std::iter::from_fn(move || {
            (!writing.ended).then(|| {
                let mut part = String::with_capacity(PART_BYTES);
                writing.part(&mut part, write);
                part
            })
        }));
        let parts = parts.map(|part| Ok::<_, std::convert::Infallible>(Bytes::from(part)));
        Body::from_stream(futures_util::stream::iter(parts))
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// The parts of an answer.
    async fn parts(response: Response) -> Vec<Bytes> {
        let (mut body, mut all) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            all.extend(frame.unwrap().into_data());
        }
        all
    }

    fn number(out: &mut String, n: &usize) {
        out.push_str(&n.to_string());
    }

    #[tokio::test]
    async fn a_list_is_the_same_text_in_however_many_parts_it_is_written() {
        for (count, limit) in [(0, 0), (1, 0), (3, 2), (3, 3), (20_000, 0), (200_000, 0), (200_000, 199_999)] {
            let got = parts(list(0..count, limit, number)).await;
            let shown: Vec<usize> = (0..if limit == 0 { count } else { limit }).collect();
            let mut want = json!({"status": "success", "data": shown});
            if limit > 0 && limit < count {
                want["warnings"] = json!([TRUNCATED]);
            }
            let text: Vec<u8> = got.concat();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).unwrap(), want, "{count} {limit}");
            assert!(got.iter().all(|part| part.len() < PART_BYTES + 10), "no part holds much more than its share");
            assert_eq!(got.len() > 1, count > 15_000, "{count}");
        }
    }

    #[tokio::test]
    async fn entries_are_made_only_as_they_are_read() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let made = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&made);
        let items = (0..1_000_000).inspect(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut body = list(items, 0, number).into_body();
        assert!(body.frame().await.is_some());
        assert!(made.load(Ordering::Relaxed) < 50_000, "{made:?}");
    }
}
