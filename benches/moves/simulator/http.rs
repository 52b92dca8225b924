//! HTTP/1.1 as far as one client speaks it: a thread for each connection, which stays open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

use super::Shared;
use super::answers::answer;

/// A request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Request {
    /// The value of a key of the query.
    pub(super) fn asks(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) body: Value,
}

pub(super) fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let shared = shared.clone();
            std::thread::spawn(move || {
                // Whoever goes away has what he wanted.
                let _ = talk(&stream, &shared);
            });
        }
    });
}

fn talk(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let Answer {
            status,
            request_id,
            body,
        } = answer(shared, &request);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let id = request_id.map_or_else(String::new, |id| {
            format!("x-openstack-request-id: {id}\r\n")
        });
        let head = format!(
            "HTTP/1.1 {status} Simulated\r\ncontent-type: application/json\r\nx-subject-token: simulated\r\n{id}\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut out = stream;
        out.write_all((head + &body).as_bytes())?;
    }
    Ok(())
}

/// The next request; `None` when the connection has been closed.
fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Request>> {
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|it| it.split_once('='));
    Ok(Some(Request {
        method,
        path: path.to_owned(),
        query: pairs
            .map(|(key, value)| (key.to_owned(), value.replace("%3A", ":")))
            .collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }))
}
