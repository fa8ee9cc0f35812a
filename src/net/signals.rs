//! Signals as a descriptor: they wait in a signalfd until the loop reads them,
//! so that no handler ever runs in between.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsRawFd, RawFd};

/// The signals asked for, blocked from their default action until the program
/// ends, even when this is gone: one that comes late must not change its exit
/// code, nor keep it from clearing up. Programs that it starts begin with none
/// blocked (`child` sees to it).
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes over `signals`. To be called while the program has one thread.
    pub fn take(signals: &[Signal]) -> std::io::Result<Self> {
        let mut set = SigSet::empty();
        for &signal in signals {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next signal that waits, if any.
    pub fn take_next(&mut self) -> Option<Signal> {
        let info = self.0.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
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
    fn a_signal_that_comes_late_does_nothing() {
        drop(Signals::take(&[Signal::SIGUSR2]).unwrap());
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGUSR2));
    }
}
