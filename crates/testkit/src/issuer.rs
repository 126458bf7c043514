//! What an identity provider does, by hand: keys, the form in which they are published, and tokens, right ones and wrong ones alike.
//!
//! Not with the library that verifies tokens: what it misunderstands it would misunderstand twice.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key that signs tokens.
pub struct SigningKey {
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// RSA with 2048 bits.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        Self { id: id.into(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// On the curve P-256.
    #[must_use]
    pub fn p256(id: &str) -> Self {
        Self { id: id.into(), pair: Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    /// On the curve P-384.
    #[must_use]
    pub fn p384(id: &str) -> Self {
        Self { id: id.into(), pair: Pair::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()) }
    }

    /// Ed25519.
    #[must_use]
    pub fn ed25519(id: &str) -> Self {
        Self { id: id.into(), pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The public half, as a JSON Web Key.
    #[must_use]
    pub fn published(&self) -> Value {
        let on_curve = |curve: &str, pair: &EcdsaKeyPair| {
            // An uncompressed point: a mark, then both coordinates.
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) })
        };
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encoded(&parts.n), "e": encoded(&parts.e) })
            }
            Pair::P256(pair) => on_curve("P-256", pair),
            Pair::P384(pair) => on_curve("P-384", pair),
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) }),
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key
    }

    /// A token with these claims that names this key.
    #[must_use]
    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.token_with(&json!({ "alg": algorithm, "kid": self.id, "typ": "JWT" }), algorithm, claims)
    }

    /// A token with this header, whatever it says, signed with this algorithm.
    #[must_use]
    pub fn token_with(&self, header: &Value, algorithm: &str, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encoded(&signature))
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token that a shared secret signs with HS256, or whoever has got hold of what is taken for one.
#[must_use]
pub fn shared_secret_token(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", encoded(tag.as_ref()))
}

/// A token that nobody has signed.
#[must_use]
pub fn unsigned_token(header: &Value, claims: &Value) -> String {
    format!("{}.", message(header, claims))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
