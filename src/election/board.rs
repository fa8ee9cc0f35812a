//! The board: its state, what can happen to it, and what can be asked of it.
//!
//! The other files of this folder add the rules, each to this one struct.

use super::answer::Office;
use super::config::{Config, Network, Role};
use super::counters::{Count, Counters};
use super::notice::{Cause, Change, Notice};
use super::outbox::{Outbox, Transmit};
use super::pause::Pause;
use super::peers::{Peer, Peers};
use super::quorum::{Candidacy, LeaseStatus};
use super::rank::{Epoch, Rank};
use super::repair::Reply;
use super::round::{OwnVote, Round};
use super::seal::Keyed;
use super::send::Limits;
use super::timers::{Timer, Timers};
use super::votes::{Ballot, Votes};
use super::watch::Lookout;
use super::wire::{self, Datagram, Text, flag};
use crate::rng::Entropy;
use crate::time::{Duration, Instant};
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;

/// A board: slave or master of its LAN.
///
/// The driver's turn: [`handle_wakeup`](Self::handle_wakeup) right after
/// poll(2), then every datagram that waits, then
/// [`handle_timeout`](Self::handle_timeout) if it is due, then
/// [`poll_transmit`](Self::poll_transmit) and
/// [`poll_notice`](Self::poll_notice) until both are empty.
#[derive(Clone, Debug)]
pub struct Board {
    pub(super) config: Config,
    pub(super) network: Option<Network>,
    /// The role last told. In an open round, and after a pause, a master is
    /// not in office: see [`Board::in_office`].
    pub(super) role: Role,
    pub(super) master: Option<Rank>,
    pub(super) epoch: Epoch,
    /// Rounds begun since the start: the clock by which peers are known.
    pub(super) rounds: u32,
    pub(super) own: Option<OwnVote>,
    pub(super) round: Round,
    pub(super) votes: Votes,
    /// Votes that may belong to a round whose VOTE is still on its way (R2).
    pub(super) early: VecDeque<Ballot>,
    pub(super) peers: Peers,
    pub(super) office: Office,
    pub(super) replies: Vec<Reply>,
    pub(super) lookout: Lookout,
    pub(super) pause: Pause,
    /// With a quorum, from the first address on.
    pub(super) candidacy: Option<Candidacy>,
    /// With a key.
    pub(super) keyed: Option<Keyed>,
    pub(super) limits: Limits,
    pub(super) timers: Timers,
    pub(super) outbox: Outbox,
    pub(super) counters: Counters,
}

impl Board {
    /// A board that has just started: slave, no vote, epoch 0, no address (R1).
    pub fn new(config: Config) -> Self {
        Self {
            keyed: config.keys.as_ref().map(Keyed::new),
            candidacy: None,
            config,
            network: None,
            role: Role::Slave,
            master: None,
            epoch: Epoch::NONE,
            rounds: 0,
            own: None,
            round: Round::default(),
            votes: Votes::default(),
            early: VecDeque::new(),
            peers: Peers::default(),
            office: Office::default(),
            replies: Vec::new(),
            lookout: Lookout::default(),
            pause: Pause::default(),
            limits: Limits::default(),
            timers: Timers::default(),
            outbox: Outbox::default(),
            counters: Counters::default(),
        }
    }

    /// The board's address was found, has changed, or is gone (R7). The first
    /// call tells where the board stands at its start.
    pub fn handle_network(&mut self, now: Instant, network: Option<Network>) {
        if self.network == network && network.is_some() {
            return;
        }
        let first = self.network.is_none();
        if !first {
            self.leave(now, Cause::Address);
        }
        let told = core::mem::replace(&mut self.office.told_no_address, network.is_none());
        self.network = network;
        match network {
            Some(network) => {
                self.outbox.tell(Notice::AddressFound(network.address));
                self.begin_candidacy(now);
                self.greet_anew(now);
                self.look_for_a_master(now);
            }
            None if !told => self.outbox.tell(Notice::AddressLost),
            None => {}
        }
    }

    /// Takes a datagram. `from` is its source; only its first 40 bytes count.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        entropy: &mut dyn Entropy,
    ) {
        let Some(network) = self.network else { return };
        let own_host = *from.ip() == network.address;
        if own_host && from.port() == self.config.port {
            return self.counters.add(Count::OwnEcho);
        }
        self.check_lease(now);
        self.note_life_of_old(now, *from.ip());
        let text = match wire::parse(bytes) {
            Ok(text) => text,
            Err(invalid) => return self.counters.add_invalid(invalid),
        };
        let Some(trailer) = self.admit(now, from, bytes, text) else {
            return;
        };
        if !self.speaks_for_itself(now, from, &text) {
            return;
        }
        if !own_host {
            self.note_heard(now);
        }
        match text {
            Text::Whois => self.on_whois(now, from, trailer),
            Text::Call => self.on_call(now, trailer, entropy),
            Text::Vote(rank) => self.on_vote(now, rank, trailer, entropy),
            Text::Answer { .. } => self.on_answer(now, *from.ip()),
            Text::Claim(rank) => self.on_claim(now, rank, trailer),
            Text::Resign(address) => self.on_resign(now, address, trailer),
            Text::LeaseAsk(rank) => self.on_lease_ask(now, rank, trailer),
            Text::LeaseGrant(to) => self.on_lease_grant(now, *from.ip(), to, trailer),
        }
    }

    /// A unicast datagram to `to` was refused: no process listens there.
    pub fn handle_refused(&mut self, now: Instant, to: SocketAddrV4, entropy: &mut dyn Entropy) {
        if to.port() != self.config.port || self.peers.of(*to.ip()).is_some_and(|peer| peer.old) {
            // An old program bound to the broadcast address refuses unicast
            // although it lives.
            return;
        }
        self.counters.add(Count::Refused);
        self.peers.mark_gone(*to.ip());
        self.hasten_settling(now);
        // Nobody signs a refusal, and anyone can send one: with a key it tells
        // for whose vote not to wait, but is no verdict (K6).
        if self.keyed.is_none() {
            self.on_master_refused(now, *to.ip(), entropy);
        }
    }

    /// Hands over at once (F4). The board takes no part in the next round.
    /// Without failover it sends nothing.
    pub fn handle_resign(&mut self, now: Instant) {
        self.leave(now, Cause::HandOver);
        self.look_for_a_master(now + Duration::from_millis(500));
    }

    /// Fires the timers that are due. To be called once the input is drained.
    pub fn handle_timeout(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        self.check_lease(now);
        if self.timers.take(Timer::Listen, now).is_some() {
            self.on_listen(now);
        }
        if self.timers.take(Timer::Ask, now).is_some() {
            self.ask_the_missing(now);
        }
        if self.timers.take(Timer::Reply, now).is_some() {
            self.send_replies(now);
        }
        if self.timers.take(Timer::Repeat, now).is_some() && self.in_office() {
            self.broadcast_vote(now);
        }
        if self.timers.take(Timer::Probe, now).is_some() && self.in_office() {
            self.probe(now);
        }
        if self.timers.take(Timer::Held, now).is_some() {
            self.broadcast_vote(now);
        }
        if let Some(due) = self.timers.take(Timer::Claim, now) {
            self.on_claim_due(now, due);
        }
        if self.timers.take(Timer::Watch, now).is_some() {
            self.on_watch(now, entropy);
        }
        if self.timers.take(Timer::Lease, now).is_some() {
            self.on_lease_due(now);
        }
        if self.timers.take(Timer::Greet, now).is_some() {
            self.greet(now);
        }
        // Last: the round of a verdict may have nobody to wait for.
        if self.timers.take(Timer::Settle, now).is_some() {
            self.settle(now);
        }
    }

    /// What a dying board would say, in this order, for a guardian to send when
    /// the process is gone: that its lease is free (Q5; unless a program has to
    /// let go first), its resignation and its VOTE (F4). Nothing unless it is a
    /// master with failover. It holds until the next ask for the lease.
    pub fn farewell(&mut self) -> Vec<Datagram> {
        let Some(network) = self.network else {
            return Vec::new();
        };
        if self.role != Role::Master || self.config.failover.is_none() {
            return Vec::new();
        }
        let own = network.address;
        let (epoch, counter) = (self.epoch, self.limits.counter);
        let release = match self.config.has_hook {
            true => None,
            false => self.seal_release(),
        };
        let resignation = self.seal_last(Text::Resign(own), 0, own);
        self.epoch = epoch.next();
        let call = self.seal_last(Text::Call, flag::VERDICT, own);
        // Nothing of it was said: the next message is as if there were none.
        (self.epoch, self.limits.counter) = (epoch, counter);
        release.into_iter().chain([resignation, call]).collect()
    }

    /// The next datagram to send, from the own address and port.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.next_transmit()
    }

    /// The next thing to tell.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.outbox.next_notice()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The role last told by a notice.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether this board would answer WHOIS right now.
    pub fn in_office(&self) -> bool {
        self.role == Role::Master && !self.round.open && !self.pause.active
    }

    /// Whether this board may be master at `now`: with a quorum it takes the
    /// lease, whose end need not have been noticed yet.
    pub fn is_master(&self, now: Instant) -> bool {
        let held = |candidacy: &Candidacy| candidacy.lease.is_held(now);
        self.role == Role::Master && self.candidacy.as_ref().is_none_or(held)
    }

    /// The round's number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The own vote of this round.
    pub fn vote(&self) -> Option<u8> {
        self.own.map(|own| own.number)
    }

    /// The own rank of this round.
    pub fn own_rank(&self) -> Option<Rank> {
        Some(Rank {
            vote: self.own?.number,
            address: self.network?.address,
        })
    }

    /// The master as far as this board knows; a vote of 0 is an unknown one.
    /// With a quorum a winner is none before its first claim.
    pub fn master(&self) -> Option<Rank> {
        let waits =
            self.candidacy.is_some() && self.role == Role::Slave && !self.master_has_claimed();
        self.master.filter(|_| !waits)
    }

    /// How the lease stands, if there is a quorum.
    pub fn lease(&self, now: Instant) -> Option<LeaseStatus> {
        let candidacy = self.candidacy.as_ref()?;
        Some(LeaseStatus {
            boards: candidacy.lease.quorum().boards,
            granted: candidacy.lease.granted(now),
            waits: self.is_candidate(),
        })
    }

    /// Where the board stands.
    pub fn network(&self) -> Option<Network> {
        self.network
    }

    /// How the board was told to behave.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every board ever heard, with its vote in this round.
    pub fn boards(&self) -> impl Iterator<Item = (&Peer, Option<&Ballot>)> {
        self.peers
            .iter()
            .map(|peer| (peer, self.votes.of(peer.address)))
    }

    /// The votes heard in this round.
    pub fn votes(&self) -> &Votes {
        &self.votes
    }

    /// The last changes of role and master, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Change> + ExactSizeIterator {
        self.outbox.history()
    }

    /// The bounds of R8 hold, and no timer but a bounded number runs. For tests.
    pub fn assert_bounds(&self) {
        assert!(self.votes.len() <= super::votes::VOTES_MAX);
        assert!(self.peers.iter().count() <= super::peers::PEERS_MAX);
        assert!(self.early.len() <= super::round::EARLY_MAX);
        assert!(self.replies.len() <= super::repair::REPLIES_MAX);
        assert!(self.office.kept.len() <= super::answer::KEPT_MAX);
        assert!(self.office.ports.len() <= super::answer::PORTS_MAX);
    }

    /// Changes role or master, and tells it if it is news.
    pub(super) fn become_role(
        &mut self,
        now: Instant,
        role: Role,
        master: Option<Rank>,
        cause: Cause,
    ) {
        if role == Role::Slave {
            if self.role == Role::Master {
                self.begin_letting_go(cause);
            }
            if cause != Cause::Lease {
                self.give_up_lease(now);
            }
        }
        let was = core::mem::replace(&mut self.role, role);
        let before = core::mem::replace(&mut self.master, master);
        let change = self.change(now, cause);
        match (was == role, role) {
            (false, _) => self.outbox.tell(Notice::Became(change)),
            (true, Role::Master) => self.outbox.tell(Notice::Stays(change)),
            (true, Role::Slave)
                if before.map(|rank| rank.address) != master.map(|rank| rank.address) =>
            {
                self.outbox.tell(Notice::Follows(change));
            }
            (true, Role::Slave) => {}
        }
    }

    pub(super) fn change(&self, now: Instant, cause: Cause) -> Change {
        Change {
            at: now,
            role: self.role,
            epoch: self.epoch,
            own: self.own_rank(),
            master: self.master,
            cause,
        }
    }

    /// Whether a board speaks for its own address, as far as that matters: an
    /// address conflict and, with `--strict`, any other mismatch is dropped.
    fn speaks_for_itself(&mut self, now: Instant, from: SocketAddrV4, text: &Text<'_>) -> bool {
        let claimed = match *text {
            Text::Vote(rank) | Text::Claim(rank) | Text::LeaseAsk(rank) => rank.address,
            Text::Resign(address) => address,
            Text::Answer { .. } => *from.ip(),
            Text::Whois | Text::Call | Text::LeaseGrant(_) => return true,
        };
        let own = self.network.map(|network| network.address);
        if Some(claimed) == own {
            if *from.ip() == claimed {
                self.counters.add(Count::OwnEcho);
            } else {
                self.counters.add(Count::Conflict);
                if self.limits.may_complain(now) {
                    self.outbox.tell(Notice::Conflict(*from.ip()));
                }
            }
            return false;
        }
        if claimed == *from.ip() {
            return true;
        }
        self.counters.add(Count::Mismatch);
        if self.limits.may_complain(now) {
            self.outbox.tell(Notice::Mismatch {
                claimed,
                source: *from.ip(),
            });
        }
        // A signature is its source's: nobody else may be spoken for.
        let strict = self.config.strict || self.keyed.is_some();
        if strict {
            self.counters.add(Count::Strict);
        }
        !strict
    }

    /// Gives up any office and vote, with a resignation where that is the mode
    /// (R7, F4).
    fn leave(&mut self, now: Instant, cause: Cause) {
        self.resign(now);
        self.own = None;
        self.round.open = false;
        self.votes.clear();
        self.early.clear();
        self.replies.clear();
        self.drop_kept();
        self.pause.end();
        self.lookout = Lookout::default();
        self.timers.stop_all();
        self.become_role(now, Role::Slave, None, cause);
    }
}

/// Whether two addresses are the same host's.
pub(super) fn is(address: Ipv4Addr, rank: Option<Rank>) -> bool {
    rank.is_some_and(|rank| rank.address == address)
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
