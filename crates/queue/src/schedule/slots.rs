//! When a small message may go before a large one (SCHEDULER_README, "preemptive scheduling"): each delivery of a message
//! earns it a part of a slot, and a message that needs no more deliveries than slots were earned goes first. So a mailing list
//! of ten thousand delays others by little, and is itself delayed by at most one part in `_delivery_slot_cost`.

use std::time::Instant;

use mail::QueueId;

/// The parameters of a transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotLimits {
    /// `_delivery_slot_cost`: deliveries that earn one slot. Below 2 nothing goes before anything.
    pub(crate) cost: i64,
    /// `_delivery_slot_loan`: slots that may be used before they are earned.
    pub(crate) loan: i64,
    /// `_delivery_slot_discount`: per cent of the slots that need not be there at the start.
    pub(crate) discount: i64,
    /// `_minimum_delivery_slots`: messages that can not earn so many are not made to wait.
    pub(crate) minimum: i64,
}

/// What the deliveries of one message over one transport have earned and used.
#[derive(Debug)]
pub(crate) struct Account {
    /// When the message came to this transport.
    pub(crate) queued: Instant,
    /// Deliveries in all.
    total: i64,
    /// Deliveries that began.
    begun: i64,
    /// Earned and not given away, in deliveries; `cost` of them are a slot.
    available: i64,
    /// While it goes before another: slots used beyond those that were reckoned with.
    used: i64,
    /// How many messages it stands in front of in turn.
    level: u32,
    /// The message that it was let in front of.
    parent: Option<QueueId>,
    /// The messages that were let in front of this one.
    pub(crate) children: Vec<QueueId>,
}

impl Account {
    pub(crate) fn new(now: Instant) -> Account {
        Account {
            queued: now,
            total: 0,
            begun: 0,
            available: 0,
            used: 0,
            level: 0,
            parent: None,
            children: Vec::new(),
        }
    }

    /// One more delivery is to be made.
    pub(crate) fn add(&mut self) {
        self.total += 1;
    }

    /// Deliveries that will not be made after all.
    pub(crate) fn withdraw(&mut self, count: usize) {
        self.total -= count as i64;
    }

    /// A delivery begins.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
        self.available += 1;
        self.used += 1;
    }

    /// Deliveries that have not begun.
    pub(crate) fn needed(&self) -> i64 {
        self.total - self.begun
    }

    /// Is it standing in front of another?
    pub(crate) fn is_raised(&self) -> bool {
        self.level > 0
    }

    /// Does it make sense to look for a message that may go first?
    pub(crate) fn may_wait(&self, limits: &SlotLimits) -> bool {
        limits.cost >= 2
            && self.available > 0
            && self.total >= limits.minimum * limits.cost
            && self.most_slots(limits) > 0
    }

    /// Slots that it has or can still earn.
    fn most_slots(&self, limits: &SlotLimits) -> i64 {
        (self.needed() + self.available) / limits.cost
    }

    /// How urgent it is to let `other` go first: its waiting time in parts of its size. `None` when it would not fit.
    pub(crate) fn score(&self, other: &Account, limits: &SlotLimits, now: Instant) -> Option<f64> {
        let needed = other.needed();
        let fits = needed > 0 && needed <= self.most_slots(limits);
        fits.then(|| other.delay(now) / other.total as f64)
    }

    /// Seconds since it was queued, and one.
    pub(crate) fn delay(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.queued).as_secs() as f64 + 1.0
    }

    /// Is enough earned for `other` to go now?
    pub(crate) fn can_afford(&self, other: &Account, limits: &SlotLimits) -> bool {
        let price = other.needed() as f64 * (100 - limits.discount) as f64 / 100.0;
        (self.available / limits.cost + limits.loan) as f64 >= price
    }

    /// `other`, whose id is `id`, goes in front of this one, whose id is `own`.
    pub(crate) fn let_in_front(
        &mut self,
        own: &QueueId,
        other: &mut Account,
        id: &QueueId,
        limits: &SlotLimits,
    ) {
        let needed = other.needed();
        // Paid in advance; what it does not use is given back by `settle`.
        self.available -= needed * limits.cost;
        self.children.push(*id);
        other.used = -needed;
        other.level = self.level + 1;
        other.parent = Some(*own);
    }

    /// Takes it from where it was let in. Gives the message that stands behind it.
    pub(crate) fn step_down(&mut self) -> Option<QueueId> {
        self.level = 0;
        self.parent.take()
    }

    /// A message that was let in front of this one, of id `id`, is through or gone: `unused` says what it had.
    pub(crate) fn settle(&mut self, id: &QueueId, child: &Settlement, limits: &SlotLimits) {
        if child.level == self.level + 1 {
            self.available -= child.used * limits.cost;
        }
        self.children.retain(|other| other != id);
        self.children.extend(child.children.iter().cloned());
    }

    /// What is to be settled with the message behind.
    pub(crate) fn settlement(&mut self) -> Settlement {
        Settlement { level: self.level, used: self.used, children: std::mem::take(&mut self.children) }
    }

    /// The message that it stood in front of is through: that one's successor is behind it now.
    pub(crate) fn adopt(&mut self, parent: Option<QueueId>) {
        self.parent = parent;
    }
}

/// What a message that stood in front of another leaves behind.
#[derive(Debug)]
pub(crate) struct Settlement {
    level: u32,
    used: i64,
    /// Messages that stood in front of it.
    pub(crate) children: Vec<QueueId>,
}
