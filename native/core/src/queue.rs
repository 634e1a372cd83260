//! What waits for the reader of one stream, and the credit that bounds it. Pure: the hub holds the lock.

use crate::item::Item;

/// Events that may be under way for one stream.
pub(crate) const MAX_EVENTS: usize = 64;
/// Bytes of text that may be under way for one stream.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// The largest piece that merging makes.
const MAX_MERGED: usize = 16 * 1024;

/// What items cost in events and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Items other than `Head` and `Activity`.
    pub events: usize,
    /// Bytes of their texts.
    pub bytes: usize,
}

/// The items of one stream that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: Vec<Item>,
    queued: Cost,
    /// Taken, and not given back.
    lent: Cost,
    /// Whether an item lies here that shows that bytes of the body came.
    has_sign_of_life: bool,
}

impl Queue {
    /// Lay items down; pieces of one text are merged.
    pub(crate) fn push(&mut self, items: Vec<Item>) {
        for item in items {
            self.push_one(item);
        }
    }

    /// Lay down that bytes came which made no item.
    pub(crate) fn push_activity(&mut self) {
        if !self.has_sign_of_life {
            self.has_sign_of_life = true;
            self.items.push(Item::Activity);
        }
    }

    /// Take all that lies here, with its cost, which is lent until it is given back.
    pub(crate) fn take(&mut self) -> (Vec<Item>, Cost) {
        let cost = std::mem::take(&mut self.queued);
        self.lent.events += cost.events;
        self.lent.bytes += cost.bytes;
        self.has_sign_of_life = false;
        (std::mem::take(&mut self.items), cost)
    }

    /// Give lent credit back.
    pub(crate) fn release(&mut self, cost: Cost) {
        self.lent.events = self.lent.events.saturating_sub(cost.events);
        self.lent.bytes = self.lent.bytes.saturating_sub(cost.bytes);
    }

    /// Whether more may come.
    pub(crate) fn has_room(&self) -> bool {
        self.queued.events + self.lent.events < MAX_EVENTS && self.queued.bytes + self.lent.bytes < MAX_BYTES
    }

    /// How many items lie here.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the last item of the stream lies here.
    pub(crate) fn is_over(&self) -> bool {
        self.items.last().is_some_and(Item::is_last)
    }

    fn push_one(&mut self, item: Item) {
        if !matches!(item, Item::Head(..)) {
            self.has_sign_of_life = true;
        }
        self.queued.bytes += if item.is_free() { 0 } else { item.size() };
        if !self.merge(&item) {
            self.queued.events += usize::from(!item.is_free());
            self.items.push(item);
        }
    }

    /// Append a piece to the one before it, if they belong together.
    fn merge(&mut self, item: &Item) -> bool {
        let (known, piece) = match (self.items.last_mut(), item) {
            (Some(Item::Text(known)), Item::Text(piece)) | (Some(Item::Thinking(known)), Item::Thinking(piece)) => {
                (known, piece)
            }
            (Some(Item::CallArgs(one, known)), Item::CallArgs(other, piece))
            | (Some(Item::BlockPiece(one, known)), Item::BlockPiece(other, piece))
                if one == other =>
            {
                (known, piece)
            }
            _ => return false,
        };
        let fits = known.len() + piece.len() <= MAX_MERGED;
        if fits {
            known.push_str(piece);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> Item {
        Item::Text(words.to_owned())
    }

    #[test]
    fn pieces_of_one_text_are_merged_and_cost_one_event() {
        let mut queue = Queue::default();
        queue.push(vec![
            text("a"),
            text("b"),
            Item::Thinking("c".to_owned()),
            text("d"),
            Item::CallArgs(0, "e".to_owned()),
            Item::CallArgs(0, "f".to_owned()),
            Item::CallArgs(1, "g".to_owned()),
            Item::BlockPiece(0, "h".to_owned()),
            Item::BlockPiece(0, "i".to_owned()),
            Item::BlockPiece(1, "j".to_owned()),
        ]);
        let (items, cost) = queue.take();

        assert_eq!(
            items,
            [
                text("ab"),
                Item::Thinking("c".to_owned()),
                text("d"),
                Item::CallArgs(0, "ef".to_owned()),
                Item::CallArgs(1, "g".to_owned()),
                Item::BlockPiece(0, "hi".to_owned()),
                Item::BlockPiece(1, "j".to_owned()),
            ]
        );
        assert_eq!(cost, Cost { events: 7, bytes: 10 });
    }

    #[test]
    fn a_merged_piece_is_bounded() {
        let mut queue = Queue::default();
        queue.push(vec![text(&"x".repeat(MAX_MERGED)), text("y")]);

        assert_eq!(queue.take().0.len(), 2);
    }

    #[test]
    fn credit_counts_what_lies_here_and_what_was_taken() {
        let mut queue = Queue::default();
        queue.push((0..MAX_EVENTS).map(|_| Item::Finish("x".to_owned())).collect());
        assert!(!queue.has_room());
        let (_, cost) = queue.take();
        assert!(!queue.has_room());
        queue.release(Cost { events: 1, bytes: 1 });
        assert!(queue.has_room());
        queue.push(vec![text(&"x".repeat(MAX_BYTES))]);
        assert!(!queue.has_room());
        let (_, more) = queue.take();
        queue.release(cost);
        queue.release(more);

        assert!(queue.has_room());
        assert_eq!(queue.lent, Cost::default());
    }

    #[test]
    fn activity_is_told_once_and_only_where_nothing_else_tells_it() {
        let mut queue = Queue::default();
        queue.push(vec![Item::Head(200, Vec::new())]);
        queue.push_activity();
        queue.push_activity();
        let (items, cost) = queue.take();
        assert_eq!(items[1..], [Item::Activity]);
        assert_eq!(cost, Cost::default());
        queue.push(vec![text("a")]);
        queue.push_activity();

        assert_eq!(queue.take().0, [text("a")]);
    }
}
