//! A bell: a descriptor that becomes readable, at once or after a while. So an event loop hears of a batch without a thread.
//!
//! It is a timer of the kernel, since a batch may be worth waiting for ([`crate::hub::LINGER`]) and the timers of event loops and of
//! Tokio go by milliseconds. One descriptor for both ways to ring costs a ringing "at once" 10 us more than an eventfd would,
//! and saves the reader a second descriptor to watch. Only Linux has it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// A timer set to nothing is one that is not set.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// One descriptor, silent at first.
#[derive(Debug)]
pub(crate) struct Bell {
    timer: OwnedFd,
}

impl Bell {
    /// Make one.
    pub(crate) fn new() -> std::io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Self { timer })
    }

    /// What to poll; the bell owns it.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Become readable after so long, and stay so.
    pub(crate) fn ring(&self, after: Duration) {
        let after = after.max(AT_ONCE);
        self.set(Timespec {
            tv_sec: after.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: after.subsec_nanos().into(),
        });
    }

    /// Be readable no more, until it is rung again.
    pub(crate) fn silence(&self) {
        self.set(NEVER);
    }

    fn set(&self, it_value: Timespec) {
        let once = Itimerspec {
            it_interval: NEVER,
            it_value,
        };
        // It fails only for a descriptor that is no timer, or a time that is none.
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "{set:?}");
    }
}
