//! A header block, decoded: its pseudo-headers (RFC 9113 section 8.3) apart from its headers, each known, unknown or
//! absent.

use crate::dissect::{Headers, HttpRequest, HttpResponse, Malformed, Site, hpack, http};

/// A pseudo-header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    #[default]
    Absent,
    /// It was sent, or may have been: it refers to what was not seen.
    Unknown,
    Is(Vec<u8>),
}

/// What a block turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Request,
    Response,
    /// Without pseudo-headers: what follows a body.
    Trailers,
    /// Its first field is not known.
    Unclear,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fields {
    method: Part,
    path: Part,
    scheme: Part,
    authority: Part,
    protocol: Part,
    status: Part,
    pub(super) headers: Headers,
    /// Names and values together, when all are known.
    pub(super) size: Option<u32>,
    /// Fields without a name came before the first header: pseudo-headers or headers, nobody can tell.
    nameless: bool,
    /// Their values.
    leading: Headers,
    first: Option<First>,
    pub(super) findings: Vec<&'static str>,
}

/// What the first field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Request,
    Response,
    Header,
    Unknown,
}

/// Decodes a block. What could be read is there also when the rest is malformed.
pub(super) fn decode(decoder: &mut hpack::Decoder, block: &[u8]) -> (Fields, Option<Malformed>) {
    let mut fields = Fields { size: Some(0), ..Fields::default() };
    let decoded = decoder.decode(block, |field| fields.add(field.name, field.value));
    let malformed = match decoded {
        Ok(outcome) => {
            if outcome.over_limit {
                fields.size = None;
                fields.finding("header_list_limit");
            }
            None
        }
        Err(error) => {
            fields.lose("bad_header_block");
            Some(Malformed(error.name()))
        }
    };
    if fields.size.is_none() {
        fields.finding("unknown_headers");
    }
    (fields, malformed)
}

impl Fields {
    /// Of a block of which nothing could be read.
    pub(super) fn unseen(finding: &'static str) -> Self {
        let mut fields = Self::default();
        fields.lose(finding);
        fields
    }

    /// Anything may come, and none of it is known.
    fn lose(&mut self, finding: &'static str) {
        self.nameless = true;
        self.first = self.first.or(Some(First::Unknown));
        self.size = None;
        self.finding(finding);
    }

    fn finding(&mut self, finding: &'static str) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn add(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        self.size = match (self.size, name, value) {
            (Some(size), Some(name), Some(value)) => Some(size.saturating_add((name.len() + value.len()) as u32)),
            _ => None,
        };
        let Some(name) = name else {
            self.first = self.first.or(Some(First::Unknown));
            if self.headers.is_empty() {
                self.nameless = true;
                self.leading.push_known(None, value);
            } else {
                self.headers.push_known(None, value);
            }
            return;
        };
        let part = match name {
            b":method" => &mut self.method,
            b":path" => &mut self.path,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":protocol" => &mut self.protocol,
            b":status" => &mut self.status,
            _ => {
                self.first = self.first.or(Some(First::Header));
                // Section 8.2: field names have no upper case, and no other pseudo-headers exist.
                if name.iter().any(|byte| byte.is_ascii_uppercase()) || name.starts_with(b":") || name.is_empty() {
                    self.finding("bad_header_name");
                }
                return self.headers.push_known(Some(name), value);
            }
        };
        let role = if name == b":status" { First::Response } else { First::Request };
        // Section 8.3: they come first, and each once.
        let misplaced = *part != Part::Absent || !self.headers.is_empty();
        if *part == Part::Absent {
            *part = value.map_or(Part::Unknown, |value| Part::Is(value.to_vec()));
        }
        if misplaced || self.first.is_some_and(|first| first != role && first != First::Unknown) {
            self.finding("bad_pseudo_header");
        }
        self.first = Some(self.first.filter(|first| *first != First::Unknown).unwrap_or(role));
    }

    pub(super) fn role(&self) -> Role {
        match self.first {
            Some(First::Request) => Role::Request,
            Some(First::Response) => Role::Response,
            // An empty block is a trailer section without fields.
            Some(First::Header) | None => Role::Trailers,
            Some(First::Unknown) => Role::Unclear,
        }
    }

    /// The pseudo-header, which a field without a name may have been.
    fn part(&self, part: &Part) -> Part {
        if *part == Part::Absent && self.nameless { Part::Unknown } else { part.clone() }
    }

    pub(super) fn request(&self) -> HttpRequest {
        let method = match self.part(&self.method) {
            Part::Is(method) => Some(http::method(&method)),
            Part::Absent | Part::Unknown => None,
        };
        let known = |part: &Part| match self.part(part) {
            Part::Is(text) => Some(text),
            Part::Absent => Some(Vec::new()),
            Part::Unknown => None,
        };
        let (authority, scheme, protocol) = (known(&self.authority), known(&self.scheme), known(&self.protocol));
        let target = match self.part(&self.path) {
            Part::Is(path) => Some(path),
            // Section 8.5: CONNECT has an authority only.
            Part::Absent if method.as_deref() == Some("CONNECT") => authority.clone(),
            Part::Absent | Part::Unknown => None,
        };
        HttpRequest { method, target, site: Some(Box::new(Site { scheme, authority, protocol })), version: "2" }
    }

    pub(super) fn response(&self) -> HttpResponse {
        let status = match &self.status {
            // RFC 9110 section 15: three digits.
            Part::Is(status) => match status[..] {
                [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
                }
                _ => None,
            },
            Part::Absent | Part::Unknown => None,
        };
        HttpResponse { status, version: "2" }
    }

    /// The fields of a block that has no pseudo-headers.
    pub(super) fn trailers(self) -> Headers {
        if self.leading.is_empty() {
            return self.headers;
        }
        let mut all = self.leading;
        for (name, value) in self.headers.all() {
            all.push_known(name, value);
        }
        all
    }

    /// RFC 8441: another protocol in this stream.
    pub(super) fn is_extended_connect(&self) -> bool {
        matches!(&self.protocol, Part::Is(_))
    }
}
