//! The bodies that Atoms sends, and their signatures, made by an independent implementation.

use std::path::PathBuf;

use atoms_relay::model::Reading;
use serde::Deserialize;

/// The secret of nearly all vectors.
pub const SECRET: &str = "5f1c0a9e7b3d48266a90c1e2f7d8b4a35e6f708192a3b4c5d6e7f8091a2b3c4d";

/// The second secret of the same source.
pub const SECOND_SECRET: &str = "0b7d1e4f9a2c6835d4b1f0e3c8a79652413f2e1d0c9b8a776655443322110ff0";

/// A signature over a fixture.
#[derive(Debug, Deserialize)]
pub struct Vector {
    pub file: String,
    pub secret: String,
    pub header: String,
    /// `None`: the header is absent.
    pub signature: Option<String>,
    pub valid: bool,
    pub note: String,
}

impl Vector {
    /// Whether it is one of the first fourteen: one for each fixture, signed as Atoms does today.
    pub fn is_usual(&self) -> bool {
        self.valid && self.secret == SECRET && self.header == "X-Signature" && self.signature == self.lower_case()
    }

    fn lower_case(&self) -> Option<String> {
        self.signature.as_ref().map(|signature| signature.to_lowercase())
    }
}

/// All vectors.
pub fn vectors() -> Vec<Vector> {
    #[derive(Deserialize)]
    struct File {
        vectors: Vec<Vector>,
    }
    let file: File = serde_json::from_slice(&body("vectors.json")).unwrap();
    assert!(file.vectors.len() > 20);
    file.vectors
}

/// The bytes of a fixture.
pub fn body(file: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/atoms", file].iter().collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An event like Atoms', with an id of its own.
pub fn event(id: &str) -> Vec<u8> {
    format!(
        r#"{{"id":"{id}","event":"68c1f0aa41d2b7e5903c11a4.post-conversation","metadata":{{"callId":"CALL-{id}"}}}}"#
    )
    .into_bytes()
}

/// The fixtures that are events as Atoms sends them: everything before and after the id of each.
pub fn around_ids() -> Vec<(Vec<u8>, Vec<u8>)> {
    #[derive(Deserialize)]
    struct Identified {
        id: String,
    }
    let usual = vectors().into_iter().filter(Vector::is_usual).map(|vector| body(&vector.file));
    let identified = usual.filter_map(|body| {
        let Reading::Read(_) = Reading::of(&body) else { return None };
        let Identified { id } = serde_json::from_slice(&body).ok()?;
        let start = body.windows(id.len()).position(|window| window == id.as_bytes())?;
        Some((body[..start].to_vec(), body[start + id.len()..].to_vec()))
    });
    identified.collect()
}
