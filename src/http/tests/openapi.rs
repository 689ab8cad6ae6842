//! The document of the API: what it lists is there, and what it names is in it.

use serde_json::Value;

use super::*;
use crate::http::openapi::{document, operations};

#[tokio::test]
async fn every_operation_of_the_document_is_there_and_it_is_served() {
    let server = start().await;
    for (method, path) in operations() {
        let asked = path.replace("{name}", "job").replace("{id}", "1");
        let answer = server.send(&method, &asked, "", b"").await;
        let is_route = answer.status != 405 && !answer.body.contains("nothing at /");
        assert!(is_route, "{method} {path}: {} {}", answer.status, answer.body);
    }
    let served = server.get("/api/openapi.json").await;
    assert_eq!(serde_json::from_str::<Value>(&served.body).unwrap(), document());
}

#[test]
fn every_shape_that_is_named_is_described_and_no_other() {
    let document = document();
    let (text, shapes) = (document.to_string(), document["components"]["schemas"].as_object().unwrap());
    let mut named: Vec<&str> =
        text.split("#/components/schemas/").skip(1).filter_map(|t| t.split('"').next()).collect();
    named.sort_unstable();
    named.dedup();
    let mut described: Vec<&str> = shapes.keys().map(String::as_str).collect();
    described.sort_unstable();
    assert_eq!(named, described);
    let operations: Vec<_> = operations().collect();
    let listed: usize = document["paths"].as_object().unwrap().values().map(|p| p.as_object().unwrap().len()).sum();
    assert_eq!(listed, operations.len(), "none is listed twice");
}
