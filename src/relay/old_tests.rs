//! An existing server as its table of frames describes it, with its faults:
//! what would end it fails the test that sent it.

use core::net::SocketAddrV4;
use std::collections::BTreeMap;

/// An existing server of the line.
pub(super) struct OldServer {
    servers: Vec<SocketAddrV4>,
    own: usize,
    /// The list: the first entry heard of a client stays.
    list: BTreeMap<String, String>,
    /// Source, destination, text, number.
    mail: Vec<(String, String, String, u32)>,
    numbers: u32,
}

type Datagrams = Vec<(SocketAddrV4, Vec<u8>)>;

impl OldServer {
    pub(super) fn new(servers: Vec<SocketAddrV4>, own: usize) -> Self {
        Self {
            servers,
            own,
            list: BTreeMap::new(),
            mail: Vec::new(),
            numbers: 0,
        }
    }

    /// What it does with a datagram.
    pub(super) fn datagram(&mut self, from: SocketAddrV4, bytes: &[u8]) -> Datagrams {
        assert!(
            bytes.len() >= 3,
            "fewer than 3 bytes end an existing server"
        );
        assert!(bytes.len() <= 256, "more than 256 bytes are cut");
        let text = core::str::from_utf8(bytes).expect("UTF-8, or an existing server ends");
        if bytes[2].is_ascii_digit() {
            return self.listed(text);
        }
        let fields: Vec<&str> = text.splitn(5, '/').collect();
        assert_eq!(fields.len(), 5, "{text:?} ends an existing server");
        let number: u32 = fields[0].parse().expect("a number");
        assert!(number < 100, "{text:?}");
        let (source, destination, payload) = (fields[2], fields[3], fields[4]);
        let is_server = self.servers.contains(&from);
        match fields[1] {
            "handshake" => self.claim(source),
            "send" => {
                if is_server {
                    let known = self.list.contains_key(source);
                    assert!(known, "{text:?}: the source is taken for an own client");
                }
                let mut out = self.claim_unknown(source);
                out.extend(self.keep(source, destination, payload));
                out
            }
            "get" => {
                let mut out = self.claim_unknown(source);
                let oldest = self.mail.iter().find(|mail| mail.1 == source);
                let answer = match oldest {
                    Some((by, to, text, number)) => format!("{number}/send/{by}/{to}/{text}"),
                    None => format!("1/send/server/{source}/"),
                };
                out.push((from, answer.into_bytes()));
                out
            }
            "ack" => {
                if let Some(at) = self.mail.iter().position(|mail| mail.3 == number) {
                    self.mail.remove(at);
                }
                Vec::new()
            }
            "terminate" => {
                self.list.remove(source);
                assert!(!self.list.is_empty(), "the empty list ends all servers");
                let mut out = self.tell_neighbours();
                if payload != "1" {
                    let flood = format!("0/terminate/{source}//1").into_bytes();
                    let others = self
                        .servers
                        .iter()
                        .filter(|&&server| server != self.servers[self.own]);
                    out.extend(others.map(|&server| (server, flood.clone())));
                }
                out
            }
            "alive" => Vec::new(),
            kind => panic!("{kind:?} was sent to an existing server"),
        }
    }

    fn listed(&mut self, text: &str) -> Datagrams {
        let mut news = false;
        for entry in text.split('?') {
            let (id, address) = entry.split_once('/').expect("ID/ADDRESS, or it ends");
            assert_eq!(id.len(), 10, "{text:?}");
            if !self.list.contains_key(id) {
                self.list.insert(id.into(), address.into());
                news = true;
            }
        }
        if news {
            self.tell_neighbours()
        } else {
            Vec::new()
        }
    }

    fn claim_unknown(&mut self, id: &str) -> Datagrams {
        if self.list.contains_key(id) {
            Vec::new()
        } else {
            self.claim(id)
        }
    }

    fn claim(&mut self, id: &str) -> Datagrams {
        let own = self.servers[self.own].ip().to_string();
        self.list.entry(id.into()).or_insert(own);
        self.tell_neighbours()
    }

    fn tell_neighbours(&self) -> Datagrams {
        let entries: Vec<String> = self
            .list
            .iter()
            .map(|(id, at)| format!("{id}/{at}"))
            .collect();
        let beside = self.servers.iter().enumerate();
        beside
            .filter(|(i, _)| i.abs_diff(self.own) == 1)
            .flat_map(|(_, &server)| {
                // The model splits, as its receivers do not all cut.
                entries
                    .chunks(9)
                    .map(move |part| (server, part.join("?").into_bytes()))
            })
            .collect()
    }

    fn keep(&mut self, source: &str, destination: &str, text: &str) -> Datagrams {
        let number = self.numbers;
        self.numbers = (self.numbers + 1) % 100;
        let own = self.servers[self.own].ip().to_string();
        match self.list.get(destination) {
            Some(address) if *address != own => {
                let server = self
                    .servers
                    .iter()
                    .find(|one| one.ip().to_string() == *address);
                let frame = format!("{number}/send/{source}/{destination}/{text}");
                vec![(*server.expect("a server's address"), frame.into_bytes())]
            }
            _ => {
                let (source, destination) = (source.into(), destination.into());
                self.mail.push((source, destination, text.into(), number));
                Vec::new()
            }
        }
    }
}
