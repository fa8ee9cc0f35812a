//! WHOIS: who is answered, when, and what an answer mends (R6).

use super::board::Board;
use super::config::{Answer, Config, Role};
use super::counters::Count;
use super::notice::Cause;
use super::rank::Rank;
use super::votes::Ballot;
use super::wire::{self, Text, Trailer, flag};
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// WHOIS kept during a round; the oldest is dropped (R6).
pub(super) const KEPT_MAX: usize = 32;
/// Missing boards asked when WHOIS is answered: of more, the next ones the next
/// time (R6). Well below the limit of unicast votes (R8), so that some are left
/// for who is missing in a round that follows at once (R9).
const HEALED_MAX: usize = 32;
/// Answers heal this far apart (R6).
const HEALS_APART: Duration = Duration::from_secs(1);
/// So often in a round a healing goes to all, not only to the missing.
const HEALS_TO_ALL: u8 = 5;
/// Broadcast answers to one port are this far apart (R8).
const ANSWERS_APART: Duration = Duration::from_millis(50);
/// Ports remembered for that; the one answered longest ago goes first.
pub(super) const PORTS_MAX: usize = 32;

/// A WHOIS that waits for the round's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    asker: SocketAddrV4,
    /// The word of its trailer, if it has one: then a claim is wanted too.
    word: Option<u32>,
}

/// What a board in office, or about to be, has to remember.
#[derive(Clone, Debug)]
pub(super) struct Office {
    /// WHOIS that wait for the round's end.
    pub(super) kept: VecDeque<Kept>,
    /// When each port was last answered by broadcast.
    pub(super) ports: Vec<(u16, Instant)>,
    /// The answer, built once.
    answer: Option<(Ipv4Addr, wire::Datagram)>,
    /// Until when an answer from an old program is one to our probe.
    pub(super) probed_until: Option<Instant>,
    /// The old program that answered a probe last (F6).
    pub(super) old_rival: Option<Ipv4Addr>,
    /// Old programs have been heard: probes come more often (F6).
    pub(super) claims_to_probe: u32,
    /// When a rival was last told off, for the log.
    pub(super) won: Option<Instant>,
    /// That there is no address was said.
    pub(super) told_no_address: bool,
}

impl Default for Office {
    fn default() -> Self {
        Self {
            kept: VecDeque::with_capacity(KEPT_MAX),
            ports: Vec::new(),
            answer: None,
            probed_until: None,
            old_rival: None,
            claims_to_probe: 0,
            won: None,
            told_no_address: false,
        }
    }
}

impl Board {
    /// WHOIS: a master answers, a slave never does; before the round is
    /// decided the question is kept.
    pub(super) fn on_whois(&mut self, now: Instant, from: SocketAddrV4, trailer: Option<Trailer>) {
        self.counters.add(Count::Whois);
        if trailer.is_some_and(|trailer| self.on_flagged_whois(now, *from.ip(), trailer)) {
            return;
        }
        let asker = Kept {
            asker: from,
            word: trailer.map(|trailer| trailer.word),
        };
        if self.in_office() {
            self.answer(now, asker);
        } else if self.round.open || (self.role == Role::Master && self.pause.active) {
            if self.office.kept.len() >= KEPT_MAX {
                self.office.kept.pop_front();
                self.counters.add(Count::WhoisDropped);
            }
            self.office.kept.push_back(asker);
        }
    }

    /// Takes office: the round is won.
    pub(super) fn take_office(&mut self, now: Instant, own: Rank, cause: Cause) {
        self.become_role(now, Role::Master, Some(own), cause);
        self.office.old_rival = None;
        self.end_watch();
        self.begin_claims(now);
        self.mend_old_programs(now);
        self.answer_kept(now);
    }

    /// Answers what was asked while the round was open.
    pub(super) fn answer_kept(&mut self, now: Instant) {
        while let Some(asker) = self.office.kept.pop_front() {
            self.answer(now, asker);
        }
    }

    /// Drops what was asked: another board will answer, or nobody.
    pub(super) fn drop_kept(&mut self) {
        while self.office.kept.pop_front().is_some() {
            self.counters.add(Count::WhoisDropped);
        }
    }

    fn answer(&mut self, now: Instant, Kept { asker, word }: Kept) {
        let (Some(own), Some(network)) = (self.own_rank(), self.network) else {
            return;
        };
        let to = match self.config.answer {
            Answer::Unicast => asker,
            Answer::Broadcast => SocketAddrV4::new(network.broadcast, asker.port()),
        };
        if self.config.answer == Answer::Broadcast && !self.may_broadcast_answer(now, asker.port())
        {
            return self.counters.add(Count::NotSent);
        }
        let bytes = answer_bytes(&mut self.office.answer, &self.config, own.address);
        if !self.outbox.send(to, bytes) {
            self.counters.add(Count::NotSent);
        }
        self.counters.add(Count::Answered);
        if let Some(word) = word {
            let claim = self.seal_answer(Text::Claim(own), word);
            self.send(asker, &claim);
        }
        self.heal(now);
    }

    fn may_broadcast_answer(&mut self, now: Instant, port: u16) -> bool {
        let ports = &mut self.office.ports;
        match ports.iter().position(|&(known, _)| known == port) {
            Some(at)
                if ports
                    .get(at)
                    .is_some_and(|&(_, last)| now - last < ANSWERS_APART) =>
            {
                return false;
            }
            Some(at) => drop(ports.remove(at)),
            None if ports.len() >= PORTS_MAX => drop(ports.remove(0)),
            None => {}
        }
        ports.push((port, now));
        true
    }

    /// Asking heals, at most once a second: a master that answers sends its
    /// vote to whom it misses, and to all (R6). Claims tell all in any case, so
    /// with failover that is for the first few times in a round, and for who may
    /// never have heard it.
    fn heal(&mut self, now: Instant) {
        if self
            .round
            .healed
            .is_some_and(|last| now - last < HEALS_APART)
        {
            return;
        }
        let first_times = self.round.heals < HEALS_TO_ALL;
        self.round.healed = Some(now);
        self.round.heals = self.round.heals.saturating_add(1);
        let old_voted = self.votes.iter().any(|ballot| ballot.old);
        // Who heard nobody in this round may be known to somebody all the same.
        let heard_nobody = self.votes.is_empty();
        let unsure = self.rounds <= 1 || old_voted || heard_nobody;
        // A master of an earlier round may miss nobody, and be missed by nobody.
        let told_lately = |begun| now - begun < HEALS_APART;
        let unsaid = self.config.failover.is_none() && !self.round.begun.is_some_and(told_lately);
        let to_all = first_times && unsure || unsaid;
        let missing = self.not_reached(first_times && !to_all);
        let before = (usize::from(self.round.heals) - 1) * HEALED_MAX;
        let first = before.checked_rem(missing.len()).unwrap_or(0);
        let turn = missing.iter().cycle().skip(first);
        for &address in turn.take(missing.len().min(HEALED_MAX)) {
            self.unicast_vote(now, address, flag::ASKING);
        }
        if to_all {
            self.broadcast_vote(now);
        }
    }

    /// Whose vote is missing in this round, or not certain; with `strangers` also whom this
    /// board first heard in it, and who may not have heard this board yet.
    fn not_reached(&self, strangers: bool) -> Vec<Ipv4Addr> {
        let own = self.network.map(|network| network.address);
        let begun = self.round.begun.unwrap_or_default();
        self.peers
            .iter()
            .filter(|peer| Some(peer.address) != own)
            .filter(|peer| {
                // A vote from before the round may be the last round's.
                let voted = |ballot: &&Ballot| !ballot.is_early(self.round.begun);
                self.votes.of(peer.address).filter(voted).is_none()
                    || (strangers && peer.first >= begun)
            })
            .map(|peer| peer.address)
            .collect()
    }
}

/// The answer, built once for an address, and lent.
fn answer_bytes<'a>(
    built: &'a mut Option<(Ipv4Addr, wire::Datagram)>,
    config: &Config,
    address: Ipv4Addr,
) -> &'a wire::Datagram {
    let is_stale = |(built_for, _): &(Ipv4Addr, wire::Datagram)| *built_for != address;
    if built.as_ref().is_some_and(is_stale) {
        *built = None;
    }
    let name = config.name.as_bytes();
    let (_, bytes) =
        built.get_or_insert_with(|| (address, wire::build(Text::Answer { name, address }, true)));
    bytes
}
