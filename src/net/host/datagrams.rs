//! Datagrams in.

use super::{Host, Reactor, Ready, Udp};
use crate::service::Event;

impl Host {
    pub(super) fn handle_datagram(&mut self, reactor: &mut Reactor, index: usize, ready: Ready) {
        if ready.has_error()
            && let Some(refusal) = self.udp(index).and_then(Udp::refused)
        {
            let to = refusal.to;
            self.tell(reactor, index, Event::Refused { to });
        }
        if ready.has_input() {
            self.take_datagrams(reactor, index);
        }
    }

    /// Takes a turn's datagrams: what all of them ask for is done together, so
    /// that one write to the journal does.
    fn take_datagrams(&mut self, reactor: &mut Reactor, index: usize) {
        let hosted = self.services.get(index);
        let most = hosted.map_or(0, |hosted| hosted.setup.datagrams);
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut actions = core::mem::take(&mut self.actions);
        for _ in 0..most {
            let received = self.udp(index).map(|udp| udp.receive(&mut buffer));
            let Some(Ok(Some((len, from)))) = received else {
                break;
            };
            let bytes = buffer.get(..len).unwrap_or_default();
            self.ask(
                reactor,
                index,
                Event::Datagram { from, bytes },
                &mut actions,
            );
        }
        self.perform_all(reactor, index, &mut actions);
        self.actions = actions;
        self.buffer = buffer;
    }

    pub(super) fn udp(&self, index: usize) -> Option<&Udp> {
        self.services.get(index)?.udp.as_ref()
    }
}
