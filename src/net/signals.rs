//! Signals as a descriptor: they wait in a signalfd until the loop reads them,
//! so that no handler ever runs in between.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsRawFd, RawFd};

/// The signals asked for, blocked from their default action for as long as
/// this lives. Programs that are started meanwhile begin with none blocked
/// (`child` sees to it).
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Takes over `signals`. To be called while the program has one thread.
    pub fn take(signals: &[Signal]) -> std::io::Result<Self> {
        let mut set = SigSet::empty();
        for &signal in signals {
            set.add(signal);
        }
        let before = SigSet::thread_get_mask()?;
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd, before })
    }

    /// The next signal that waits, if any.
    pub fn take_next(&mut self) -> Option<Signal> {
        let info = self.fd.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn a_signal_waits_until_it_is_read() {
        let mut signals = Signals::take(&[Signal::SIGUSR1, Signal::SIGWINCH]).unwrap();
        assert_eq!(signals.take_next(), None);
        raise(Signal::SIGUSR1).unwrap();
        raise(Signal::SIGWINCH).unwrap();
        let mut got = [signals.take_next(), signals.take_next()];
        got.sort();
        assert_eq!(got, [Some(Signal::SIGUSR1), Some(Signal::SIGWINCH)]);
        assert_eq!(signals.take_next(), None);
    }

    #[test]
    fn the_mask_is_given_back() {
        let before = SigSet::thread_get_mask().unwrap();
        drop(Signals::take(&[Signal::SIGUSR2]).unwrap());
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
